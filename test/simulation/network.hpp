#pragma once
#include <functional>
#include <memory>
#include <optional>

#include <backstitch/engine/ports/participants.hpp>

#include "node_ports.hpp"
#include "scene.hpp"
#include "service.hpp"

namespace backstitch::simulation {

/// What lies between nodes and participants. It loses, delays and repeats, and replaces bodies.
/// Where a service has declared by what its answers are known, it also answers in its place.
class Network {
 public:
  Network(Scene& scene, Services& services) : scene_(scene), services_(services) {}

  void send(const std::shared_ptr<Life>& life, VirtualExecutor& reactor, engine::Call call,
            std::function<void(engine::CallResult)> done);
  /// Nothing is on its way any more.
  bool quiet() const { return under_way_ == 0; }

 private:
  struct Attempt;
  using Shared = std::shared_ptr<Attempt>;
  void travel(const Shared& attempt, Duration there);
  void arrive(const Shared& attempt);
  void answer(const Shared& attempt, engine::Response response, Duration back);
  engine::Response response_of(const Message& message, Answer given);
  std::optional<engine::Response> spoken_for(const Message& message);
  Duration way();

  Scene& scene_;
  Services& services_;
  std::size_t under_way_ = 0;
};

/// Participants as one reactor reaches them.
class RemoteParticipants final : public engine::Participants {
 public:
  RemoteParticipants(Network& network, std::shared_ptr<Life> life, VirtualExecutor& reactor)
      : network_(network), life_(std::move(life)), reactor_(reactor) {}
  void call(engine::Call call, std::function<void(engine::CallResult)> done) override {
    network_.send(life_, reactor_, std::move(call), std::move(done));
  }

 private:
  Network& network_;
  std::shared_ptr<Life> life_;
  VirtualExecutor& reactor_;
};

}  // namespace backstitch::simulation

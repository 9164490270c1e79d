#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <backstitch/engine/runtime/engine.hpp>

#include "network.hpp"
#include "node_ports.hpp"
#include "scene.hpp"

namespace backstitch::simulation {

/// What an engine reports. Its own bugs are violations.
class Reports final : public engine::Observer {
 public:
  Reports(Scene& scene, std::string node) : scene_(scene), node_(std::move(node)) {}
  void note(engine::Level level, std::string_view event,
            std::initializer_list<engine::Field> fields) override;

 private:
  Scene& scene_;
  std::string node_;
};

/// One process of a node: the production engine on simulated ports.
class Process {
 public:
  Process(Scene& scene, Database& database, Network& network, Caller who, std::size_t shards_max);
  /// As by kill -9: nothing of it runs any more; what it has sent goes its way.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void open();
  /// SIGTERM: `gone` when it may be thrown away. What the database has not answered by then is
  /// abandoned.
  void stop(std::function<void()> gone);
  void pause(bool paused);

  engine::Engine& engine() { return *engine_; }
  bool paused() const { return paused_; }
  bool stopping() const { return stopping_; }
  Life& life() { return *life_; }
  std::size_t number() const { return life_->who.process; }
  std::size_t reactors() const { return executors_.size(); }
  /// Kept by whoever throws the process away: batches on the wire belong to them.
  const std::shared_ptr<NodePorts>& ports() const { return ports_; }

 private:
  Scene& scene_;
  std::shared_ptr<Life> life_;
  std::vector<std::unique_ptr<VirtualExecutor>> executors_;
  std::unique_ptr<VirtualExecutor> upkeep_;
  std::vector<std::unique_ptr<RemoteParticipants>> participants_;
  std::shared_ptr<NodePorts> ports_;
  virtual_time::SeededRandom random_;
  Reports reports_;
  std::unique_ptr<engine::Engine> engine_;
  bool paused_ = false;
  bool stopping_ = false;
  engine::SteadyTime paused_at_{};
};

}  // namespace backstitch::simulation

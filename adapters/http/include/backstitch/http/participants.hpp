#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <backstitch/base/time.hpp>
#include <backstitch/engine/ports/observer.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/engine/ports/secrets.hpp>
#include <backstitch/http/egress.hpp>
#include <backstitch/http/egress_proxy.hpp>

namespace backstitch::asio {
class Reactor;
}

namespace backstitch::http {

/// What the carriers of a node have in common: lookups of names, and which services' connections
/// may be kept. Thread-safe.
struct NodeState;
std::shared_ptr<NodeState> make_node_state();

struct Options {
  std::shared_ptr<const EgressPolicy> egress;  ///< never null
  /// For services that name none of their own; null: they are called directly.
  std::shared_ptr<const EgressProxy> egress_proxy{};
  const engine::Secrets* secrets = nullptr;  ///< null: there are none
  std::string version = "0";                 ///< for User-Agent
  std::shared_ptr<NodeState> node;           ///< null: one of its own
  engine::Observer* observer = nullptr;      ///< null: nobody is told
  Duration idle_max{30'000};                 ///< an unused connection is closed after
  std::size_t idle_connections_max = 512;    ///< to one service; others are closed after a call
  Duration rest_min{10};                     ///< of a connection between two calls
  Duration rest_max{500};                    ///< also of one to a service that takes long
  std::size_t resting_max = 64;              ///< more than that rest for the least time only
  Duration pivot_idle_max{1'000};            ///< one that a pivot uses is not idle for longer
  Duration age_max{300'000};                 ///< so that a service that moves is followed
  Duration certificates_read_every{1'000};   ///< the secrets of a service's `tls`, while in use
  Duration connect_max{5'000};               ///< unless the service says otherwise
  /// Closes the connection when the request has left, and reports what that looks like: for whoever
  /// checks how a participant takes it. Such an instance never hears an answer.
  bool cut_after_sending = false;
  /// Called on the reactor when all of a request but its last byte has been sent; the last byte is
  /// sent when `go` is called on the reactor. For tools that check what a participant does with a
  /// request that overtakes another one. Null: requests are sent whole.
  std::function<void(const engine::Call&, std::function<void()> go)> before_last_byte;
};

/// Calls participants over HTTP/1.1, on kept connections (a fresh one for a service whose
/// idempotency is none, that wants no kept connections, or that has sent bytes which no call had
/// asked for), with one deadline an attempt. Through a forward proxy https goes by CONNECT, http in
/// absolute form; what refuses a tunnel is `connect`, not sent. How many calls are in flight is the
/// caller's business. Follows no redirect, decompresses nothing, and never sends a request a second
/// time. Threads: the reactor's only. Lifetime: the reactor outlives it; calls in flight are
/// dropped with it and their `done` is not called.
class HttpParticipants : public engine::Participants {
 public:
  HttpParticipants(asio::Reactor& reactor, Options options);
  ~HttpParticipants() override;
  void call(engine::Call call, std::function<void(engine::CallResult)> done) override;
  engine::CarrierCounters counters() const override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace backstitch::http

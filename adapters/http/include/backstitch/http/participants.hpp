#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include <backstitch/base/time.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/engine/ports/secrets.hpp>
#include <backstitch/http/egress.hpp>

namespace backstitch::asio {
class Reactor;
}

namespace backstitch::http {

struct Options {
  std::shared_ptr<const EgressPolicy> egress;  ///< never null
  const engine::Secrets* secrets = nullptr;    ///< null: there are none
  std::string version = "0";                   ///< for User-Agent
  Duration idle_max{30'000};                   ///< an unused connection is closed after
  Duration connect_max{5'000};                 ///< unless the service says otherwise
  /// Closes the connection when the request has left, and reports what that looks like: for whoever
  /// checks how a participant takes it. Such an instance never hears an answer.
  bool cut_after_sending = false;
};

/// Calls participants over HTTP/1.1, on kept connections (a fresh one for a service whose
/// idempotency is none), with one deadline an attempt. How many calls are in flight is the caller's
/// business. Follows no redirect, decompresses nothing, and never sends a request a second time.
/// Threads: the reactor's only. Lifetime: the reactor outlives it; calls in flight are dropped with
/// it and their `done` is not called.
class HttpParticipants : public engine::Participants {
 public:
  HttpParticipants(asio::Reactor& reactor, Options options);
  ~HttpParticipants() override;
  void call(engine::Call call, std::function<void(engine::CallResult)> done) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace backstitch::http

#pragma once
#include <functional>
#include <memory>
#include <string>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/state.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::engine {

/// One attempt, complete: nothing is added by the carrier but authentication.
struct Call {
  SagaId saga;
  StepPath path;
  Phase phase = Phase::forward;
  std::uint32_t attempt = 1;
  RenderedRequest request;
  std::shared_ptr<const dsl::Service> service;  ///< resolved; never null
  std::string service_name;  ///< registered name, or saga/service for inline ones
};

/// Carries calls to participants. One instance a reactor, used on its thread only.
class Participants {
 public:
  virtual ~Participants() = default;
  /// Exactly one `done`, on the reactor's thread, never inside this call, at the latest a little
  /// after the attempt's timeout. Nothing is sent twice behind the machine's back.
  virtual void call(Call call, std::function<void(CallResult)> done) = 0;
};

}  // namespace backstitch::engine

#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

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
  std::string service_name;    ///< registered name, or saga/service for inline ones
  bool is_registered = false;  ///< the service, under `service_name`; only then has it secrets
  bool is_pivot = false;       ///< another saga's answer taken for this one could not be undone

  std::string_view registered_name() const {
    return is_registered ? std::string_view(service_name) : std::string_view();
  }
};

/// Totals of one carrier of calls since its start.
struct CarrierCounters {
  std::uint64_t unrequested = 0;     ///< connections on which bytes came that no call had asked for
  std::uint64_t addresses_kept = 0;  ///< calls that used earlier addresses while a lookup hung
};

/// Carries calls to participants. One instance a reactor, used on its thread only.
class Participants {
 public:
  virtual ~Participants() = default;
  /// Exactly one `done`, on the reactor's thread, never inside this call, at the latest a little
  /// after the attempt's timeout. Nothing is sent twice behind the machine's back.
  virtual void call(Call call, std::function<void(CallResult)> done) = 0;
  /// Any thread.
  virtual CarrierCounters counters() const { return {}; }
};

}  // namespace backstitch::engine

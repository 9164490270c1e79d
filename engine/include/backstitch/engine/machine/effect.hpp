#pragma once
#include <variant>

#include <backstitch/engine/machine/state.hpp>

namespace backstitch::engine {

/// Send an attempt. The request is in the state: steps[path].<phase>.request.
struct CallParticipant {
  StepPath path;
  Phase phase = Phase::forward;
  std::uint32_t attempt = 0;
  bool operator==(const CallParticipant&) const = default;
};

/// What the world is asked to do, after the events are committed. Timers are not effects: see
/// next_wake.
using Effect = std::variant<CallParticipant>;

}  // namespace backstitch::engine

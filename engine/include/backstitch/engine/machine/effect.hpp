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

/// Starts the saga that a step waits for: steps[path].child. Harmless when it exists already; then
/// what has become of it is told.
struct StartChild {
  StepPath path;
  bool operator==(const StartChild&) const = default;
};
/// Asks the child of a step to stop and undo itself.
struct CancelChild {
  StepPath path;
  bool operator==(const CancelChild&) const = default;
};
/// Asks the completed child of a step to undo what it did.
struct UndoChild {
  StepPath path;
  bool operator==(const UndoChild&) const = default;
};
/// An operator's retry, handed on to the suspended child of a step.
struct RetryChild {
  StepPath path;
  std::string by;
  std::string reason;
  bool operator==(const RetryChild&) const = default;
};
/// Tells the saga that waits for this one what has become of it.
struct TellParent {
  bool operator==(const TellParent&) const = default;
};

/// What the world is asked to do, after the events are committed. Timers are not effects: see
/// next_wake.
using Effect =
    std::variant<CallParticipant, StartChild, CancelChild, UndoChild, RetryChild, TellParent>;

}  // namespace backstitch::engine

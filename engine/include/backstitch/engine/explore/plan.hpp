#pragma once
/// What a command would set going, before it is given: the machine decides on a copy, and every
/// call succeeds. Pure.
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine::explore {

enum class PlannedAction {
  await,       ///< a call that is on its way already
  run,         ///< an action is sent
  probe,       ///< it is asked what became of an action
  wait,        ///< for a signal, a time or a participant's later answer
  start_saga,  ///< a sub-saga is started
  undo,        ///< a compensation is sent
  undo_saga,   ///< a sub-saga is undone
  retry_saga   ///< a suspended sub-saga is tried again
};
const char* to_text(PlannedAction action);

struct PlannedStep {
  StepPath path;
  PlannedAction action = PlannedAction::run;
  std::string request{};  ///< `POST /refunds/7`, of calls
};

struct Plan {
  std::vector<PlannedStep> steps;  ///< in the order in which they begin
  SagaStatus end = SagaStatus::completed;
  bool complete = true;  ///< false: there would be more, but this is where the plan stops
  /// What the operator has to be certain of; not empty: ask before the command is given.
  std::vector<std::string> warnings;
};

/// Answers whose data matters are made up as for `verify`, so a condition on them may choose
/// otherwise in the end.
/// @return what decide() refuses the command with
Result<Plan> plan_of(const Program& program, SagaState state, StimulusBody command, TimePoint now);

}  // namespace backstitch::engine::explore

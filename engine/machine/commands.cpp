/// What operators may do, and when.
#include <algorithm>

#include "decider.hpp"

namespace backstitch::engine {

void Decider::cancel(const Cancel& cancel) {
  if (is_terminal(state().status)) {
    return refuse("saga-ended",
                  std::string("The saga has ended: ") + to_text(state().status) + ".");
  }
  if (state().cancel_requested || state().failure) return;  // it is on its way back already
  const auto pivot =
      std::find_if(definition().steps.begin(), definition().steps.end(), [](const dsl::Step& step) {
        return step.kind == dsl::StepKind::pivot && std::holds_alternative<dsl::Action>(step.body);
      });
  const bool pivot_sent = pivot != definition().steps.end() &&
                          state().steps.count(pivot->name) > 0 &&
                          state().steps.find(pivot->name)->second.forward.attempts > 0;
  if (state().pivot_passed || pivot_sent || definition().recovery == dsl::Recovery::forward) {
    return refuse(
        "pivot-passed",
        "The saga cannot be cancelled any more: its pivot was sent, or it only recovers forward.");
  }
  emit(CancelRequested{cancel.by, cancel.reason});
  // A suspended saga waits for nobody: what is in the way is given up.
  if (state().status == SagaStatus::suspended) {
    const Suspension suspension = *state().suspension;
    emit(OperatorActed{"cancel", suspension.step, cancel.by, cancel.reason, nullptr});
  }
  tick_for_stop();
  advance();
}

/// A step that waits for its next attempt does not get it any more.
void Decider::tick_for_stop() {
  for (const auto& step : definition().steps) {
    const auto found = state().steps.find(step.name);
    if (found == state().steps.end() || found->second.status != StepStatus::running) continue;
    if (!found->second.forward.in_flight && found->second.forward.retry_at)
      send_again({&step, step.name, false}, Phase::forward);
  }
}

namespace {

bool names_step(const Suspension& suspension, const std::string& step) {
  const auto slash = suspension.step.rfind('/');
  return step == suspension.step ||
         (slash != std::string::npos && step == suspension.step.substr(slash + 1));
}

}  // namespace

bool Decider::refuses_action(const std::string* step) {
  if (state().status != SagaStatus::suspended || !state().suspension) {
    refuse("saga-not-suspended", std::string("The saga is ") + to_text(state().status) +
                                     "; only a suspended one waits for an operator.");
    return true;
  }
  if (step != nullptr && !names_step(*state().suspension, *step)) {
    refuse("step-not-suspended",
           "The saga is suspended at `" + state().suspension->step + "`, not at `" + *step + "`.");
    return true;
  }
  return false;
}

void Decider::retry(const Retry& retry) {
  if (refuses_action(nullptr)) return;
  const StepPath path = state().suspension->step;
  emit(OperatorActed{"retry", path, retry.by, retry.reason, nullptr});
  tick();
}

void Decider::skip(const Skip& skip) {
  if (refuses_action(&skip.step)) return;
  const Suspension suspension = *state().suspension;
  const auto at = locate(suspension.step);
  const bool undo = suspension.phase == Phase::compensate;
  const bool done = at && state().steps.count(at->path) > 0 && step_state(at->path).succeeded;
  if (!undo && !done && at && at->step->kind == dsl::StepKind::pivot) {
    return refuse("step-not-skippable",
                  "`" + suspension.step + "` is the pivot: resolve or retry it.");
  }
  if (!undo && !done && at && at->step->kind == dsl::StepKind::compensatable) {
    return refuse("step-not-skippable",
                  "`" + suspension.step + "` can be undone: retry it, or cancel the saga.");
  }
  emit(OperatorActed{"skip", suspension.step, skip.by, skip.reason, nullptr});
  if (undo)
    emit(StepCompensationSkipped{suspension.step, "operator"});
  else if (!done)
    emit(StepSkipped{suspension.step});
  advance();
}

void Decider::resolve_step(const Resolve& resolve) {
  if (refuses_action(&resolve.step)) return;
  const Suspension suspension = *state().suspension;
  emit(OperatorActed{"resolve", suspension.step, resolve.by, resolve.reason, resolve.output});
  if (suspension.phase == Phase::compensate)
    emit(StepCompensated{suspension.step});
  else
    emit(StepSucceeded{suspension.step, resolve.output, nullptr});
  advance();
}

}  // namespace backstitch::engine

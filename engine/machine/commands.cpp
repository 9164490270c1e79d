/// What operators may do, and when.
#include <algorithm>

#include "decider.hpp"

namespace backstitch::engine {
namespace {

bool names_step(const Suspension& suspension, const std::string& step) {
  const auto slash = suspension.step.rfind('/');
  return !step.empty() && (step == suspension.step || (slash != std::string::npos &&
                                                       step == suspension.step.substr(slash + 1)));
}

Error not_suspended(const SagaState& state) {
  return {ErrorCode::conflict, "saga-not-suspended",
          std::string("The saga is ") + to_text(state.status) +
              "; only a suspended one waits for an operator."};
}

/// A block that an operator ends must not leave calls behind.
bool has_open_inside(const SagaState& state, const StepPath& block) {
  return std::any_of(state.open.begin(), state.open.end(), [&](const StepPath& path) {
    return path.starts_with(block + "/") || path.starts_with(block + "[");
  });
}

Error still_open_inside(const StepPath& block) {
  return {ErrorCode::conflict, "block-still-open",
          "Steps inside `" + block + "` are still on their way; try again when they have ended."};
}

}  // namespace

const Suspension* Decider::suspension_of(const std::string& step) {
  const auto& suspensions = state().suspensions;
  const auto found =
      std::find_if(suspensions.begin(), suspensions.end(),
                   [&](const Suspension& suspension) { return names_step(suspension, step); });
  return found == suspensions.end() ? nullptr : &*found;
}

/// An answer to a suspension. Whoever waits for this saga hears of it when it goes on.
void Decider::act(OperatorActed acted) {
  const bool suspended = state().status == SagaStatus::suspended;
  emit(std::move(acted));
  if (suspended && state().status != SagaStatus::suspended && state().parent)
    out_.effects.push_back(TellParent{});
}

void Decider::cancel(const Cancel& cancel) {
  if (is_terminal(state().status)) {
    return refuse("saga-ended",
                  std::string("The saga has ended: ") + to_text(state().status) + ".");
  }
  if (state().cancel_requested || state().failure) {  // it is on its way back already
    if (state().parent && state().status == SagaStatus::suspended)
      out_.effects.push_back(TellParent{});
    return;
  }
  if (state().pivot_passed || state().pivot_sent ||
      definition().recovery == dsl::Recovery::forward) {
    return refuse(
        "pivot-passed",
        "The saga cannot be cancelled any more: its pivot was sent, or it only recovers forward.");
  }
  emit(CancelRequested{cancel.by, cancel.reason});
  // A suspended saga waits for nobody: what is in the way is given up.
  const auto suspensions = state().suspensions;
  bool asked_again = false;
  for (const auto& suspension : suspensions) {
    // An undo that is stuck, that of a try's body: no cancel makes it less needed.
    if (suspension.phase == Phase::compensate) continue;
    // Behind a sealed probe the undo may need what only the probe can tell.
    if (is_sealed_probe(suspension)) {
      act({"retry", suspension.step, cancel.by, cancel.reason, nullptr});
      begin_again(suspension);
      asked_again = true;
      continue;
    }
    act({"cancel", suspension.step, cancel.by, cancel.reason, nullptr});
    const auto found = state().steps.find(suspension.step);
    if (found == state().steps.end()) continue;
    // A child that left something behind: there is nothing more to ask it for. A probe that could
    // not find out: the step is undone by its key. A child that was told to stop and stands still
    // is told again, and says what it stands at.
    const auto at = locate(definition(), suspension.step);
    if (suspension.reason == child_incomplete)
      emit(StepFailed{suspension.step,
                      failure(child_incomplete, "failure", suspension.message, suspension.step)});
    else if (found->second.child && found->second.child_stopped)
      out_.effects.push_back(CancelChild{suspension.step});
    else if (suspension.phase == Phase::probe && at && found->second.status == StepStatus::running)
      stays_unknown(*at, failure(suspension.reason, "unknown", suspension.message, at->path));
  }
  return asked_again ? tick() : advance();
}

bool Decider::is_sealed_probe(const Suspension& suspension) const {
  if (suspension.phase != Phase::probe) return false;
  const auto at = locate(definition(), suspension.step);
  const auto* action = at ? std::get_if<dsl::Action>(&at->step->body) : nullptr;
  return action != nullptr && action->probe && action->probe->sealed;
}

void Decider::retry(const Retry& retry) {
  if (state().status != SagaStatus::suspended) {
    out_.refused = not_suspended(state());
    return;
  }
  const auto suspensions = state().suspensions;
  for (const auto& suspension : suspensions) {
    const auto step = state().steps.find(suspension.step);
    const bool child_suspended =
        step != state().steps.end() && step->second.child && !step->second.undo.request &&
        (suspension.reason == "CHILD_SUSPENDED" || suspension.phase == Phase::compensate);
    // Only the child can go on; its parent follows when it does.
    const char* action = child_suspended ? "retry-child" : "retry";
    act({action, suspension.step, retry.by, retry.reason, nullptr});
    if (child_suspended)
      out_.effects.push_back(RetryChild{suspension.step, retry.by, retry.reason});
    else if (suspension.reason == child_incomplete && step != state().steps.end())
      emit(StepFailed{suspension.step,
                      failure(child_incomplete, "failure", suspension.message, suspension.step)});
    else
      begin_again(suspension);
  }
  tick();
}

/// What cannot simply be sent again: a child that failed where nothing may fail, and a probe that
/// could not be rendered. A callback may have settled the step in the meantime.
void Decider::begin_again(const Suspension& suspension) {
  const auto at = locate(definition(), suspension.step);
  const auto found = state().steps.find(suspension.step);
  if (!at || found == state().steps.end()) return;
  const StepState& step = found->second;
  const auto* saga = std::get_if<dsl::SubSaga>(&at->step->body);
  if (saga != nullptr && step.status == StepStatus::waiting) {
    begin_child(*at, *saga);
  } else if (suspension.phase == Phase::probe && !step.probe.request &&
             step.status == StepStatus::running) {
    Verdict last;
    last.code = suspension.reason;
    last.message = suspension.message;
    probe_or_unknown(*at, last);
  }
}

void Decider::skip(const Skip& skip) {
  if (state().status != SagaStatus::suspended) {
    out_.refused = not_suspended(state());
    return;
  }
  const auto* found = suspension_of(skip.step);
  if (found == nullptr) {
    return refuse("step-not-suspended", "The saga is suspended at `" +
                                            state().suspensions.front().step + "`, not at `" +
                                            skip.step + "`.");
  }
  const Suspension suspension = *found;
  const auto at = locate(definition(), suspension.step);
  const bool undo = suspension.phase == Phase::compensate;
  const bool done = at && state().steps.count(at->path) > 0 && step_state(at->path).succeeded;
  if (!undo && !done && at && at->step->kind == dsl::StepKind::pivot) {
    return refuse("step-not-skippable",
                  "`" + suspension.step + "` is the pivot: resolve or retry it.");
  }
  const bool calls = at && (std::holds_alternative<dsl::Action>(at->step->body) ||
                            std::holds_alternative<dsl::SubSaga>(at->step->body));
  if (!undo && !done && calls && at->step->kind == dsl::StepKind::compensatable) {
    return refuse("step-not-skippable",
                  "`" + suspension.step + "` can be undone: retry it, or cancel the saga.");
  }
  if (!undo && has_open_inside(state(), suspension.step)) {
    out_.refused = still_open_inside(suspension.step);
    return;
  }
  act({"skip", suspension.step, skip.by, skip.reason, nullptr});
  if (undo)
    emit(StepCompensationSkipped{suspension.step, "operator"});
  else if (!done)
    emit(StepSkipped{suspension.step});
  advance();
}

void Decider::resolve_step(const Resolve& resolve) {
  if (state().status != SagaStatus::suspended) {
    out_.refused = not_suspended(state());
    return;
  }
  const auto* found = suspension_of(resolve.step);
  if (found == nullptr) {
    return refuse("step-not-suspended", "The saga is suspended at `" +
                                            state().suspensions.front().step + "`, not at `" +
                                            resolve.step + "`.");
  }
  const Suspension suspension = *found;
  if (has_open_inside(state(), suspension.step)) {
    out_.refused = still_open_inside(suspension.step);
    return;
  }
  act({"resolve", suspension.step, resolve.by, resolve.reason, resolve.output});
  if (suspension.phase == Phase::compensate)
    emit(StepCompensated{suspension.step});
  else
    emit(StepSucceeded{suspension.step, resolve.output, nullptr});
  advance();
}

}  // namespace backstitch::engine

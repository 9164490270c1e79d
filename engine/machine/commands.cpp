/// What operators may do, and when.
#include <algorithm>

#include "decider.hpp"
#include "limits.hpp"

namespace backstitch::engine {
namespace {

/// The code of a step that an operator has declared not done, and of the saga that goes back then.
constexpr const char* resolved_not_done_code = "RESOLVED_NOT_DONE";
/// The reason of a suspension that an operator asked for.
constexpr const char* operator_reason = "OPERATOR";

bool names_step(const StepPath& path, const std::string& step) {
  const auto slash = path.rfind('/');
  return !step.empty() &&
         (step == path || (slash != std::string::npos && step == path.substr(slash + 1)));
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

Error not_resolvable(const StepPath& path, const std::string& why) {
  return {ErrorCode::conflict, "step-not-resolvable", "`" + path + "` " + why};
}

/// Every attempt that waits for its time.
std::vector<WaitingAttempt> waiting_attempts(const SagaState& state) {
  std::vector<WaitingAttempt> waiting;
  for (const auto& path : state.open) {
    const StepState& step = state.steps.find(path)->second;
    for (const Phase phase : all_phases) {
      if (call_of(step, phase).retry_at) waiting.push_back({path, phase});
    }
  }
  return waiting;
}

/// What stands in the way of a cancellation once the pivot was sent.
std::string what_the_pivot_awaits(const dsl::Definition& definition, const SagaState& state,
                                  const std::vector<QueuedCall>& queued) {
  std::string text;
  for (const auto& one : awaited(state, queued)) {
    const auto at = locate(definition, one.step);
    if (!at || at->area != Area::main || at->step->kind != dsl::StepKind::pivot) continue;
    text += "; `" + one.step + "` awaits " + one.what;
    if (one.until) text += " until " + to_rfc3339(*one.until);
  }
  return text;
}

}  // namespace

const char* to_text(Resolution resolution) {
  switch (resolution) {
    case Resolution::done:
      return "done";
    case Resolution::not_done:
      return "not-done";
    case Resolution::compensated:
      return "compensated";
  }
  return "";
}

std::optional<Resolution> parse_resolution(std::string_view text) {
  for (const auto one : {Resolution::done, Resolution::not_done, Resolution::compensated}) {
    if (text == to_text(one)) return one;
  }
  return std::nullopt;
}

const Suspension* Decider::suspension_at(const StepPath& path) const {
  const auto& suspensions = state().suspensions;
  const auto found = std::find_if(suspensions.begin(), suspensions.end(),
                                  [&](const Suspension& one) { return one.step == path; });
  return found == suspensions.end() ? nullptr : &*found;
}

Result<Suspension> Decider::suspension_named(const std::string& step) const {
  const auto& suspensions = state().suspensions;
  if (state().status != SagaStatus::suspended) return not_suspended(state());
  if (const auto* exact = suspension_at(step); exact != nullptr && !step.empty()) return *exact;
  std::vector<const Suspension*> named;
  for (const auto& one : suspensions) {
    if (names_step(one.step, step)) named.push_back(&one);
  }
  if (named.size() == 1) return *named.front();
  if (named.empty()) {
    return Error{ErrorCode::conflict, "step-not-suspended",
                 "The saga is suspended at " +
                     (suspensions.front().step.empty() ? "the output of its definition"
                                                       : "`" + suspensions.front().step + "`") +
                     ", not at `" + step + "`."};
  }
  return Error{ErrorCode::conflict, "step-ambiguous",
               "The saga is suspended at `" + named[0]->step + "` and at `" + named[1]->step +
                   "`; give the path instead of `" + step + "`."};
}

/// An answer to a suspension. Whoever waits for this saga hears of it when it goes on.
void Decider::act(OperatorActed acted) {
  const bool suspended = state().status == SagaStatus::suspended;
  emit(std::move(acted));
  if (!suspended || state().status == SagaStatus::suspended) return;
  resumed_ = true;
  if (state().parent) out_.effects.push_back(TellParent{});
}

std::optional<Error> Decider::refusal(const Cancel&) const {
  if (is_terminal(state().status)) {
    return Error{ErrorCode::conflict, "saga-ended",
                 std::string("The saga has ended: ") + to_text(state().status) + "."};
  }
  const bool sent = state().pivot_passed || (state().pivot_sent && !pivot_is_queued());
  if (goes_back() || (!sent && definition().recovery == dsl::Recovery::backward))
    return std::nullopt;
  return Error{ErrorCode::conflict, "pivot-passed",
               "The saga cannot be cancelled any more: its pivot was sent, or it only recovers "
               "forward" +
                   what_the_pivot_awaits(definition(), state(), stimulus_.queued) + "."};
}

void Decider::cancel(const Cancel& cancel) {
  if (is_refused(cancel)) return;
  if (goes_back()) {
    if (state().parent && state().status == SagaStatus::suspended)
      out_.effects.push_back(TellParent{});
    return;
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
      act({"retry", suspension.step, cancel.by, cancel.reason, Phase::probe});
      begin_again(suspension);
      asked_again = true;
      continue;
    }
    act({"cancel", suspension.step, cancel.by, cancel.reason});
    const auto found = state().steps.find(suspension.step);
    if (found == state().steps.end()) continue;
    // A child that left something behind: there is nothing more to ask it for. A probe that could
    // not find out: the step is undone by its key. A child that was told to stop and stands still
    // is told again, and says what it stands at.
    const auto at = locate(definition(), suspension.step);
    if (suspension.cause == SuspensionCause::child_incomplete)
      fail_incomplete(suspension);
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

std::optional<Error> Decider::refusal(const Retry&) const {
  if (state().status == SagaStatus::suspended) {
    const auto& suspensions = state().suspensions;
    const bool nothing_to_send =
        std::all_of(suspensions.begin(), suspensions.end(),
                    [this](const Suspension& one) { return lacks_output(one); });
    if (!nothing_to_send) return std::nullopt;
    return Error{ErrorCode::conflict, "output-missing",
                 "`" + suspensions.front().step +
                     "` was done, and its output could not be computed: there is nothing to send "
                     "again. Resolve it as done, with an output."};
  }
  if (!waiting_attempts(state()).empty()) return std::nullopt;
  return Error{ErrorCode::conflict, "nothing-to-retry",
               std::string("The saga is ") + to_text(state().status) +
                   (has_call_in_flight(state()) ? ", and an attempt is in flight."
                                                : ", and no attempt waits to be sent.")};
}

void Decider::retry(const Retry& retry) {
  if (is_refused(retry)) return;
  return state().status == SagaStatus::suspended ? retry_suspended(retry) : retry_waiting(retry);
}

/// Its action took effect, and its answer was of no use: there is nothing to send again.
bool Decider::lacks_output(const Suspension& suspension) const {
  const auto step = state().steps.find(suspension.step);
  return suspension.phase == Phase::forward && step != state().steps.end() &&
         step->second.status == StepStatus::succeeded;
}

void Decider::retry_suspended(const Retry& retry) {
  const auto suspensions = state().suspensions;
  for (const auto& suspension : suspensions) {
    if (lacks_output(suspension)) continue;
    const auto step = state().steps.find(suspension.step);
    const bool child_suspended = step != state().steps.end() && step->second.child &&
                                 !step->second.undo.request &&
                                 (suspension.cause == SuspensionCause::child_suspended ||
                                  suspension.phase == Phase::compensate);
    // Only the child can go on; its parent follows when it does.
    if (child_suspended) {
      act({"retry-child", suspension.step, retry.by, retry.reason});
      out_.effects.push_back(RetryChild{suspension.step, retry.by, retry.reason});
      continue;
    }
    act({"retry", suspension.step, retry.by, retry.reason, suspension.phase});
    if (suspension.cause == SuspensionCause::child_incomplete && step != state().steps.end())
      fail_incomplete(suspension);
    else
      begin_again(suspension);
  }
  see_what_failed();
  tick();
}

/// Sent now instead of later: the attempt belongs to the budget that there is.
void Decider::retry_waiting(const Retry& retry) {
  const auto waiting = waiting_attempts(state());
  for (const auto& one : waiting) {
    const auto at = locate(definition(), one.path);
    if (!at) continue;
    act({"retry-now", one.path, retry.by, retry.reason});
    send_again(*at, one.phase);
  }
  advance();
}

/// A poll is not a schedule of attempts: its step waits for the participant.
std::vector<WaitingAttempt> Decider::attempts_to_suspend(const Suspend& suspend) const {
  auto waiting = waiting_attempts(state());
  std::erase_if(waiting, [&](const WaitingAttempt& one) {
    const auto at = locate(definition(), one.path);
    const bool meant = suspend.step.empty() || names_step(one.path, suspend.step);
    return one.phase == Phase::poll || !meant || !at || at->area == Area::on_suspended;
  });
  return waiting;
}

std::optional<Error> Decider::refusal(const Suspend& suspend) const {
  if (!attempts_to_suspend(suspend).empty()) return std::nullopt;
  return Error{ErrorCode::conflict, "nothing-waiting",
               (suspend.step.empty() ? "No step" : "`" + suspend.step + "` is not a step that") +
                   std::string(" waits for its next attempt. Only such a wait can be ended; an "
                               "attempt in flight is awaited.")};
}

void Decider::suspend_waiting(const Suspend& suspend) {
  if (is_refused(suspend)) return;
  const auto waiting = attempts_to_suspend(suspend);
  const std::string message =
      "suspended by " + suspend.by + (suspend.reason.empty() ? "" : ": " + suspend.reason);
  for (const auto& one : waiting) {
    act({"suspend", one.path, suspend.by, suspend.reason});
    Suspension suspension{operator_reason, message, one.path, one.phase};
    suspension.by_operator = true;
    this->suspend(std::move(suspension));
  }
  advance();
}

/// The child has ended and left something behind: there is nothing more to ask it for.
void Decider::fail_incomplete(const Suspension& suspension) {
  emit(StepFailed{suspension.step,
                  failure(child_incomplete, "failure", suspension.message, suspension.step), true});
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

std::optional<Error> Decider::refusal(const Skip& skip) const {
  const auto suspension = suspension_named(skip.step);
  if (!suspension) return suspension.error();
  if (suspension->phase == Phase::compensate) return std::nullopt;
  const auto at = locate(definition(), suspension->step);
  const auto step = state().steps.find(suspension->step);
  const bool done = at && step != state().steps.end() && step->second.succeeded;
  if (!done && at && at->step->kind == dsl::StepKind::pivot) {
    return Error{ErrorCode::conflict, "step-not-skippable",
                 "`" + suspension->step + "` is the pivot: resolve or retry it."};
  }
  const bool calls = at && (std::holds_alternative<dsl::Action>(at->step->body) ||
                            std::holds_alternative<dsl::SubSaga>(at->step->body));
  if (!done && calls && at->step->kind == dsl::StepKind::compensatable) {
    return Error{ErrorCode::conflict, "step-not-skippable",
                 "`" + suspension->step + "` can be undone: retry it, or cancel the saga."};
  }
  if (has_open_inside(state(), suspension->step)) return still_open_inside(suspension->step);
  return std::nullopt;
}

void Decider::skip(const Skip& skip) {
  if (is_refused(skip)) return;
  const Suspension suspension = *suspension_named(skip.step);
  const auto step = state().steps.find(suspension.step);
  const bool done = step != state().steps.end() && step->second.succeeded;
  act({"skip", suspension.step, skip.by, skip.reason});
  if (suspension.phase == Phase::compensate)
    emit(StepCompensationSkipped{suspension.step, "operator"});
  else if (!done)
    emit(StepSkipped{suspension.step});
  advance();
}

std::optional<Error> Decider::refusal(const Resolve& resolve) const {
  const auto suspension = suspension_named(resolve.step);
  return suspension ? impossible(resolve, *suspension) : std::optional(suspension.error());
}

void Decider::resolve_step(const Resolve& resolve) {
  if (is_refused(resolve)) return;
  const auto suspension = suspension_named(resolve.step);
  const auto at = locate(definition(), suspension->step);
  OperatorActed acted{"resolve", suspension->step, resolve.by, resolve.reason};
  acted.resolution = to_text(resolve.as);
  acted.output = resolve.output.value_or(nullptr);
  acted.captured = resolve.captured.value_or(nullptr);
  const bool compensation = suspension->phase == Phase::compensate;
  // What was rendered is sent again as it is; what could not be rendered is begun anew.
  const bool rendered = compensation && step_state(at->path).undo.request != nullptr;
  const bool goes_back = may_fail(*at);
  if (resolve.as == Resolution::done && rendered) acted.renewed = Phase::compensate;
  if (resolve.as == Resolution::not_done && !compensation && !goes_back)
    acted.renewed = Phase::forward;
  const bool sent_again = acted.renewed.has_value();
  act(std::move(acted));
  switch (resolve.as) {
    case Resolution::compensated:
      emit(StepCompensated{at->path});
      break;
    case Resolution::done:
      if (!rendered) emit(as_resolved(resolve, *at));
      break;
    case Resolution::not_done:
      if (compensation)
        emit(StepCompensationSkipped{at->path, "not-done"});
      else if (goes_back)
        resolved_not_done(*at);
      break;
  }
  return sent_again ? tick() : advance();
}

/// A pivot is often resolved long after the saga's timeout: what leads back is the operator's word.
void Decider::resolved_not_done(const Located& at) {
  const Failure why = failure(resolved_not_done_code, "failure",
                              "an operator found that the step was not done", at.path);
  emit(StepFailed{at.path, why});
  if (at.step->kind == dsl::StepKind::pivot && state().status == SagaStatus::running)
    run_main_line(&why);
}

/// What the step comes to once an operator knows that its action took effect. What it came to in
/// the forward direction, and what was not said, stays as it was.
StepSucceeded Decider::as_resolved(const Resolve& resolve, const Located& at) const {
  StepSucceeded succeeded{at.path, nullptr, nullptr};
  if (const auto step = state().steps.find(at.path); step != state().steps.end()) {
    succeeded.output = step->second.output;
    succeeded.captured = step->second.captured;
    if (step->second.ended_at) succeeded.failure = step->second.failure;
  }
  if (resolve.output) succeeded.output = *resolve.output;
  if (resolve.captured) succeeded.captured = *resolve.captured;
  return succeeded;
}

std::optional<Error> Decider::impossible(const Resolve& resolve,
                                         const Suspension& suspension) const {
  const auto at = locate(definition(), suspension.step);
  if (!at) return not_resolvable(suspension.step, "is not a step of the definition.");
  const bool compensation = suspension.phase == Phase::compensate;
  if (compensation && resolve.as != Resolution::compensated && undoes_child(*at))
    return not_resolvable(at->path,
                          "is a sub-saga: resolve the step that the sub-saga stopped at.");
  switch (resolve.as) {
    case Resolution::compensated:
      if (compensation) return std::nullopt;
      return not_resolvable(at->path, "is not suspended in its compensation.");
    case Resolution::done:
      if (has_open_inside(state(), at->path)) return still_open_inside(at->path);
      return impossible_as_done(resolve, suspension, *at);
    case Resolution::not_done:
      return impossible_as_not_done(suspension, *at);
  }
  return std::nullopt;
}

std::optional<Error> Decider::impossible_as_done(const Resolve& resolve,
                                                 const Suspension& suspension,
                                                 const Located& at) const {
  const bool compensation = suspension.phase == Phase::compensate;
  const auto step = state().steps.find(at.path);
  if (compensation && step->second.undo.request != nullptr) {
    if (!resolve.output && !resolve.captured) return std::nullopt;
    return not_resolvable(at.path,
                          "has a compensation that was rendered before: it is sent again as it is. "
                          "Leave output and captured data out.");
  }
  if (suspension.cause == SuspensionCause::child_suspended)
    return not_resolvable(at.path, "is a sub-saga: resolve the step that the sub-saga stopped at.");
  if (lacks_output(suspension) && !resolve.output) {
    return Error{ErrorCode::invalid, "output-missing",
                 "The output of `" + at.path +
                     "` could not be computed from its answer: say what it is, null if nothing "
                     "reads it."};
  }
  const StepSucceeded succeeded = as_resolved(resolve, at);
  if (resolve.output) {
    if (auto error = over_limit(*resolve.output)) return error;
  }
  if (resolve.captured && json_size(*resolve.captured) > captured_bytes_max)
    return Error{ErrorCode::invalid, "LIMIT_EXCEEDED", "Captured data has at most 64 KiB."};
  std::optional<Error> broken;
  if (compensation)
    broken =
        trial_of_undo(at, state_after(succeeded), failure_seen(state(), at, Phase::compensate));
  else if (may_fail_once_done(at))
    broken = trial_of_undo(at, state_after(succeeded), std::nullopt);
  if (!broken) return std::nullopt;
  return Error{ErrorCode::invalid, "compensation-not-renderable",
               "With this output and captured data the compensation of `" + at.path +
                   "` cannot be rendered: " + broken->message};
}

std::optional<Error> Decider::impossible_as_not_done(const Suspension& suspension,
                                                     const Located& at) const {
  const auto found = state().steps.find(at.path);
  const bool compensation = suspension.phase == Phase::compensate;
  const bool known_done = found != state().steps.end() &&
                          (compensation ? !found->second.effect_unknown : found->second.succeeded);
  if (known_done) return not_resolvable(at.path, "is known to be done.");
  if (std::holds_alternative<dsl::SubSaga>(at.step->body))
    return not_resolvable(at.path, "is a sub-saga: resolve the step that the sub-saga stopped at.");
  if (!std::holds_alternative<dsl::Action>(at.step->body))
    return not_resolvable(at.path,
                          "calls no participant: retry it, skip it, or resolve it as done.");
  return std::nullopt;
}

}  // namespace backstitch::engine

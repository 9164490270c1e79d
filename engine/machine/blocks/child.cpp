/// saga: another saga as a step. It lives by itself; its parent starts it, waits for its end, asks
/// it to stop, and may have it undone after it completed.
#include <algorithm>

#include <backstitch/engine/machine/masking.hpp>

#include "../decider.hpp"
#include "../limits.hpp"

namespace backstitch::engine {

Progress Decider::begin_child(const Located& at, const dsl::SubSaga& saga) {
  const std::uint32_t depth = state().parent ? state().parent->depth + 1 : 1;
  if (depth > saga_depth_max) {
    return fail_expression(
        at, {ErrorCode::invalid, "LIMIT_EXCEEDED",
             "sub-sagas are nested more than " + std::to_string(saga_depth_max) + " deep"});
  }
  ChildScheduled scheduled{at.path, {}, std::nullopt, action_key(at)};
  {
    const SagaScope scope = scope_of(at, Phase::forward);
    dsl::Budget budget;
    auto input = saga.input.render(scope, budget);
    if (!input) return fail_expression(at, input.error());
    scheduled.child = {child_id(state(), at.path, now(), stimulus_.random), saga.name,
                       saga.version.value_or(0), std::move(*input), std::nullopt};
    if (saga.business_key) {
      auto key = saga.business_key->render_text(scope, budget);
      if (!key) return fail_expression(at, key.error());
      scheduled.child.business_key = std::move(*key);
    }
    scheduled.child.sensitive = sensitive_of_child(definition(), state().sensitive, at.step->name);
    const auto timeout_at = timeout_of(at, scope);
    if (!timeout_at) return fail_expression(at, timeout_at.error());
    scheduled.timeout_at = *timeout_at;
  }
  emit(std::move(scheduled));
  out_.effects.push_back(StartChild{at.path});
  return Progress::waiting;
}

void Decider::stop_child(const Located& at) {
  StepState& step = step_state(at.path);
  if (step.child_stopped) return;
  emit(ChildStopped{at.path});
  out_.effects.push_back(CancelChild{at.path});
}

void Decider::child_changed(const ChildChanged& changed) {
  if (is_terminal(state().status)) return;
  for (const auto& path : state().open) {
    const StepState& step = state().steps.find(path)->second;
    if (!step.child || step.child->id != changed.child) continue;
    const auto at = locate(definition(), path);
    if (!at) return;
    if (step.status == StepStatus::compensating)
      child_undone(*at, changed);
    else
      child_ended(*at, changed);
    return advance();
  }
}

/// The child's state is the step's: what suspends it suspends the parent until it goes on.
void Decider::child_ended(const Located& at, const ChildChanged& changed) {
  const Suspension* suspension = suspension_at(at.path);
  const bool suspended = suspension != nullptr;
  // It failed where nothing may fail; told again, that is no news.
  if (suspended && suspension->cause == SuspensionCause::step) return;
  const auto goes_on = [&] {
    if (suspended) act({"child", at.path, "", ""});
  };
  const std::string child = "the saga " + changed.child.text();
  switch (changed.status) {
    case SagaStatus::running:
    case SagaStatus::compensating:
      return goes_on();
    case SagaStatus::completed:
      goes_on();
      if (auto error = over_limit(changed.output)) {
        StepSucceeded succeeded{at.path, nullptr, nullptr};
        if (may_fail_once_done(at))
          succeeded.failure = failure(error->reason, "failure", error->message, at.path);
        const bool fails = succeeded.failure.has_value();
        emit(std::move(succeeded));
        return fails ? void() : suspend(error->reason, error->message, at.path, Phase::forward);
      }
      return emit(StepSucceeded{at.path, changed.output, nullptr});
    case SagaStatus::failed: {
      goes_on();
      Failure why = changed.failure.value_or(failure("FAILED", "failure", "", at.path));
      if (step_state(at.path).child_stopped && why.failure_class == "cancelled") {
        const auto& timeout = step_state(at.path).timeout_at;
        why = timeout && *timeout <= now()
                  ? failure("STEP_TIMEOUT", "timeout", "the step's timeout passed", at.path)
                  : stopped_failure(at.path);
      }
      why.details = {{"child", changed.child.text()}, {"step", why.step}, {"details", why.details}};
      why.step = at.path;
      return known_not_done(at, std::move(why));
    }
    case SagaStatus::failed_incomplete:
    case SagaStatus::suspended: {
      if (suspended) return;
      const bool waits = changed.status == SagaStatus::suspended;
      Suspension why;
      why.reason = waits ? "CHILD_SUSPENDED" : child_incomplete;
      why.message =
          child + (waits ? " is suspended" : " could not be undone completely") +
          (changed.failure ? ": " + changed.failure->code + ", " + changed.failure->message : "");
      why.step = at.path;
      why.cause = waits ? SuspensionCause::child_suspended : SuspensionCause::child_incomplete;
      return suspend(std::move(why));
    }
  }
}

void Decider::child_undone(const Located& at, const ChildChanged& changed) {
  const bool suspended = suspension_at(at.path) != nullptr;
  switch (changed.status) {
    case SagaStatus::running:
    case SagaStatus::completed:
      return;
    case SagaStatus::compensating:
      if (suspended) act({"child", at.path, "", ""});
      return;
    case SagaStatus::failed:
      if (suspended) act({"child", at.path, "", ""});
      return emit(StepCompensated{at.path});
    case SagaStatus::failed_incomplete:
    case SagaStatus::suspended:
      if (suspended) return;
      return suspend(
          "COMPENSATION_FAILED",
          "the saga " + changed.child.text() +
              (changed.status == SagaStatus::suspended ? " is suspended while it is undone"
                                                       : " could not be undone completely"),
          at.path, Phase::compensate);
  }
}

bool Decider::undoes_child(const Located& at) const {
  return std::holds_alternative<dsl::SubSaga>(at.step->body) &&
         (std::holds_alternative<dsl::AutoCompensation>(at.step->undo) ||
          (std::holds_alternative<dsl::NoCompensation>(at.step->undo) &&
           at.step->kind == dsl::StepKind::compensatable));
}

Progress Decider::begin_undo_of_child(const Located& at) {
  emit(ChildUndoScheduled{at.path});
  out_.effects.push_back(UndoChild{at.path});
  return Progress::waiting;
}

void Decider::undone_by_parent(const UndoneByParent& undone) {
  switch (state().status) {
    case SagaStatus::completed:
      if (state().pivot_passed)
        return refuse("pivot-passed", "The saga has passed its pivot and is never undone.");
      emit(SagaReopened{undone.failure});
      return advance();
    case SagaStatus::failed:
    case SagaStatus::failed_incomplete:
    case SagaStatus::suspended:
      // Undone already, or stuck: the parent has not heard of it.
      out_.effects.push_back(TellParent{});
      return;
    case SagaStatus::running:
    case SagaStatus::compensating:
      return;
  }
}

std::vector<Effect> effects_to_repeat(const SagaState& state) {
  std::vector<Effect> effects;
  for (const auto& path : state.open) {
    const StepState& step = state.steps.find(path)->second;
    if (!step.child) continue;
    if (step.status == StepStatus::compensating && !step.undo.request)
      effects.push_back(UndoChild{path});
    else if (step.status == StepStatus::waiting && step.child_stopped)
      effects.push_back(CancelChild{path});
    if (step.status == StepStatus::waiting) effects.push_back(StartChild{path});
  }
  return effects;
}

}  // namespace backstitch::engine

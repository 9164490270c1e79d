#include <backstitch/base/match.hpp>

#include "decider.hpp"

namespace backstitch::engine {

bool Decider::stop_wanted() const {
  return state().status == SagaStatus::running && !state().pivot_passed &&
         (state().cancel_requested || state().deadline_passed);
}

Failure Decider::stop_failure() const {
  if (state().cancel_requested)
    return failure("CANCELLED", "cancelled", "the saga was cancelled", "");
  return failure("SAGA_TIMEOUT", "timeout",
                 "the saga did not get to its pivot or end within its timeout", "");
}

/// Before the pivot a failure leads back; after it, in handlers and under forward recovery only on.
bool Decider::may_go_back(const Located& at) const {
  return !at.handler && !state().pivot_passed && state().status == SagaStatus::running &&
         definition().recovery == dsl::Recovery::backward;
}

void Decider::run_main_line() {
  const Progress progress = run_steps(definition().steps, "", false);
  if (state().status != SagaStatus::running) return;
  if (progress != Progress::done) return;
  // A cancel that was accepted, or a deadline, is kept up to the very end.
  if (stop_wanted()) return go_back(stop_failure());
  complete();
}

Progress Decider::run_steps(const dsl::Steps& steps, const std::string& prefix, bool handlers) {
  for (const auto& step : steps) {
    const Progress progress = run_step({&step, prefix + step.name, handlers});
    if (progress != Progress::done) return progress;
  }
  return Progress::done;
}

Progress Decider::run_step(const Located& at) {
  const auto found = state().steps.find(at.path);
  const StepStatus status =
      found == state().steps.end() ? StepStatus::pending : found->second.status;
  switch (status) {
    case StepStatus::succeeded:
    case StepStatus::skipped:
      return Progress::done;
    case StepStatus::running:
    case StepStatus::waiting:
      return Progress::waiting;
    case StepStatus::pending:
      break;
    case StepStatus::failed:
    case StepStatus::unknown:
    case StepStatus::compensating:
    case StepStatus::compensated:
    case StepStatus::compensation_failed:
    case StepStatus::compensation_skipped:
      return Progress::failed;
  }
  if (!at.handler && stop_wanted()) {
    go_back(stop_failure());
    return Progress::failed;
  }
  return begin(at);
}

Progress Decider::begin(const Located& at) {
  if (at.step->when) {
    const SagaScope scope = scope_of(at, Phase::forward);
    dsl::Budget budget;
    const auto holds = at.step->when->evaluate_condition(scope, budget);
    if (!holds) return fail_expression(at, holds.error());
    if (!*holds) {
      emit(StepSkipped{at.path});
      return Progress::done;
    }
  }
  const auto not_run = [&](const auto&) -> Progress {
    throw InvariantViolation("registration refuses blocks that this engine does not run");
  };
  return std::visit(Match{[&](const dsl::Action& action) { return begin_action(at, action); },
                          [&](const dsl::Value& value) { return begin_value(at, value); },
                          [&](const dsl::Fail& fail) { return begin_fail(at, fail); },
                          [&](const dsl::SubSaga& block) { return not_run(block); },
                          [&](const dsl::Parallel& block) { return not_run(block); },
                          [&](const dsl::Switch& block) { return not_run(block); },
                          [&](const dsl::ForEach& block) { return not_run(block); },
                          [&](const dsl::Try& block) { return not_run(block); },
                          [&](const dsl::Wait& block) { return not_run(block); },
                          [&](const dsl::Sleep& block) { return not_run(block); }},
                    at.step->body);
}

Progress Decider::begin_action(const Located& at, const dsl::Action& action) {
  const SagaScope scope = scope_of(at, Phase::forward);
  auto request = render(program_, state(),
                        {at.path, Phase::forward, action.request, action.request.service,
                         action.attempt_timeout ? &*action.attempt_timeout : nullptr},
                        scope);
  if (!request) return fail_expression(at, request.error());
  std::optional<TimePoint> timeout_at;
  const auto& limit = at.step->timeout ? at.step->timeout : definition().default_step_timeout;
  if (limit) {
    const auto timeout = duration_of(*limit, scope);
    if (!timeout) return fail_expression(at, timeout.error());
    timeout_at = now() + *timeout;
  }
  emit(StepScheduled{at.path, std::move(*request), timeout_at});
  call(at.path, Phase::forward);
  return Progress::waiting;
}

Progress Decider::begin_value(const Located& at, const dsl::Value& value) {
  const SagaScope scope = scope_of(at, Phase::forward);
  dsl::Budget budget;
  auto output = value.value.render(scope, budget);
  if (!output) return fail_expression(at, output.error());
  emit(StepSucceeded{at.path, std::move(*output), nullptr});
  return Progress::done;
}

Progress Decider::begin_fail(const Located& at, const dsl::Fail& fail) {
  Failure why = failure(fail.code, "failure", "", at.path);
  const SagaScope scope = scope_of(at, Phase::forward);
  dsl::Budget budget;
  if (fail.message) {
    auto message = fail.message->render_text(scope, budget);
    if (!message) return fail_expression(at, message.error());
    why.message = std::move(*message);
  }
  if (fail.details) {
    auto details = fail.details->render(scope, budget);
    if (!details) return fail_expression(at, details.error());
    why.details = std::move(*details);
  }
  known_not_done(at, std::move(why));
  return Progress::failed;
}

Progress Decider::fail_expression(const Located& at, const Error& error) {
  if (may_go_back(at)) {
    known_not_done(at, failure("EXPRESSION_FAILED", "failure", error.message, at.path));
  } else {
    suspend("EXPRESSION_FAILED", error.message, at.path, Phase::forward);
  }
  return Progress::failed;
}

void Decider::complete() {
  if (definition().output) {
    const SagaScope scope(state());
    dsl::Budget budget;
    const auto output = definition().output->render(scope, budget);
    if (!output) {
      const bool back = !state().pivot_passed && definition().recovery == dsl::Recovery::backward;
      if (back) return go_back(failure("EXPRESSION_FAILED", "failure", output.error().message, ""));
      return suspend("EXPRESSION_FAILED", output.error().message, "", Phase::forward);
    }
  }
  end(SagaStatus::completed);
}

}  // namespace backstitch::engine

#include <algorithm>
#include <utility>

#include <backstitch/base/match.hpp>

#include "decider.hpp"
#include "limits.hpp"

namespace backstitch::engine {
namespace {

Progress progress_of(StepStatus status) {
  switch (status) {
    case StepStatus::succeeded:
    case StepStatus::skipped:
      return Progress::done;
    case StepStatus::pending:
    case StepStatus::running:
    case StepStatus::waiting:
      return Progress::waiting;
    case StepStatus::failed:
    case StepStatus::unknown:
    case StepStatus::compensating:
    case StepStatus::compensated:
    case StepStatus::compensation_failed:
    case StepStatus::compensation_skipped:
      return Progress::failed;
  }
  return Progress::failed;
}

/// As it stands among the failures beside the first one of a block.
Json listed(const Failure& failure) {
  constexpr std::size_t message_max = 200;
  return {{"code", failure.code},
          {"class", failure.failure_class},
          {"message", cut_text(failure.message, message_max)},
          {"step", failure.step.empty() ? Json() : Json(failure.step)}};
}

Error limit(std::string what) {
  return {ErrorCode::invalid, "LIMIT_EXCEEDED", std::move(what)};
}

}  // namespace

bool Decider::stop_wanted() const {
  const bool forward = !state().failure && !is_terminal(state().status);
  // Where there is no way back the deadline is only worth a notice.
  const bool late = state().deadline_passed && definition().recovery == dsl::Recovery::backward;
  return forward && !state().pivot_passed && (state().cancel_requested || late);
}

Failure Decider::stop_failure() const {
  if (state().cancel_requested)
    return failure("CANCELLED", "cancelled", "the saga was cancelled", "");
  return failure("SAGA_TIMEOUT", "timeout",
                 "the saga did not get to its pivot or end within its timeout", "");
}

bool Decider::stopped_by(const Frame& frame) const {
  const auto found = state().blocks.find(frame.path);
  if (found == state().blocks.end() || found->second.failures.empty()) return false;
  if (const auto* block = std::get_if<dsl::Parallel>(&frame.block->body))
    return block->on_failure == dsl::OnBranchFailure::cancel;
  if (const auto* block = std::get_if<dsl::ForEach>(&frame.block->body))
    return block->on_failure == dsl::OnBranchFailure::cancel;
  return false;
}

bool Decider::stopping(const Located& at) const {
  return at.area == Area::main &&
         (stop_wanted() || std::any_of(at.frames.begin(), at.frames.end(),
                                       [this](const Frame& frame) { return stopped_by(frame); }));
}

bool Decider::stopping(const ListPlace& list) const {
  return list.area == Area::main &&
         (stop_wanted() || std::any_of(list.frames.begin(), list.frames.end(),
                                       [this](const Frame& frame) { return stopped_by(frame); }));
}

Failure Decider::stopped_failure(const StepPath& path) const {
  Failure why = stop_wanted() ? stop_failure()
                              : failure("CANCELLED", "cancelled",
                                        "stopped, because a step beside it failed", path);
  why.step = path;
  return why;
}

bool Decider::may_fail(const Located& at) const {
  return at.area == Area::on_suspended || (at.area == Area::main && !state().pivot_passed &&
                                           definition().recovery == dsl::Recovery::backward);
}

bool Decider::may_fail_once_done(const Located& at) const {
  return may_fail(at) && at.step->kind != dsl::StepKind::pivot;
}

/// Branches beyond the bound wait; an open step always ends, so their turn comes.
bool Decider::room_for_branch() const {
  return state().open.size() < branches_open_max;
}

void Decider::run_main_line(const Failure* because) {
  const Progress progress = run_steps(main_line(definition()));
  if (state().status != SagaStatus::running || progress == Progress::waiting) return;
  if (because != nullptr) return go_back(*because);
  // A cancel that was accepted, or a deadline, is kept up to the very end.
  if (stop_wanted()) return go_back(stop_failure());
  if (progress == Progress::done) return complete();
  for (const auto& step : definition().steps) {
    const auto found = state().steps.find(step.name);
    if (found != state().steps.end() && found->second.failure &&
        found->second.status != StepStatus::skipped)
      return go_back(*found->second.failure);
  }
}

void Decider::see_what_failed() {
  if (!std::exchange(resumed_, false) || state().status != SagaStatus::running) return;
  begins_nothing_ = true;
  run_main_line();
  begins_nothing_ = false;
}

void Decider::run_suspension_handlers() {
  const auto& suspensions = state().suspensions;
  const bool asked_for = std::all_of(suspensions.begin(), suspensions.end(),
                                     [](const Suspension& one) { return one.by_operator; });
  if (definition().on_suspended.empty() || asked_for) return;
  run_steps(suspension_handlers(definition(), state().suspended_times));
}

Progress Decider::run_steps(const ListPlace& list) {
  for (const auto& step : *list.steps) {
    const Progress progress = run_step(locate_in(list, step));
    if (progress != Progress::done) return progress;
  }
  return Progress::done;
}

Progress Decider::run_step(const Located& at) {
  const auto found = state().steps.find(at.path);
  if (found == state().steps.end() || found->second.status == StepStatus::pending) {
    // A suspended saga begins nothing but the notice of it.
    const bool stands = state().status == SagaStatus::suspended || begins_nothing_;
    if (stands && at.area != Area::on_suspended) return Progress::waiting;
    if (stopping(at)) return Progress::failed;
    return has_room() ? begin(at) : Progress::waiting;
  }
  const StepStatus status = found->second.status;
  if (status == StepStatus::running || status == StepStatus::waiting) return run_open(at);
  if (status == StepStatus::succeeded && found->second.failure) return Progress::failed;
  return progress_of(status);
}

Progress Decider::run_open(const Located& at) {
  if (const auto* block = std::get_if<dsl::Parallel>(&at.step->body))
    return run_parallel(at, *block);
  if (const auto* block = std::get_if<dsl::Switch>(&at.step->body)) return run_switch(at, *block);
  if (const auto* block = std::get_if<dsl::ForEach>(&at.step->body))
    return run_for_each(at, *block);
  if (const auto* block = std::get_if<dsl::Try>(&at.step->body)) return run_try(at, *block);
  if (!stopping(at)) return Progress::waiting;
  const StepState& step = step_state(at.path);
  const bool was_queued = is_queued(at.path, Phase::forward);
  if (was_queued) withdraw(at, stopped_failure(at.path));
  if (step.child) {
    stop_child(at);
  } else if (!std::holds_alternative<dsl::Action>(at.step->body)) {
    emit(StepFailed{at.path, stopped_failure(at.path)});
  } else if (step.status == StepStatus::running &&
             (at.step->kind != dsl::StepKind::pivot || was_queued) && !step.forward.in_flight &&
             !step.probe.in_flight && !step.probe.retry_at) {
    // Calls that were sent are waited for; what would be sent again is not.
    Verdict last;
    last.code = stopped_failure(at.path).code;
    last.message = "not tried again, because the saga does not go on here";
    give_up_forward(at, last);
  } else if (step.status == StepStatus::waiting && at.step->kind != dsl::StepKind::pivot &&
             (!step.poll.in_flight || is_queued(at.path, Phase::poll))) {
    settle_completion(at);
  }
  return progress_of(step_state(at.path).status);
}

Progress Decider::begin(const Located& at) {
  // Handlers run on what is left, or nobody would hear of the saga that got too large.
  const bool full = state().events >= events_max || state().bytes >= state_bytes_max;
  if (full && at.area == Area::main) {
    return fail_expression(
        at, limit("the saga has got too large: " + std::to_string(state().events) + " events, " +
                  std::to_string(state().bytes) + " bytes of data"));
  }
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
  return std::visit(Match{[&](const dsl::Action& action) { return begin_action(at, action); },
                          [&](const dsl::Value& value) { return begin_value(at, value); },
                          [&](const dsl::Fail& fail) { return begin_fail(at, fail); },
                          [&](const dsl::SubSaga& saga) { return begin_child(at, saga); },
                          [&](const dsl::Parallel&) { return begin_parallel(at); },
                          [&](const dsl::Switch& block) { return begin_switch(at, block); },
                          [&](const dsl::ForEach& block) { return begin_for_each(at, block); },
                          [&](const dsl::Try& block) { return begin_try(at, block); },
                          [&](const dsl::Wait& wait) { return begin_wait(at, wait); },
                          [&](const dsl::Sleep& sleep) { return begin_sleep(at, sleep); }},
                    at.step->body);
}

Result<std::optional<TimePoint>> Decider::timeout_of(const Located& at,
                                                     const SagaScope& scope) const {
  const auto& limit = at.step->timeout ? at.step->timeout : definition().default_step_timeout;
  if (!limit) return std::optional<TimePoint>{};
  const auto timeout = duration_of(*limit, scope);
  if (!timeout) return timeout.error();
  return std::optional<TimePoint>(now() + *timeout);
}

Progress Decider::begin_action(const Located& at, const dsl::Action& action) {
  std::string token;
  if (action.completion && action.completion->callback)
    token = callback_token(program_, state(), at);
  const std::string url = callback_url(program_, token);
  const std::string key = action_key(at);
  SagaScope scope = scope_without_self(at, Phase::forward);
  scope.set_self(forward_self(key, url));
  auto request = render(program_, state(),
                        {at, Phase::forward, action.request, action.request.service, key,
                         action.attempt_timeout ? &*action.attempt_timeout : nullptr},
                        scope);
  if (!request) return fail_expression(at, request.error());
  request->callback = url;
  const auto timeout_at = timeout_of(at, scope);
  if (!timeout_at) return fail_expression(at, timeout_at.error());
  if (const auto error = trial_before_sending(at, key, scope)) return fail_expression(at, *error);
  emit(StepScheduled{at.path, std::move(*request), *timeout_at, std::move(token)});
  call(at.path, Phase::forward);
  return Progress::waiting;
}

Progress Decider::begin_value(const Located& at, const dsl::Value& value) {
  const SagaScope scope = scope_of(at, Phase::forward);
  dsl::Budget budget;
  auto output = value.value.render(scope, budget);
  if (!output) return fail_expression(at, output.error());
  return finish_step(at, std::move(*output));
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
  if (!may_fail(at)) {
    suspend(error.reason, error.message, at.path, Phase::forward);
    return Progress::waiting;
  }
  emit(StepFailed{at.path, failure(error.reason, "failure", error.message, at.path)});
  return Progress::failed;
}

std::optional<Error> Decider::over_limit(const Json& output) const {
  const std::size_t bytes = json_size(output);
  if (bytes > output_bytes_max) return limit("the step's output is larger than 256 KiB");
  const std::size_t most = state().failure || state().status == SagaStatus::suspended
                               ? 2 * state_bytes_max
                               : state_bytes_max;
  if (state().bytes + bytes > most)
    return limit("with the step's output the saga's data would be larger than 8 MiB");
  return std::nullopt;
}

Progress Decider::finish_step(const Located& at, Json output) {
  if (const auto error = over_limit(output)) return fail_expression(at, *error);
  emit(StepSucceeded{at.path, std::move(output), nullptr});
  return Progress::done;
}

Progress Decider::render_output(const Located& at, const std::optional<dsl::Template>& output,
                                const Failure* seen) {
  if (!output) return finish_step(at, nullptr);
  if (!has_room()) return Progress::waiting;
  SagaScope scope = scope_of(at, Phase::forward);
  if (seen != nullptr) scope.set_failure(*seen);
  dsl::Budget budget;
  auto rendered = output->render(scope, budget);
  if (!rendered) return fail_expression(at, rendered.error());
  return finish_step(at, std::move(*rendered));
}

/// The first failure in time is the failure; the others stand in its details, without details of
/// their own. What was only stopped because of it is none.
Progress Decider::fail_block(const Located& at) {
  const auto& failures = block_state(at.path).failures;
  if (failures.empty()) {
    emit(StepFailed{at.path, stopped_failure(at.path)});
    return Progress::failed;
  }
  Failure why = failures.front();
  Json others = Json::array();
  for (auto other = failures.begin() + 1; other != failures.end(); ++other) {
    if (other->failure_class != "cancelled") others.push_back(listed(*other));
  }
  if (!others.empty()) {
    const std::size_t room = details_room();
    const std::size_t taken = json_size(others) + 64;
    why.details = {{"details", bounded_details(why.details, room > taken ? room - taken : 0)},
                   {"others", std::move(others)}};
  }
  emit(StepFailed{at.path, std::move(why)});
  return Progress::failed;
}

void Decider::complete() {
  if (!definition().output) return end(SagaStatus::completed);
  if (!has_room()) return;
  const SagaScope scope(program_, state(), &meter_);
  dsl::Budget budget;
  auto output = definition().output->render(scope, budget);
  const auto error = output ? over_limit(*output) : std::optional(output.error());
  if (!error) return end(SagaStatus::completed, std::move(*output));
  const bool back = !state().pivot_passed && definition().recovery == dsl::Recovery::backward;
  if (back) return go_back(failure(error->reason, "failure", error->message, ""));
  suspend(error->reason, error->message, "", Phase::forward);
}

}  // namespace backstitch::engine

/// What a step comes to: succeeded, known not done, or unknown for good.
#include <algorithm>

#include "decider.hpp"
#include "limits.hpp"

namespace backstitch::engine {
namespace {

using dsl::OutcomeClass;

Error too_large(const std::string& what) {
  return {ErrorCode::invalid, "LIMIT_EXCEEDED", what};
}

bool reads(const dsl::Expression& source, std::string_view root) {
  const auto& read = source.references();
  return std::any_of(read.begin(), read.end(),
                     [&](const auto& reference) { return reference.root == root; });
}

bool reads_self(const dsl::Template& source) {
  const auto& all = source.expressions();
  return std::any_of(all.begin(), all.end(),
                     [](const auto& one) { return reads(one.expression, "self"); });
}

/// Whether an undo that could be rendered before its step was sent may fail for the step's output.
bool depends_on_answer(const dsl::Compensation& undo) {
  const dsl::Request& request = undo.request;
  const auto any_reads_self = [](const auto& fields) {
    return std::any_of(fields.begin(), fields.end(),
                       [](const auto& field) { return reads_self(field.value); });
  };
  return (undo.when && reads(*undo.when, "self")) || (request.path && reads_self(*request.path)) ||
         (request.body && reads_self(*request.body)) || any_reads_self(request.query) ||
         any_reads_self(request.headers);
}

/// Whether a probe always finds out what became of the step.
bool is_outcome_known(const dsl::Action& action) {
  return action.probe && action.probe->sealed;
}

}  // namespace

StepState state_after(const StepSucceeded& succeeded) {
  StepState then;
  then.output = succeeded.output;
  then.captured = succeeded.captured;
  return then;
}

std::string Decider::action_key(const Located& at) const {
  const auto found = state().steps.find(at.path);
  const bool scheduled = found != state().steps.end() && !found->second.key.empty();
  if (scheduled) return found->second.key;
  const auto* action = std::get_if<dsl::Action>(&at.step->body);
  return key_of(
      program_, state(), at, Phase::forward,
      action == nullptr ? std::string{} : participant_of(definition(), action->request.service));
}

SagaScope Decider::scope_without_self(const Located& at, Phase phase) const {
  SagaScope scope(program_, state(), at.frames, at.indexes, &meter_);
  if (const auto why = failure_seen(state(), at, phase)) scope.set_failure(*why);
  return scope;
}

SagaScope Decider::scope_of(const Located& at, Phase phase) const {
  SagaScope scope = scope_without_self(at, phase);
  const std::string key = action_key(at);
  const auto found = state().steps.find(at.path);
  if (phase == Phase::compensate) {
    scope.set_self(undo_self(found->second, key));
  } else {
    const std::string token =
        found == state().steps.end() ? std::string{} : found->second.callback_token;
    scope.set_self(forward_self(key, callback_url(program_, token)));
  }
  return scope;
}

/// A success with its output mapped, its data captured, and its undo tried out: a template that is
/// broken fails the saga now and not a week later.
void Decider::succeed_with(const Located& at, const std::optional<dsl::Template>& output,
                           const SagaScope& scope, std::string note) {
  const dsl::Action& action = action_of(at);
  const Json* response = scope.find("response");
  StepSucceeded succeeded{at.path, response != nullptr ? (*response)["body"] : Json(), nullptr};
  succeeded.note = std::move(note);
  dsl::Budget budget;
  const auto render = [&](const dsl::Template& source, Json& into) -> std::optional<Error> {
    auto rendered = source.render(scope, budget);
    if (!rendered) return rendered.error();
    into = std::move(*rendered);
    return std::nullopt;
  };
  std::optional<Error> broken;
  if (output) broken = render(*output, succeeded.output);
  if (!broken) broken = over_limit(succeeded.output);
  if (broken) succeeded.output = nullptr;
  // Captured all the same: the compensation may need nothing else.
  std::optional<Error> lost;
  if (action.capture) lost = render(*action.capture, succeeded.captured);
  if (!lost && json_size(succeeded.captured) > captured_bytes_max)
    lost = too_large("the captured data is larger than 64 KiB");
  if (lost) succeeded.captured = nullptr;
  if (!broken) broken = lost;
  const auto* undo = std::get_if<dsl::Compensation>(&at.step->undo);
  if (!broken && undo != nullptr && (is_outcome_known(action) || depends_on_answer(*undo)))
    broken = trial_of_undo(at, state_after(succeeded), std::nullopt);
  if (!broken) return emit(std::move(succeeded));
  if (!scope.unreadable_body().empty())
    broken->message += "; the answer's body is unreadable: " + scope.unreadable_body();
  Failure why = failure(broken->reason, "failure", broken->message, at.path);
  if (response != nullptr && json_size(*response) <= output_bytes_max)
    why.details = {{"response", *response}};
  if (!may_fail_once_done(at)) {
    emit(std::move(succeeded));
    return suspend(why.code, why.message, at.path, Phase::forward);
  }
  succeeded.failure = std::move(why);
  emit(std::move(succeeded));
}

std::optional<Error> Decider::trial_before_sending(const Located& at, const std::string& key,
                                                   SagaScope& scope) const {
  if (is_outcome_known(action_of(at))) return std::nullopt;
  StepState then;
  then.effect_unknown = true;
  return trial_of_undo(at, then, std::nullopt, key, scope);
}

std::optional<Error> Decider::trial_of_undo(const Located& at, const StepState& then,
                                            const std::optional<Failure>& why) const {
  if (!std::holds_alternative<dsl::Compensation>(at.step->undo)) return std::nullopt;
  SagaScope scope = scope_without_self(at, Phase::forward);
  return trial_of_undo(at, then, why, action_key(at), scope);
}

std::optional<Error> Decider::trial_of_undo(const Located& at, const StepState& then,
                                            const std::optional<Failure>& why,
                                            const std::string& key, SagaScope& scope) const {
  const auto* undo = std::get_if<dsl::Compensation>(&at.step->undo);
  if (undo == nullptr || state().pivot_passed) return std::nullopt;
  scope.set_self(undo_self(then, key));
  // Where the real failure is not known yet, one of the same shape stands in for it.
  scope.set_failure(why.value_or(Failure{"TRIAL", "failure", "", at.path, nullptr}));
  return trial_render(at, *undo, key, scope);
}

bool Decider::undo_needs_only_the_key(const Located& at) const {
  const auto* undo = std::get_if<dsl::Compensation>(&at.step->undo);
  // Only behind a sealed probe the checker lets a compensation take the outcome for certain (E411).
  if (undo == nullptr || !is_outcome_known(action_of(at))) return true;
  SagaScope scope = scope_of(at, Phase::forward);
  // Without output and captured data: a template that reads them fails.
  scope.set_self({{"key", action_key(at)}, {"outcome", "unknown"}});
  scope.set_failure(stopped_failure(at.path));
  return !trial_render(at, *undo, action_key(at), scope);
}

std::optional<Error> Decider::trial_render(const Located& at, const dsl::Compensation& undo,
                                           const std::string& key, const SagaScope& scope) const {
  if (undo.when) {
    dsl::Budget budget;
    const auto holds = undo.when->evaluate_condition(scope, budget);
    if (!holds) return holds.error();
    // What depends on the failure may hold for another one.
    if (!*holds && !reads(*undo.when, "failure")) return std::nullopt;
  }
  const auto* action = std::get_if<dsl::Action>(&at.step->body);
  const std::string service = action != nullptr ? action->request.service : std::string{};
  return cannot_render(program_, {at, Phase::compensate, undo.request, service, key, nullptr},
                       scope);
}

void Decider::probe_or_unknown(const Located& at, const Verdict& last) {
  const dsl::Action& action = action_of(at);
  if (at.step->kind == dsl::StepKind::readonly && !action.probe) return nothing_read(at, last);
  const Failure why = failure(
      "OUTCOME_UNKNOWN", "unknown",
      "it is not known whether the step took effect; the last: " + last.code + ", " + last.message,
      at.path);
  if (!action.probe) return stays_unknown(at, why);
  const SagaScope scope = scope_of(at, Phase::probe);
  auto request = render(
      program_, state(),
      {at, Phase::probe, action.probe->request, action.request.service, step_state(at.path).key,
       action.probe->attempt_timeout ? &*action.probe->attempt_timeout : nullptr},
      scope);
  if (!request)
    return probe_undecided(
        at, failure(request.error().reason, "unknown", request.error().message, at.path));
  emit(ProbeScheduled{at.path, std::move(*request)});
  call(at.path, Phase::probe);
}

/// What only reads has no effect that could be unknown: it is not done, as if no attempt had left.
void Decider::nothing_read(const Located& at, const Verdict& last) {
  if (stopping(at)) return known_not_done(at, stopped_failure(at.path));
  if (last.code == "STEP_TIMEOUT")
    return known_not_done(at, failure(last.code, "timeout", last.message, at.path));
  retries_exhausted(at, last);
}

void Decider::retries_exhausted(const Located& at, const Verdict& last) {
  const std::uint32_t attempts = step_state(at.path).forward.attempts;
  known_not_done(at, failure("RETRIES_EXHAUSTED", "transient",
                             "given up after " + std::to_string(attempts) +
                                 " attempt(s); the last: " + last.code + ", " + last.message,
                             at.path));
}

/// Unknown for good: undone by key where that is possible, else a person has to look.
void Decider::stays_unknown(const Located& at, const Failure& why) {
  if (at.area == Area::on_suspended) return known_not_done(at, why);
  if (!may_fail_once_done(at)) return suspend(why.code, why.message, at.path, Phase::forward);
  if (at.step->kind == dsl::StepKind::readonly) return known_not_done(at, why);
  const auto* service = program_.service(action_of(at).request.service);
  const bool quiet = service != nullptr && service->quiet_period.count() > 0;
  emit(StepUnknown{at.path, why,
                   quiet ? std::optional(now() + service->quiet_period) : std::nullopt});
}

/// The step fails, or, where nothing can fail any more, waits for a person.
void Decider::known_not_done(const Located& at, Failure why) {
  if (may_fail(at)) return emit(StepFailed{at.path, std::move(why)});
  const std::string message = why.message.empty() ? why.code : why.message;
  // The attempt has to end even where the step cannot fail.
  if (step_state(at.path).forward.in_flight) {
    emit(AttemptFailed{at.path, Phase::forward, step_state(at.path).forward.attempts,
                       OutcomeClass::failure, why, std::nullopt});
  }
  suspend(why.code, message, at.path, Phase::forward);
}

}  // namespace backstitch::engine

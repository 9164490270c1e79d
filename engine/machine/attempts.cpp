#include <algorithm>

#include "decider.hpp"

namespace backstitch::engine {
namespace {

using dsl::OutcomeClass;

constexpr std::size_t output_bytes_max = 256 * 1024;

const dsl::Action& action_of(const Located& at) {
  return std::get<dsl::Action>(at.step->body);
}
const dsl::Compensation* undo_of(const Located& at) {
  return std::get_if<dsl::Compensation>(&at.step->undo);
}

std::string class_of(OutcomeClass outcome) {
  return outcome == OutcomeClass::pending ? "unknown" : dsl::to_text(outcome);
}

/// Attempts of the present budget, and whether another one fits in it.
bool may_try_again(const RetryPolicy& policy, const CallState& call, const Verdict& verdict,
                   TimePoint next) {
  const bool wanted =
      verdict.outcome == OutcomeClass::transient ? policy.on_transient : policy.on_unknown;
  const bool excepted =
      std::find(policy.except.begin(), policy.except.end(), verdict.code) != policy.except.end();
  const bool attempts_left =
      !policy.attempts_max || call.attempts - call.attempts_before < *policy.attempts_max;
  const bool time_left =
      !policy.elapsed_max || !call.first_at || next - *call.first_at <= *policy.elapsed_max;
  return wanted && !excepted && attempts_left && time_left;
}

}  // namespace

SagaScope Decider::scope_of(const Located& at, Phase phase) const {
  SagaScope scope(state());
  const std::string key = key_of(state().id, at.path, Phase::forward);
  if (phase == Phase::compensate) {
    scope.set_self(undo_self(state().steps.find(at.path)->second, key));
  } else {
    scope.set_self(forward_self(key));
  }
  if (state().failure) scope.set_failure(*state().failure);
  return scope;
}

dsl::Idempotency Decider::idempotency_of(const Located& at) const {
  const auto* service = program_.service(action_of(at).request.service);
  return service == nullptr ? dsl::Idempotency::key : service->idempotency;
}

std::vector<const std::vector<dsl::OutcomeRule>*> Decider::rules_of(const Located& at,
                                                                    Phase phase) const {
  const dsl::Action& action = action_of(at);
  const dsl::Request* request = &action.request;
  const std::vector<dsl::OutcomeRule>* own = &action.outcomes;
  if (phase == Phase::probe) {
    request = &action.probe->request;
    own = &action.probe->outcomes;
  } else if (phase == Phase::compensate) {
    request = &undo_of(at)->request;
    own = &undo_of(at)->outcomes;
  }
  std::vector<const std::vector<dsl::OutcomeRule>*> rules{own};
  const std::string& name = request->service.empty() ? action.request.service : request->service;
  // A service's rules speak of its answers to actions; "not seen" is what a probe is asked for.
  if (const auto* service = program_.service(name); service != nullptr)
    rules.push_back(&service->outcomes);
  return rules;
}

Result<RetryPolicy> Decider::policy_of(const Located& at, Phase phase, bool unknown) const {
  const dsl::Action& action = action_of(at);
  const auto* service = program_.service(action.request.service);
  const SagaScope scope = scope_of(at, phase);
  if (phase == Phase::compensate)
    return resolve(RetryUse::compensation, {&undo_of(at)->retry}, scope);
  const bool forward_only =
      at.handler || state().pivot_passed || definition().recovery == dsl::Recovery::forward;
  RetryUse use = RetryUse::forward;
  if (at.step->kind == dsl::StepKind::pivot)
    use = unknown ? RetryUse::pivot_unknown : RetryUse::pivot_transient;
  else if (forward_only)
    use = RetryUse::retryable;
  if (phase == Phase::probe) return resolve(use, {&action.probe->retry}, scope);
  return resolve(
      use,
      {&definition().default_retry, service != nullptr ? &service->retry : nullptr, &action.retry},
      scope);
}

void Decider::call_ended(const CallEnded& ended) {
  const auto at = locate(ended.path);
  if (!at || !is_open()) return;
  const auto found = state().steps.find(ended.path);
  if (found == state().steps.end()) return;
  const CallState& call = call_of(found->second, ended.phase);
  // Late: the attempt was given up, or the saga is being run by others.
  if (!call.in_flight || call.attempts != ended.attempt) return;
  SagaScope scope = scope_of(*at, ended.phase);
  const Verdict verdict = classify(ended.result, rules_of(*at, ended.phase), scope);
  if (verdict.outcome == OutcomeClass::success && ended.phase != Phase::compensate) {
    const dsl::Action& action = action_of(*at);
    const bool own = ended.phase == Phase::probe && action.probe->output;
    SagaScope kept = std::move(scope);
    succeed_with(*at, action, own ? action.probe->output : action.output, kept);
  } else {
    attempt_ended(*at, ended.phase, verdict);
  }
  advance();
}

void Decider::attempt_ended(const Located& at, Phase phase, const Verdict& verdict) {
  switch (phase) {
    case Phase::forward:
      return forward_ended(at, verdict);
    case Phase::probe:
      return probe_ended(at, verdict);
    case Phase::compensate:
      return undo_ended(at, verdict);
  }
}

void Decider::forward_ended(const Located& at, const Verdict& verdict) {
  const CallState& call = step_state(at.path).forward;
  if (verdict.outcome == OutcomeClass::failure) {
    // After an unknown attempt "already exists" may be the echo of our own first call, unless the
    // participant replays its answer under the same key.
    const bool believed = !call.unknown_seen || idempotency_of(at) == dsl::Idempotency::key;
    Failure why = failure(verdict.code, "failure", verdict.message, at.path);
    why.details = verdict.details;
    if (believed) return known_not_done(at, std::move(why));
    emit(AttemptFailed{at.path, Phase::forward, call.attempts, OutcomeClass::unknown,
                       std::move(why), std::nullopt});
    return probe_or_unknown(at, verdict);
  }
  not_settled(at, Phase::forward, verdict);
}

/// Transient, unknown or pending: another attempt if the policy has one, else what the attempts add
/// up to.
void Decider::not_settled(const Located& at, Phase phase, const Verdict& verdict) {
  Verdict seen = verdict;
  if (seen.outcome == OutcomeClass::pending && phase == Phase::forward)
    seen.outcome = OutcomeClass::unknown;
  const CallState& call = call_of(step_state(at.path), phase);
  const bool unknown = seen.outcome == OutcomeClass::unknown || call.unknown_seen;
  const auto policy = policy_of(at, phase, unknown);
  Failure why = failure(seen.code, class_of(seen.outcome), seen.message, at.path);
  if (!policy) {
    emit(AttemptFailed{at.path, phase, call.attempts, seen.outcome, std::move(why), std::nullopt});
    return suspend("EXPRESSION_FAILED", policy.error().message, at.path, phase);
  }
  Verdict counted = seen;
  // A probe and an undo are asked again whatever they said; only the forward direction
  // distinguishes.
  if (phase != Phase::forward && counted.outcome != OutcomeClass::transient)
    counted.outcome = OutcomeClass::unknown;
  Duration wait = delay_after(*policy, call.attempts - call.attempts_before, stimulus_.random);
  if (seen.retry_after)
    wait = seen.retry_after->count() < 0 ? Duration{0} : std::max(wait, *seen.retry_after);
  const TimePoint next = now() + wait;
  const bool resendable = phase != Phase::forward || counted.outcome != OutcomeClass::unknown ||
                          idempotency_of(at) != dsl::Idempotency::none;
  const bool stopping =
      phase == Phase::forward && stop_wanted() && at.step->kind != dsl::StepKind::pivot;
  const bool again = resendable && !stopping && may_try_again(*policy, call, counted, next);
  emit(AttemptFailed{at.path, phase, call.attempts, seen.outcome, std::move(why),
                     again ? std::optional(next) : std::nullopt});
  if (!again) give_up(at, phase, seen);
}

void Decider::give_up(const Located& at, Phase phase, const Verdict& last) {
  switch (phase) {
    case Phase::forward:
      if (step_state(at.path).forward.unknown_seen) return probe_or_unknown(at, last);
      {
        Failure why =
            stop_wanted()
                ? stop_failure()
                : failure("RETRIES_EXHAUSTED", "transient",
                          "given up after " + std::to_string(step_state(at.path).forward.attempts) +
                              " attempt(s); the last: " + last.code + ", " + last.message,
                          at.path);
        why.step = at.path;
        return known_not_done(at, std::move(why));
      }
    case Phase::probe:
      return suspend("OUTCOME_UNKNOWN",
                     "the probe could not find out what became of the step; the last: " +
                         last.code + ", " + last.message,
                     at.path, Phase::probe);
    case Phase::compensate: {
      const std::string message = "the undo was given up after " +
                                  std::to_string(step_state(at.path).undo.attempts) +
                                  " attempt(s); the last: " + last.code + ", " + last.message;
      if (undo_of(at)->on_exhausted == dsl::OnExhausted::suspend) {
        return suspend("COMPENSATION_FAILED", message, at.path, Phase::compensate);
      }
      emit(StepCompensationFailed{at.path,
                                  failure("COMPENSATION_FAILED", "failure", message, at.path)});
      return;
    }
  }
}

void Decider::probe_or_unknown(const Located& at, const Verdict& last) {
  const dsl::Action& action = action_of(at);
  const Failure why = failure(
      "OUTCOME_UNKNOWN", "unknown",
      "it is not known whether the step took effect; the last: " + last.code + ", " + last.message,
      at.path);
  if (!action.probe) return stays_unknown(at, why);
  const SagaScope scope = scope_of(at, Phase::probe);
  auto request = render(program_, state(),
                        {at.path, Phase::probe, action.probe->request, action.request.service,
                         action.probe->attempt_timeout ? &*action.probe->attempt_timeout : nullptr},
                        scope);
  if (!request) return suspend("EXPRESSION_FAILED", request.error().message, at.path, Phase::probe);
  emit(ProbeScheduled{at.path, std::move(*request)});
  call(at.path, Phase::probe);
}

/// Unknown for good: undone by key where that is possible, else a person has to look.
void Decider::stays_unknown(const Located& at, const Failure& why) {
  if (!may_go_back(at) || at.step->kind == dsl::StepKind::pivot) {
    return suspend(why.code, why.message, at.path, Phase::forward);
  }
  if (at.step->kind == dsl::StepKind::readonly) return known_not_done(at, why);
  const auto* service = program_.service(action_of(at).request.service);
  const bool quiet = service != nullptr && service->quiet_period.count() > 0;
  emit(StepUnknown{at.path, why,
                   quiet ? std::optional(now() + service->quiet_period) : std::nullopt});
  go_back(stop_wanted() ? stop_failure() : why);
}

void Decider::known_not_done(const Located& at, Failure why) {
  if (!may_go_back(at)) {
    const std::string message = why.message.empty() ? why.code : why.message;
    // The attempt has to end even where the step cannot fail.
    if (step_state(at.path).forward.in_flight) {
      emit(AttemptFailed{at.path, Phase::forward, step_state(at.path).forward.attempts,
                         OutcomeClass::failure, why, std::nullopt});
    }
    return suspend(why.code, message, at.path, Phase::forward);
  }
  emit(StepFailed{at.path, why});
  go_back(stop_wanted() ? stop_failure() : why);
}

void Decider::probe_ended(const Located& at, const Verdict& verdict) {
  if (verdict.outcome != OutcomeClass::failure) return not_settled(at, Phase::probe, verdict);
  const bool sealed = action_of(at).probe->sealed;
  Failure why = failure(verdict.code, "failure",
                        "the probe found that the step did not take effect", at.path);
  why.details = verdict.details;
  emit(AttemptFailed{at.path, Phase::probe, step_state(at.path).probe.attempts,
                     OutcomeClass::failure, why, std::nullopt});
  if (sealed) return known_not_done(at, std::move(why));
  // Unsealed, "not seen" is a race with our own request, which may still be on its way.
  if (at.step->kind == dsl::StepKind::pivot || !may_go_back(at)) {
    if (stop_wanted() && at.step->kind != dsl::StepKind::pivot) return stays_unknown(at, why);
    return send_again(at, Phase::forward);
  }
  stays_unknown(at, failure("OUTCOME_UNKNOWN", "unknown",
                            "not seen yet, and the probe is not sealed", at.path));
}

void Decider::undo_ended(const Located& at, const Verdict& verdict) {
  if (verdict.outcome == OutcomeClass::success) {
    emit(StepCompensated{at.path});
    return;
  }
  not_settled(at, Phase::compensate, verdict);
}

void Decider::send_again(const Located& at, Phase phase) {
  if (phase == Phase::forward && stop_wanted() && at.step->kind != dsl::StepKind::pivot) {
    Verdict last;
    last.code = stop_failure().code;
    last.message = "not tried again, because the saga is to stop";
    return give_up(at, Phase::forward, last);
  }
  const std::uint32_t attempt = call_of(step_state(at.path), phase).attempts + 1;
  emit(AttemptStarted{at.path, phase, attempt});
  call(at.path, phase);
}

void Decider::step_timed_out(const Located& at) {
  StepState& step = step_state(at.path);
  const Phase phase = step.probe.in_flight || step.probe.retry_at ? Phase::probe : Phase::forward;
  Verdict late;
  late.code = "STEP_TIMEOUT";
  late.message = "the step's timeout passed";
  late.outcome = OutcomeClass::unknown;
  CallState& call = call_of(step, phase);
  Failure why = failure(late.code, "timeout", late.message, at.path);
  if (call.in_flight) {
    emit(AttemptFailed{at.path, phase, call.attempts, OutcomeClass::unknown, why, std::nullopt});
  }
  if (phase == Phase::probe) return give_up(at, Phase::probe, late);
  if (step_state(at.path).forward.unknown_seen) return probe_or_unknown(at, late);
  known_not_done(at, std::move(why));
}

/// A success with its output mapped, its data captured, and its undo tried out: a template that is
/// broken fails the saga now and not a week later.
void Decider::succeed_with(const Located& at, const dsl::Action& action,
                           const std::optional<dsl::Template>& output, const SagaScope& scope) {
  const Json* response = scope.find("response");
  Json mapped = response != nullptr ? (*response)["body"] : Json();
  Json captured;
  std::optional<Error> broken;
  dsl::Budget budget;
  if (output) {
    auto rendered = output->render(scope, budget);
    if (rendered)
      mapped = std::move(*rendered);
    else
      broken = rendered.error();
  }
  if (!broken && action.capture) {
    auto rendered = action.capture->render(scope, budget);
    if (rendered)
      captured = std::move(*rendered);
    else
      broken = rendered.error();
  }
  const Json raw = response != nullptr ? *response : Json();
  if (!broken && output_size(mapped) > output_bytes_max) {
    broken =
        Error{ErrorCode::invalid, "LIMIT_EXCEEDED", "the step's output is larger than 256 KiB"};
    mapped = nullptr;
  }
  if (broken) mapped = captured = nullptr;
  emit(StepSucceeded{at.path, std::move(mapped), std::move(captured)});
  if (!broken) broken = trial_of_undo(at);
  if (!broken) return;
  Failure why = failure(broken->reason, "failure", broken->message, at.path);
  if (output_size(raw) <= output_bytes_max) why.details = {{"response", raw}};
  if (may_go_back(at)) return go_back(why);
  suspend(why.code, why.message, at.path, Phase::forward);
}

std::size_t Decider::output_size(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().size();
  std::size_t size = 8;
  if (value.is_structured()) {
    for (const auto& item : value) size += output_size(item) + 8;
  }
  return size;
}

std::optional<Error> Decider::trial_of_undo(const Located& at) const {
  const auto* undo = undo_of(at);
  if (undo == nullptr || state().pivot_passed) return std::nullopt;
  SagaScope scope = scope_of(at, Phase::compensate);
  // The real failure is not known yet; one of the same shape stands in for it.
  scope.set_failure({"TRIAL", "failure", "", at.path, nullptr});
  dsl::Budget budget;
  if (undo->when) {
    if (auto holds = undo->when->evaluate_condition(scope, budget); !holds) return holds.error();
  }
  const auto& action = action_of(at);
  auto request =
      render(program_, state(),
             {at.path, Phase::compensate, undo->request, action.request.service, nullptr}, scope);
  return request ? std::nullopt : std::optional(request.error());
}

}  // namespace backstitch::engine

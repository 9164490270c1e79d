#include <algorithm>

#include <backstitch/engine/machine/answer_body.hpp>
#include <backstitch/engine/machine/masking.hpp>

#include "decider.hpp"
#include "limits.hpp"

namespace backstitch::engine {
namespace {

using dsl::OutcomeClass;

/// Of one budget, whatever its policy says: each is an entry in the log.
constexpr std::uint32_t attempts_of_budget_max = 100'000;
/// After a call that the node could not send; doubled each time, and as much again by chance.
constexpr Duration unsent_wait{1'000};
constexpr Duration unsent_wait_max{30'000};
/// So long a node may be unable to send a call before a person is told.
constexpr Duration unsent_patience{60'000};
constexpr std::uint32_t answer_cost = 4;
constexpr const char* not_seen_yet = "not seen yet, and the probe is not sealed";

const dsl::Compensation* undo_of(const Located& at) {
  return std::get_if<dsl::Compensation>(&at.step->undo);
}

std::string class_of(OutcomeClass outcome) {
  return outcome == OutcomeClass::pending ? "unknown" : dsl::to_text(outcome);
}

/// What tells who spoke. @return null: nothing of it
Json spoken_by(const CallResult& result) {
  static constexpr std::pair<const char*, const char*> kept[] = {{"server", "server"},
                                                                 {"via", "via"},
                                                                 {"retry-after", "retryAfter"},
                                                                 {"content-type", "contentType"}};
  const auto* response = std::get_if<Response>(&result);
  if (response == nullptr) return nullptr;
  Json out = Json::object();
  for (const auto& [name, value] : response->headers) {
    for (const auto& [header, member] : kept)
      if (name == header) out[member] = cut_text(value, answer_header_bytes_max);
  }
  if (std::string text = beginning_of_text(*response); !text.empty()) out["text"] = std::move(text);
  return out.empty() ? Json(nullptr) : out;
}

std::string unreadable_body_of(const CallResult& result) {
  const auto* response = std::get_if<Response>(&result);
  return response == nullptr ? std::string{} : response->unreadable;
}

Duration wait_unsent(const CallState& call, std::uint64_t random) {
  constexpr std::uint32_t doublings_max = 5;
  const Duration wait =
      std::min(unsent_wait * (1 << std::min(call.unsent, doublings_max)), unsent_wait_max);
  return wait +
         Duration{static_cast<std::int64_t>(random % static_cast<std::uint64_t>(wait.count()))};
}

/// Attempts of the present budget, and whether another one fits in it.
bool may_try_again(const RetryPolicy& policy, const CallState& call,
                   const std::optional<TimePoint>& first_at, const Verdict& verdict,
                   TimePoint next) {
  const bool wanted =
      verdict.outcome == OutcomeClass::transient ? policy.on_transient : policy.on_unknown;
  const bool excepted =
      std::find(policy.except.begin(), policy.except.end(), verdict.code) != policy.except.end();
  const bool attempts_left =
      call.attempts - call.attempts_before < policy.attempts_max.value_or(attempts_of_budget_max);
  // With the attempt that has just ended, which the state does not count yet.
  const bool unknowns_left = verdict.outcome != OutcomeClass::unknown || !policy.unknowns_max ||
                             call.unknowns + 1 < *policy.unknowns_max;
  const bool time_left =
      !policy.elapsed_max || !first_at || next - *first_at <= *policy.elapsed_max;
  return wanted && !excepted && attempts_left && unknowns_left && time_left && !call.last_attempt &&
         !verdict.is_last;
}

}  // namespace

dsl::Idempotency Decider::idempotency_of(const Located& at) const {
  const auto* service = program_.service(action_of(at).request.service);
  return service == nullptr ? dsl::Idempotency::key : service->idempotency;
}

Verdict Decider::judge(const Located& at, Question question, const CallResult& result,
                       SagaScope& scope) const {
  // An answer is copied into what conditions see, into the event, and into the state.
  if (const auto* response = std::get_if<Response>(&result))
    meter_.spent += answer_cost * dsl::steps_to_read(response->body);
  AnswerContext context =
      answer_context(program_, *at.step, question, before_answer(state(), at.path));
  context.may_quote = may_quote_answers();
  return judge_answer(context, result, scope);
}

bool Decider::may_quote_answers() const {
  return !has_sensitive_values(definition(), state().sensitive);
}

Result<RetryPolicy> Decider::policy_of(const Located& at, Phase phase, bool unknown) const {
  const SagaScope scope = scope_of(at, phase);
  if (phase == Phase::compensate)
    return resolve(RetryUse::compensation, {&undo_of(at)->retry}, scope);
  const dsl::Action& action = action_of(at);
  const auto* service = program_.service(action.request.service);
  const bool forward_only = at.area != Area::main || state().pivot_passed ||
                            definition().recovery == dsl::Recovery::forward;
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
  const auto at = locate(definition(), ended.path);
  const auto found = state().steps.find(ended.path);
  if (!at || found == state().steps.end() || is_terminal(state().status)) return;
  const CallState& call = call_of(found->second, ended.phase);
  // Late: the attempt was given up, or the saga is being run by others.
  if (!call.in_flight || call.attempts != ended.attempt) return;
  if (const auto* unsent = std::get_if<NotSent>(&ended.result)) {
    could_not_be_sent(*at, ended.phase, *unsent);
    return advance();
  }
  SagaScope scope = scope_of(*at, ended.phase);
  sent_at_ = ended.sent_at;
  note_attempt(ended.path, {unreadable_body_of(ended.result), ended.sent_at});
  const Verdict verdict = judge(*at, question_of(ended.phase), ended.result, scope);
  if (verdict.outcome != OutcomeClass::success && may_quote_answers())
    noted_->second.answer = spoken_by(ended.result);
  if (verdict.outcome == OutcomeClass::success && ended.phase != Phase::compensate) {
    const dsl::Action& action = action_of(*at);
    const bool own = ended.phase == Phase::probe && action.probe->output;
    succeed_with(*at, own ? action.probe->output : action.output, scope, verdict.note);
  } else {
    attempt_ended(*at, ended.phase, verdict);
  }
  advance();
}

bool Decider::is_queued(const StepPath& path, Phase phase) const {
  return engine::is_queued(stimulus_.queued, path, phase);
}

void Decider::not_sent(const Located& at, Phase phase, Failure why, std::optional<TimePoint> again,
                       bool needs_person) {
  note_attempt(at.path, {.unsent = true, .needs_person = needs_person});
  emit(AttemptFailed{at.path, phase, call_of(step_state(at.path), phase).attempts,
                     OutcomeClass::transient, std::move(why), again});
}

bool Decider::pivot_is_queued() const {
  return std::any_of(
      stimulus_.queued.begin(), stimulus_.queued.end(), [this](const QueuedCall& call) {
        const auto at = locate(definition(), call.path);
        return call.phase == Phase::forward && at && at->step->kind == dsl::StepKind::pivot &&
               state().steps.find(call.path)->second.forward.attempts == 1;
      });
}

/// What this node lacks is no answer of the participant: the call waits, for as long as the step
/// and the saga have time.
void Decider::could_not_be_sent(const Located& at, Phase phase, const NotSent& unsent) {
  if (phase == Phase::poll) return await_poll(at.path, std::nullopt);
  Failure why =
      failure("NOT_SENT", "transient", "the call was not sent: " + unsent.message, at.path);
  if (phase == Phase::forward && stopping(at) && !step_state(at.path).forward.unknown_seen) {
    not_sent(at, phase, std::move(why), std::nullopt);
    return known_not_done(at, stopped_failure(at.path));
  }
  const CallState& call = call_of(step_state(at.path), phase);
  const bool needs_person =
      !call.unsent_reported && call.unsent_since && now() - *call.unsent_since >= unsent_patience;
  not_sent(at, phase, std::move(why), now() + wait_unsent(call, stimulus_.random), needs_person);
}

void Decider::withdraw(const Located& at, const Failure& why) {
  const CallState& call = step_state(at.path).forward;
  const bool has_to_be_resolved = at.step->kind == dsl::StepKind::pivot && call.unknown_seen;
  if (!call.in_flight || !is_queued(at.path, Phase::forward) || has_to_be_resolved) return;
  not_sent(at, Phase::forward, why, std::nullopt);
}

void Decider::attempt_ended(const Located& at, Phase phase, const Verdict& verdict) {
  switch (phase) {
    case Phase::forward:
      return forward_ended(at, verdict);
    case Phase::probe:
      return probe_ended(at, verdict);
    case Phase::poll:
      return poll_ended(at, verdict);
    case Phase::compensate:
      return undo_ended(at, verdict);
  }
}

void Decider::forward_ended(const Located& at, const Verdict& verdict) {
  const auto& completion = action_of(at).completion;
  if (verdict.outcome == OutcomeClass::pending && completion)
    return wait_for_completion(at, *completion, verdict);
  if (verdict.outcome == OutcomeClass::failure) {
    // What has to succeed is given up for what a rule says, never for a status alone: a gateway
    // without the route answers 404, too.
    if (verdict.authority == Authority::table && !may_fail(at)) {
      Verdict again = verdict;
      again.outcome = OutcomeClass::transient;
      return not_settled(at, Phase::forward, again);
    }
    Failure why = failure(verdict.code, "failure", verdict.message, at.path);
    why.details = verdict.details;
    return known_not_done(at, std::move(why));
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
  // Counted from when the first attempt left the queue.
  const bool is_first = call.attempts == call.attempts_before + 1;
  const auto first_at = is_first && sent_at_ ? sent_at_ : call.first_at;
  const Duration delay =
      delay_after(*policy, call.attempts - call.attempts_before, stimulus_.random);
  // The dead node has waited already: the next attempt goes out at once.
  const NextAttempt next = seen.lost
                               ? NextAttempt{now()}
                               : next_attempt(*policy, first_at, now(), delay, seen.retry_after);
  const bool resendable = phase != Phase::forward || counted.outcome != OutcomeClass::unknown ||
                          idempotency_of(at) != dsl::Idempotency::none;
  const bool stopped =
      phase == Phase::forward && stopping(at) && at.step->kind != dsl::StepKind::pivot;
  const bool again =
      resendable && !stopped && may_try_again(*policy, call, first_at, counted, next.at);
  emit(AttemptFailed{at.path, phase, call.attempts, seen.outcome, std::move(why),
                     again ? std::optional(next.at) : std::nullopt, seen.lost,
                     again && next.is_last});
  if (!again) give_up(at, phase, seen);
}

void Decider::give_up(const Located& at, Phase phase, const Verdict& last) {
  switch (phase) {
    case Phase::forward:
      return give_up_forward(at, last);
    case Phase::probe:
      return probe_undecided(
          at, failure("OUTCOME_UNKNOWN", "unknown",
                      "the probe could not find out what became of the step; the last: " +
                          last.code + ", " + last.message,
                      at.path));
    case Phase::poll:
      return;  // it is asked again for as long as the completion is waited for
    case Phase::compensate:
      return give_up_undo(at, last);
  }
}

/// A saga that is to stop does not wait for an operator where the key says enough.
void Decider::probe_undecided(const Located& at, const Failure& why) {
  if (stopping(at) && may_fail_once_done(at) && undo_needs_only_the_key(at))
    return stays_unknown(at, why);
  suspend(why.code, why.message, at.path, Phase::probe);
}

void Decider::give_up_forward(const Located& at, const Verdict& last) {
  if (step_state(at.path).forward.unknown_seen) return probe_or_unknown(at, last);
  if (stopping(at)) return known_not_done(at, stopped_failure(at.path));
  retries_exhausted(at, last);
}

void Decider::give_up_undo(const Located& at, const Verdict& last) {
  const std::string message = "the undo was given up after " +
                              std::to_string(step_state(at.path).undo.attempts) +
                              " attempt(s); the last: " + last.code + ", " + last.message;
  if (undo_of(at)->on_exhausted == dsl::OnExhausted::suspend)
    return suspend("COMPENSATION_FAILED", message, at.path, Phase::compensate);
  emit(
      StepCompensationFailed{at.path, failure("COMPENSATION_FAILED", "failure", message, at.path)});
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
  if (!may_fail_once_done(at)) return not_seen(at);
  stays_unknown(at, failure("OUTCOME_UNKNOWN", "unknown", not_seen_yet, at.path));
}

/// What cannot be undone is sent again with the same key, as long as its policy has time for it:
/// each round of attempts and probe is one more unknown attempt.
void Decider::not_seen(const Located& at) {
  const CallState& call = step_state(at.path).forward;
  Failure why = failure("OUTCOME_UNKNOWN", "unknown", not_seen_yet, at.path);
  const auto policy = policy_of(at, Phase::forward, true);
  if (!policy) return suspend("EXPRESSION_FAILED", policy.error().message, at.path, Phase::forward);
  const TimePoint next =
      now() + delay_after(*policy, call.attempts - call.attempts_before, stimulus_.random);
  const bool over =
      policy->elapsed_max && call.first_at && next - *call.first_at > *policy->elapsed_max;
  const bool used_up = call.attempts - call.attempts_before >= attempts_of_budget_max;
  if (over || used_up) return stays_unknown(at, why);
  emit(AttemptFailed{at.path, Phase::forward, call.attempts, OutcomeClass::unknown, std::move(why),
                     next});
}

void Decider::undo_ended(const Located& at, const Verdict& verdict) {
  if (verdict.outcome == OutcomeClass::success) {
    emit(StepCompensated{at.path, verdict.note});
    return;
  }
  not_settled(at, Phase::compensate, verdict);
}

void Decider::send_again(const Located& at, Phase phase) {
  if (phase == Phase::forward && stopping(at) && at.step->kind != dsl::StepKind::pivot) {
    Verdict last;
    last.code = stopped_failure(at.path).code;
    last.message = "not tried again, because the saga does not go on here";
    return give_up_forward(at, last);
  }
  // What is to stop is settled without another question.
  const bool stops = stopping(at) && at.step->kind != dsl::StepKind::pivot;
  if (phase == Phase::poll) return stops ? void() : ask(at);
  const std::uint32_t attempt = call_of(step_state(at.path), phase).attempts + 1;
  emit(AttemptStarted{at.path, phase, attempt});
  call(at.path, phase);
}

void Decider::step_timed_out(const Located& at) {
  if (step_state(at.path).child) return stop_child(at);
  const StepState& step = step_state(at.path);
  const bool waiting = step.status == StepStatus::waiting;
  const Phase phase = step.probe.in_flight || step.probe.retry_at ? Phase::probe : Phase::forward;
  Verdict late;
  late.code = "STEP_TIMEOUT";
  late.message = "the step's timeout passed";
  late.outcome = OutcomeClass::unknown;
  Failure why = failure(late.code, "timeout", late.message, at.path);
  const CallState& call = call_of(step, phase);
  // An answer that is waited for may still come: the participant has the request.
  if (call.in_flight && is_queued(at.path, phase))
    not_sent(at, phase, why, std::nullopt);
  else if (call.in_flight || waiting)
    emit(AttemptFailed{at.path, phase, call.attempts, OutcomeClass::unknown, why, std::nullopt});
  if (phase == Phase::probe) return give_up(at, Phase::probe, late);
  if (step_state(at.path).forward.unknown_seen) return probe_or_unknown(at, late);
  known_not_done(at, std::move(why));
}

}  // namespace backstitch::engine

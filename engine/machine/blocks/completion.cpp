/// completion: participants that accept a call and answer later, by callback or when polled.
#include <algorithm>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>

#include "../decider.hpp"
#include "../limits.hpp"

namespace backstitch::engine {
namespace {

using dsl::OutcomeClass;

constexpr Duration poll_every_min{100};
constexpr std::uint32_t poll_notes_max = 20;

/// Equal for what a participant says twice.
std::string answer_digest(const Response& response) {
  return short_digest(json_text(Json{response.status, response.body, response.unreadable}));
}

}  // namespace

void Decider::wait_for_completion(const Located& at, const dsl::Completion& completion,
                                  const Verdict& verdict) {
  const SagaScope scope = scope_of(at, Phase::poll);
  const auto timeout = duration_of(completion.timeout, scope);
  StepWaiting waiting{at.path, std::nullopt, std::nullopt};
  std::optional<Error> broken;
  if (timeout)
    waiting.until = now() + *timeout;
  else
    broken = timeout.error();
  if (completion.poll && !broken) {
    const auto every = duration_of(completion.poll->every, scope);
    auto request = render(
        program_, state(),
        {at, Phase::poll, completion.poll->request, action_of(at).request.service, action_key(at)},
        scope);
    if (!every || !request) {
      broken = every ? request.error() : every.error();
    } else {
      waiting.poll = std::move(*request);
      waiting.poll_every = std::max(*every, poll_every_min);
    }
  }
  if (!broken) {
    const bool asks = waiting.poll.has_value();
    emit(std::move(waiting));
    if (asks) await_poll(at.path, verdict.retry_after);
    return;
  }
  // It was accepted, so it may take effect; nobody will hear of it.
  emit(AttemptFailed{at.path, Phase::forward, step_state(at.path).forward.attempts,
                     OutcomeClass::unknown,
                     failure(broken->reason, "unknown", broken->message, at.path), std::nullopt});
  Verdict last;
  last.code = broken->reason;
  last.message = broken->message;
  probe_or_unknown(at, last);
}

/// Questions are asked at fixed times after the wait began, so that no time of them is stored. One
/// that is not half an interval away is left out, and those before what the participant asks for;
/// that is cut to the completion's timeout, for a last question there.
void Decider::await_poll(const StepPath& path, const std::optional<Duration>& asked_for) {
  StepState& step = state().steps[path];
  CallState& poll = step.poll;
  const Duration every = step.poll_every;
  const TimePoint soonest =
      std::max(now() + asked_for.value_or(Duration{0}), poll.sent_at + every / 2);
  const auto intervals = (soonest - *poll.first_at) / every + 1;
  const TimePoint next = *poll.first_at + intervals * every;
  const bool cut = asked_for && now() < *step.wait_until;
  poll.in_flight = false;
  poll.retry_at = cut ? std::min(next, *step.wait_until) : next;
}

/// Not in the log: a question that is lost is asked again.
void Decider::ask(const Located& at) {
  CallState& poll = state().steps[at.path].poll;
  ++poll.attempts;
  poll.in_flight = true;
  poll.sent_at = now();
  poll.retry_at.reset();
  call(at.path, Phase::poll);
}

void Decider::poll_ended(const Located& at, const Verdict& verdict) {
  const CallState& call = step_state(at.path).poll;
  Failure why = failure(verdict.code, dsl::to_text(verdict.outcome), verdict.message, at.path);
  if (verdict.outcome == OutcomeClass::failure) {
    why.details = verdict.details;
    emit(AttemptFailed{at.path, Phase::poll, call.attempts, OutcomeClass::failure, std::move(why),
                       std::nullopt});
    return forward_ended(at, verdict);
  }
  // As it would stand in the log, or a long answer would always differ from the one noted before.
  why.message = cut_repeated_message(std::move(why.message));
  if (is_worth_a_note(step_state(at.path), why)) {
    emit(AttemptFailed{at.path, Phase::poll, call.attempts, OutcomeClass::pending, std::move(why),
                       std::nullopt});
  }
  noted_.reset();
  await_poll(at.path, verdict.retry_after);
}

/// Answers that say the same again are not written down. The first after a take-over is, because
/// it shows that the saga does not bring its node down.
bool Decider::is_worth_a_note(const StepState& step, const Failure& answer) const {
  const auto& last = step.poll.last;
  const bool differs = !last || last->code != answer.code || last->message != answer.message;
  return (differs && step.poll_notes < poll_notes_max) || state().resumes_without_progress > 0;
}

void Decider::completion_timed_out(const Located& at) {
  Verdict late;
  late.outcome = OutcomeClass::unknown;
  late.code = "OUTCOME_UNKNOWN";
  late.message = "the participant accepted the call and has not answered in time";
  // What cannot be undone is asked for again; anything else is undone by its key.
  if (!may_fail_once_done(at) && !action_of(at).probe) return not_settled(at, Phase::forward, late);
  emit(AttemptFailed{at.path, Phase::forward, step_state(at.path).forward.attempts,
                     OutcomeClass::unknown, failure(late.code, "unknown", late.message, at.path),
                     std::nullopt});
  probe_or_unknown(at, late);
}

/// The saga, or a block around the step, is to stop: an answer that may take hours is not waited
/// for.
void Decider::settle_completion(const Located& at) {
  Verdict last;
  last.outcome = OutcomeClass::unknown;
  last.code = stopped_failure(at.path).code;
  last.message = "the participant's answer is not waited for, because the saga does not go on here";
  emit(AttemptFailed{at.path, Phase::forward, step_state(at.path).forward.attempts,
                     OutcomeClass::unknown, failure(last.code, "unknown", last.message, at.path),
                     std::nullopt});
  probe_or_unknown(at, last);
}

void Decider::callback(const Callback& callback) {
  const auto found = std::find_if(
      state().steps.begin(), state().steps.end(),
      [&](const auto& entry) { return entry.second.callback_token == callback.token; });
  if (callback.token.empty() || found == state().steps.end())
    return refuse("callback-unknown", "No step waits for this callback.", ErrorCode::not_found);
  const StepState& step = found->second;
  const std::string answer = answer_digest(callback.response);
  if (step.callback_used) {
    out_.repeated = step.callback_body == answer;
    if (!out_.repeated)
      refuse("callback-used", "The step `" + found->first + "` has had another answer.");
    return;
  }
  const bool open = step.status == StepStatus::running || step.status == StepStatus::waiting;
  const auto at = locate(definition(), found->first);
  if (is_terminal(state().status) || !open || !at) {
    refuse("callback-too-late",
           "The step `" + found->first + "` does not wait for an answer any more.");
    if (!step.callback_refused) emit(CallbackRefused{StepPath(found->first)});
    return;
  }
  SagaScope scope = scope_of(*at, Phase::forward);
  const Verdict verdict = judge(*at, Question::callback, callback.response, scope);
  if (verdict.outcome == OutcomeClass::pending) {
    // Still at it: nothing has changed. One that cannot be judged is noted once a step.
    if (!verdict.note.empty() && !step.callback_noted)
      emit(CallbackReceived{at->path, {}, verdict.note});
    return;
  }
  note_attempt(at->path, {callback.response.unreadable});
  emit(CallbackReceived{at->path, answer});
  // What an operator was waiting for has come.
  const bool settles =
      verdict.outcome == OutcomeClass::success || verdict.outcome == OutcomeClass::failure;
  if (settles && suspension_at(at->path) != nullptr) act({"callback", at->path, "", ""});
  if (verdict.outcome == OutcomeClass::success)
    succeed_with(*at, action_of(*at).output, scope, verdict.note);
  else
    forward_ended(*at, verdict);
  advance();
}

void forget_questions(SagaState& state) {
  for (const auto& path : state.open) {
    StepState& step = state.steps.find(path)->second;
    if (!step.poll.request) continue;
    step.poll.in_flight = false;
    step.poll.attempts = 0;
    step.poll.sent_at = *step.poll.first_at;
    step.poll.retry_at = *step.poll.first_at + step.poll_every;
  }
}

void resume_questions(SagaState& state, TimePoint now) {
  for (const auto& path : state.open) {
    StepState& step = state.steps.find(path)->second;
    if (!step.poll.request) continue;
    const auto nearest = (now - *step.poll.first_at + step.poll_every / 2) / step.poll_every;
    step.poll.in_flight = false;
    step.poll.retry_at = *step.poll.first_at + std::max<std::int64_t>(nearest, 1) * step.poll_every;
  }
}

std::optional<SagaId> saga_of_callback(std::string_view token) {
  constexpr std::size_t id_chars = 36;
  if (token.size() <= id_chars || token[id_chars] != '-') return std::nullopt;
  return SagaId::parse(token.substr(0, id_chars));
}

}  // namespace backstitch::engine

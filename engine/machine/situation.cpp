#include <backstitch/engine/machine/situation.hpp>

#include <algorithm>
#include <tuple>

#include "decider.hpp"

namespace backstitch::engine {
namespace {

void take_earlier(std::optional<TimePoint>& best, const std::optional<TimePoint>& time) {
  if (time && (!best || *time < *best)) best = time;
}

std::string quoted(const std::string& text) {
  return "`" + text + "`";
}

/// `the compensation of `a``, for sentences.
std::string named_call(const StepPath& path, Phase phase) {
  switch (phase) {
    case Phase::forward:
      return quoted(path);
    case Phase::probe:
      return "the probe of " + quoted(path);
    case Phase::poll:
      return "the poll of " + quoted(path);
    case Phase::compensate:
      return "the compensation of " + quoted(path);
  }
  return "";
}

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z')
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + quoted(names[i]);
  return text;
}

/// The rules are those of the decider, which works on a state of its own.
template <class Ask>
auto with_rules(const Program& program, const SagaState& state,
                const std::vector<QueuedCall>& queued, Ask&& ask) {
  Transition trial;
  trial.next = state;
  const Stimulus stimulus{.now = state.started_at, .body = Tick{}, .queued = queued};
  const Decider decider(program, trial, stimulus);
  return ask(decider);
}

/// Whether a call that meets no open port is not tried again anyway.
bool is_refusal_final(const Program& program, const SagaState& state, const Located& at,
                      Phase phase, const RetryPolicy& policy) {
  if (phase != Phase::forward) return false;
  const TransportError refused{dsl::Transport::connect, false, ""};
  const AnswerMeaning meaning = meaning_of(program, state, at.path, question_of(phase), refused);
  const bool is_known = meaning.outcome == dsl::OutcomeClass::transient;
  if (!is_known && meaning.outcome != dsl::OutcomeClass::unknown) return true;
  const bool is_excepted =
      std::find(policy.except.begin(), policy.except.end(), meaning.code) != policy.except.end();
  return is_excepted || !(is_known ? policy.on_transient : policy.on_unknown);
}

std::optional<TimePoint> held_until(const Program& program, const SagaState& state,
                                    const Decider& decider, const Located& at, Phase phase) {
  const CallState& call = call_of(state.steps.find(at.path)->second, phase);
  const auto policy = decider.policy_of(at, phase, call.unknown_seen);
  const TimePoint first = call.first_at.value_or(call.sent_at);
  if (policy && is_refusal_final(program, state, at, phase, *policy)) return first;
  const bool has_end = policy && (policy->elapsed_max || policy->attempts_max);
  if (!has_end) return std::nullopt;
  return first + policy->elapsed_max.value_or(longest_waits(*policy));
}

/// Answers one question about one state. The decider knows the rules and holds the same state.
class Inquiry {
 public:
  Inquiry(const Program& program, const Decider& decider, const SagaState& state,
          const std::vector<QueuedCall>& queued)
      : program_(program), decider_(decider), state_(state), queued_(queued) {}

  Why why() const {
    if (state_.status == SagaStatus::suspended) return why_suspended(most_telling_suspension());
    if (state_.sequence == Sequence{}) {
      return {.code = "start-queued",
              .sentence = "The start is committed, and no node has taken the saga up yet.",
              .since = state_.started_at};
    }
    std::optional<Why> best;
    for (const auto& path : state_.open) {
      const auto at = locate(*program_.definition, path);
      if (!at) continue;
      Why one = why_open(*at);
      if (!best || rank(one) < rank(*best)) best = std::move(one);
    }
    if (!best) {
      return {.code = "advancing",
              .sentence = "The saga waits for nothing; its next step is about to begin.",
              .since = state_.started_at};
    }
    if (state_.cancel_requested && !state_.failure)
      best->sentence += " The cancellation takes effect as soon as this has ended.";
    return std::move(*best);
  }

  std::vector<PossibleCommand> actions() const {
    std::vector<PossibleCommand> all;
    if (!decider_.refusal(Retry{})) add_retry(all);
    for (const auto& suspension : state_.suspensions) add_for(suspension, all);
    for (const auto& one : decider_.attempts_to_suspend({})) {
      all.push_back({.action = "suspend",
                     .step = one.path,
                     .does = "ends the wait for the next attempt and suspends the saga there"});
    }
    add_signals(all);
    if (!decider_.refusal(Cancel{}) && !decider_.goes_back()) {
      all.push_back({.action = "cancel",
                     .does = "gives up what the saga waits for and undoes what was done"});
    }
    return all;
  }

 private:
  const StepState& step_of(const StepPath& path) const { return state_.steps.find(path)->second; }

  /// The one that an operator did not ask for, the oldest first.
  const Suspension& most_telling_suspension() const {
    const auto& all = state_.suspensions;
    const auto found = std::find_if(all.begin(), all.end(),
                                    [](const Suspension& one) { return !one.by_operator; });
    return found == all.end() ? all.front() : *found;
  }

  /// Less tells more.
  static std::tuple<int, bool, TimePoint> rank(const Why& why) {
    static constexpr const char* order[] = {
        "call-not-sent",  "retry-scheduled", "quiet-period", "completion-awaited", "child-awaited",
        "signal-awaited", "call-held",       "call-queued",  "call-in-flight",     "sleeping"};
    const auto* found = std::find(std::begin(order), std::end(order), why.code);
    auto place = static_cast<int>(found - std::begin(order));
    const bool failed = why.code == "call-in-flight" && why.last_answer;
    if (failed) place = 0;
    // A notice is not why the saga has not ended.
    if (why.step.starts_with("onSuspended[")) place += static_cast<int>(std::size(order));
    return {place, why.phase != Phase::compensate, why.since};
  }

  Why why_suspended(const Suspension& suspension) const {
    Why why{.code = "suspended",
            .reason = suspension.reason,
            .step = suspension.step,
            .phase = suspension.phase,
            .since = suspension.since};
    const auto found = state_.steps.find(suspension.step);
    const auto at = locate(*program_.definition, suspension.step);
    const std::string place = suspension.step.empty()
                                  ? " where its output is made"
                                  : " at " + named_call(suspension.step, suspension.phase);
    why.sentence = "The saga is suspended" + place + " with " + suspension.reason +
                   " and waits for an operator.";
    if (suspension.by_operator) {
      why.code = "suspended-by-operator";
      why.sentence = "An operator suspended the saga" + place + ".";
    }
    if (at && found != state_.steps.end()) describe_call(*at, found->second, why);
    if (found == state_.steps.end() || !found->second.child) return why;
    const std::string child =
        "The sub-saga " + found->second.child->id.text() + " of " + quoted(suspension.step);
    if (suspension.cause == SuspensionCause::child_suspended) {
      why.code = "child-suspended";
      why.sentence = child + " is suspended: see to it there, and this saga follows.";
    } else if (suspension.cause == SuspensionCause::child_incomplete) {
      why.code = "child-incomplete";
      why.sentence = child + " failed and could not undo all of what it had done.";
    }
    return why;
  }

  Why why_open(const Located& at) const {
    const StepState& step = step_of(at.path);
    if (step.status == StepStatus::waiting)
      return step.child ? why_child(at, step) : why_waiting(at, step);
    for (const Phase phase : all_phases) {
      if (call_of(step, phase).in_flight) return why_in_flight(at, step, phase);
    }
    for (const Phase phase : all_phases) {
      if (call_of(step, phase).retry_at) return why_retrying(at, step, phase);
    }
    if (step.child) return why_child(at, step);
    Why why{.code = "quiet-period",
            .sentence = "The outcome of " + quoted(at.path) +
                        " is unknown; its compensation waits for the end of the service's quiet "
                        "period.",
            .step = at.path,
            .phase = Phase::compensate,
            .since = step.ended_at.value_or(state_.started_at),
            .until = step.undo_not_before};
    describe_call(at, step, why);
    return why;
  }

  Why why_in_flight(const Located& at, const StepState& step, Phase phase) const {
    const CallState& call = call_of(step, phase);
    const QueuedCall* queued = find_queued(queued_, at.path, phase);
    const std::string attempt =
        "attempt " + std::to_string(call.attempts) + " of " + named_call(at.path, phase);
    const std::string service = quoted(service_of(at, call));
    Why why{.code = "call-in-flight",
            .sentence = "The answer of " + service + " to " + attempt + " is awaited.",
            .step = at.path,
            .phase = phase,
            .since = call.sent_at};
    if (queued != nullptr && queued->held) {
      why.code = "call-held";
      why.sentence = capitalised(attempt) + " waits, because no connection to " + service +
                     " can be made; it is sent as soon as one can.";
      why.until = held_until(program_, state_, decider_, at, phase);
    } else if (queued != nullptr) {
      why.code = "call-queued";
      why.sentence =
          capitalised(attempt) + " waits for its turn among the calls to " + service + ".";
    } else if (call.request) {
      why.until = call.sent_at + attempt_time(step, phase, call.sent_at);
    }
    describe_call(at, step, why);
    return why;
  }

  Why why_retrying(const Located& at, const StepState& step, Phase phase) const {
    const CallState& call = call_of(step, phase);
    Why why{.code = "retry-scheduled",
            .step = at.path,
            .phase = phase,
            .since = call.first_at.value_or(step.started_at.value_or(state_.started_at)),
            .next_attempt_at = call.retry_at};
    if (call.unsent_since) {
      why.code = "call-not-sent";
      why.sentence = capitalised(named_call(at.path, phase)) +
                     " cannot be sent, because this node lacks something that is no part of the "
                     "participant; it is tried again.";
      why.since = *call.unsent_since;
      if (phase != Phase::compensate) take_earlier(why.until, step.timeout_at);
      if (phase == Phase::forward) take_earlier(why.until, deadline_of(at));
      describe_call(at, step, why);
      return why;
    }
    const auto policy = decider_.policy_of(at, phase, call.unknown_seen);
    const std::uint32_t spent = call.attempts - call.attempts_before;
    why.sentence = capitalised(named_call(at.path, phase)) + " has not succeeded in " +
                   std::to_string(spent) + " attempt(s)";
    if (policy && policy->attempts_max)
      why.sentence += " of " + std::to_string(*policy->attempts_max);
    if (call.last) why.sentence += ", the last with " + call.last->code;
    why.sentence += "; the next attempt is scheduled.";
    if (policy && policy->elapsed_max && call.first_at)
      why.until = *call.first_at + *policy->elapsed_max;
    if (phase != Phase::compensate) take_earlier(why.until, step.timeout_at);
    if (phase == Phase::forward) take_earlier(why.until, deadline_of(at));
    describe_call(at, step, why);
    return why;
  }

  Why why_child(const Located& at, const StepState& step) const {
    const bool back = step.status == StepStatus::compensating;
    Why why{.code = "child-awaited",
            .sentence = quoted(at.path) + " waits for its sub-saga " + step.child->id.text() +
                        (back || step.child_stopped ? " to undo what it did." : "."),
            .step = at.path,
            .phase = back ? Phase::compensate : Phase::forward,
            .since = (back ? step.undo_started_at : step.started_at).value_or(state_.started_at),
            .possibly_done = true};
    if (back) return why;
    why.until = step.timeout_at;
    take_earlier(why.until, deadline_of(at));
    return why;
  }

  Why why_waiting(const Located& at, const StepState& step) const {
    Why why{.code = "sleeping",
            .sentence = quoted(at.path) + " sleeps.",
            .step = at.path,
            .since = step.started_at.value_or(state_.started_at),
            .until = step.wait_until};
    take_earlier(why.until, deadline_of(at));
    if (const auto* wait = std::get_if<dsl::Wait>(&at.step->body)) {
      why.code = "signal-awaited";
      why.sentence = quoted(at.path) + " waits for the signal " + joined(wait->signals) + ".";
    } else if (std::holds_alternative<dsl::Action>(at.step->body)) {
      why.code = "completion-awaited";
      why.sentence = quoted(service_of(at, step.forward)) + " has accepted " + quoted(at.path) +
                     "; its final answer is awaited.";
      why.next_attempt_at = step.poll.retry_at;
      describe_call(at, step, why);
      why.last_answer = step.poll.last;
    }
    return why;
  }

  std::string service_of(const Located& at, const CallState& call) const {
    if (call.request) return call.request->service;
    const auto* action = std::get_if<dsl::Action>(&at.step->body);
    return action == nullptr ? std::string{} : action->request.service;
  }

  /// When the saga's timeout ends a wait of that step.
  std::optional<TimePoint> deadline_of(const Located& at) const {
    const bool matters = at.area == Area::main && state_.status == SagaStatus::running &&
                         at.step->kind != dsl::StepKind::pivot && !state_.pivot_passed &&
                         !state_.deadline_passed &&
                         program_.definition->recovery == dsl::Recovery::backward;
    return matters ? state_.deadline : std::nullopt;
  }

  /// Whom to ask, what the participant said last, and whether it may have done it.
  void describe_call(const Located& at, const StepState& step, Why& why) const {
    const CallState& call = call_of(step, why.phase);
    why.last_answer = call.last;
    if (!call.last && !step.succeeded) why.last_answer = step.forward.last;
    const bool undo = why.phase == Phase::compensate && call.request != nullptr;
    if (step.child && !undo) {
      why.possibly_done = true;
      return;
    }
    if (step.key.empty()) return;
    const CallState& asked = undo ? step.undo : step.forward;
    Why::Participant participant{.phase = undo ? Phase::compensate : Phase::forward,
                                 .key = undo ? call.request->key : step.key};
    if (asked.request) {
      participant.target = asked.request->target;
      const auto* service = program_.service(asked.request->service);
      if (service != nullptr) participant.base_url = service->base_url;
    }
    why.participant = std::move(participant);
    why.possibly_done = is_possibly_done(at, step, undo);
  }

  bool is_possibly_done(const Located& at, const StepState& step, bool undo) const {
    const auto sent = [&](const CallState& call, Phase phase) {
      return call.unknown_seen || (call.in_flight && !is_queued(queued_, at.path, phase));
    };
    if (undo) return sent(step.undo, Phase::compensate);
    if (at.step->kind == dsl::StepKind::readonly) return false;
    return step.succeeded || step.effect_unknown || step.status == StepStatus::waiting ||
           sent(step.forward, Phase::forward);
  }

  void add_retry(std::vector<PossibleCommand>& all) const {
    const bool suspended = state_.status == SagaStatus::suspended;
    all.push_back({.action = "retry",
                   .does = suspended
                               ? "tries again what the saga is suspended at, with a new budget"
                               : "sends the waiting attempts now, within their budget"});
  }

  void add_for(const Suspension& suspension, std::vector<PossibleCommand>& all) const {
    const bool undo = suspension.phase == Phase::compensate;
    for (const auto as : {Resolution::done, Resolution::not_done, Resolution::compensated}) {
      const auto refused = decider_.refusal(Resolve{.step = suspension.step, .as = as});
      const bool needs_output = refused && (refused->reason == "output-missing" ||
                                            refused->reason == "compensation-not-renderable");
      if (refused && !needs_output) continue;
      all.push_back({.action = "resolve",
                     .step = suspension.step,
                     .as = to_text(as),
                     .needs = needs_output ? "output" : "",
                     .does = does(as, undo)});
    }
    if (decider_.refusal(Skip{suspension.step, {}, {}})) return;
    all.push_back({.action = "skip",
                   .step = suspension.step,
                   .does = undo
                               ? "goes on without the compensation; the saga ends FAILED_INCOMPLETE"
                               : "goes on without the step"});
  }

  static const char* does(Resolution as, bool undo) {
    switch (as) {
      case Resolution::done:
        return undo ? "says that the action took effect: the compensation is sent"
                    : "says that the action took effect";
      case Resolution::not_done:
        return undo ? "says that the action did not take effect: nothing is compensated"
                    : "says that the action did not take effect, and will not";
      case Resolution::compensated:
        return "says that the compensation took effect";
    }
    return "";
  }

  void add_signals(std::vector<PossibleCommand>& all) const {
    if (state_.failure) return;
    for (const auto& path : state_.open) {
      const auto at = locate(*program_.definition, path);
      const auto* wait = at ? std::get_if<dsl::Wait>(&at->step->body) : nullptr;
      if (wait == nullptr) continue;
      for (const auto& signal : wait->signals) {
        all.push_back({.action = "signal",
                       .step = path,
                       .signal = signal,
                       .needs = wait->schema || wait->accept ? "payload" : "",
                       .does = "is what the step waits for"});
      }
    }
  }

  const Program& program_;
  const Decider& decider_;
  const SagaState& state_;
  const std::vector<QueuedCall>& queued_;
};

}  // namespace

std::optional<TimePoint> held_until(const Program& program, const SagaState& state,
                                    const StepPath& path, Phase phase) {
  const auto at = locate(*program.definition, path);
  if (!at) return std::nullopt;
  return with_rules(program, state, {}, [&](const Decider& decider) {
    return held_until(program, state, decider, *at, phase);
  });
}

Situation situation_of(const Program& program, const SagaState& state,
                       const std::vector<QueuedCall>& queued) {
  if (is_terminal(state.status)) return {};
  return with_rules(program, state, queued, [&](const Decider& decider) {
    const Inquiry inquiry(program, decider, state, queued);
    return Situation{inquiry.why(), inquiry.actions()};
  });
}

}  // namespace backstitch::engine

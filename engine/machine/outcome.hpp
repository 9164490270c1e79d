#pragma once
/// What the answer to a call means. Every answer is judged here and nowhere else: the answers of
/// actions, polls, callbacks, probes and compensations, for running sagas and for whoever asks what
/// an answer would mean (check-participant, verify).
///
/// R1: the status line decides the class. Nothing turns an answer around but a rule that its author
/// wrote for this kind of call, and a rule that cannot be evaluated makes no answer better or
/// worse.
#include <optional>
#include <string>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/answer.hpp>
#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

#include "scope.hpp"

namespace backstitch::engine {

/// Who decided the class of an answer.
enum class Authority { table, step, poll, probe, compensation, service };

/// All that an answer is judged by, beside the answer itself. Borrows the rules.
struct AnswerContext {
  struct Rules {
    Authority authority;
    const std::vector<dsl::OutcomeRule>* list;
  };

  Question question = Question::action;
  dsl::Method method = dsl::Method::post;                ///< of the request that was answered
  dsl::Idempotency idempotency = dsl::Idempotency::key;  ///< of the action's service
  bool readonly = false;   ///< the step has no effect that a refusal could hide
  bool completes = false;  ///< the step has a `completion`: 202 means that the answer follows
  bool sealed = false;     ///< a probe whose "not seen" closes the key
  bool has_marks = false;  ///< the service says how its own answers are told from others
  bool may_quote = true;   ///< the beginning of what the answer says
  Before before = Before::known;
  std::vector<Rules> rules;  ///< the first to be asked first
};
/// @pre the step has a call of that kind
AnswerContext answer_context(const Program& program, const dsl::Step& step, Question question,
                             Before before);
/// As far as the log of the saga tells.
Before before_answer(const SagaState& state, const StepPath& path);

/// What one attempt's answer means. For a poll, anything but success and failure means that the
/// action's answer has not come; for a probe, that it cannot decide.
struct Verdict {
  dsl::OutcomeClass outcome = dsl::OutcomeClass::unknown;
  Authority authority = Authority::table;
  std::string code;
  std::string message;
  std::string note;  ///< which rules could not be evaluated, and why; empty: none
  std::optional<Duration> retry_after;  ///< the participant's wish, or the rule's
  Json details;
  bool is_last = false;  ///< see TransportError
  bool lost = false;     ///< there is no answer: the node that had sent the request is gone
};

/// See quoted_beginning(); empty: it is JSON, or there is none.
std::string beginning_of_text(const Response& response);

/// `scope` gets `response`, for the rules and for what is rendered afterwards.
Verdict judge_answer(const AnswerContext& context, const CallResult& result, SagaScope& scope);

}  // namespace backstitch::engine

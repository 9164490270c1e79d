#pragma once
#include <string>

#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::engine {

/// What is known of the attempts of an action before the one that was answered.
enum class Before {
  known,    ///< none, or the outcome of each
  unknown,  ///< one ended unknown
  lost      ///< and more may have been: the store was set back
};

struct AnswerMeaning {
  dsl::OutcomeClass outcome = dsl::OutcomeClass::unknown;
  std::string code;     ///< `HTTP_409`, or that of a rule
  std::string message;  ///< in words, for people
};

/// The call that an answer belongs to. A callback is the late answer of an accepted action; unlike
/// the answer to a poll its status speaks of the action, too.
enum class Question { action, callback, poll, probe, compensation };
Question question_of(Phase phase);

/// What the machine takes one answer of a step for, by the rules and the table that running sagas
/// are judged by. For tools that judge participants beside the machine; no saga has to run.
/// `unknown_seen`: an attempt of the action before it ended unknown.
/// @pre the step has a call of that kind
AnswerMeaning meaning_of(const Program& program, const dsl::Step& step, Question question,
                         const CallResult& result, bool unknown_seen = false);
/// The same of a step of a saga that runs; the rules see the saga's data.
/// @pre the path names an action of the definition
AnswerMeaning meaning_of(const Program& program, const SagaState& state, const StepPath& path,
                         Question question, const CallResult& result);

}  // namespace backstitch::engine

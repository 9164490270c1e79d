#pragma once
#include <string>

#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::engine {

struct AnswerMeaning {
  dsl::OutcomeClass outcome = dsl::OutcomeClass::unknown;
  std::string code;     ///< `HTTP_409`, or that of a rule
  std::string message;  ///< in words, for people
};

/// What the machine takes one answer of a step for: the rules of the step, then of its service,
/// then the table. For whoever judges participants beside the machine; no saga has to run.
/// @pre the step has a call of that phase
AnswerMeaning meaning_of(const Program& program, const dsl::Step& step, Phase phase,
                         const CallResult& result);

}  // namespace backstitch::engine

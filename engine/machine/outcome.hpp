#pragma once
#include <optional>
#include <string>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

#include "scope.hpp"

namespace backstitch::engine {

/// The code of an attempt whose node was lost before the answer.
inline constexpr const char* answer_lost = "OUTCOME_UNKNOWN";

/// What one attempt's answer means.
struct Verdict {
  dsl::OutcomeClass outcome = dsl::OutcomeClass::unknown;
  std::string code;
  std::string message;
  std::optional<Duration> retry_after;  ///< the participant's wish, or the rule's
  Json details;
  bool accepted = false;  ///< 202 without a rule: the work goes on after the answer
};

/// Those that judge the answers of one phase of a step, the first to be asked first.
/// @pre the step has a call of that phase
std::vector<const std::vector<dsl::OutcomeRule>*> outcome_rules(const Program& program,
                                                                const dsl::Step& step, Phase phase);

/// The rules of the step, then of the service, then the table: the first that matches decides.
/// `scope` gets `response`, for the rules and for what is rendered afterwards.
Verdict classify(const CallResult& result,
                 const std::vector<const std::vector<dsl::OutcomeRule>*>& rules, SagaScope& scope);

}  // namespace backstitch::engine

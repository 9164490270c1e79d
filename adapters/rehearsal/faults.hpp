#pragma once
#include <backstitch/engine/machine/stimulus.hpp>
#include <backstitch/rehearsal/rehearsal.hpp>

#include "answers.hpp"

namespace backstitch::rehearsal {

/// The rules by which the engine reads an answer to that call of a step.
Rules rules_of(const Answers& answers, const dsl::Definition& definition, const dsl::Step& step,
               Target target);
bool has_target(const dsl::Step& step, Target target);
/// The answer that the rules read as a refusal with that code.
/// @return nothing if no answer would
std::optional<engine::CallResult> refusal(const Rules& rules, Target target,
                                          const std::string& code);
/// Whether a fault, or anything else that names a step, means the step at this path.
bool names_path(const std::string& named, const std::string& path);
/// The step's name, from its path.
std::string name_in(const std::string& path);
/// @return invalid/fault-invalid or invalid/step-unknown for what could never happen
Result<Done> check_faults(const Options& options, const Definitions& definitions,
                          const Answers& answers);

}  // namespace backstitch::rehearsal

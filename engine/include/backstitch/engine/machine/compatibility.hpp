#pragma once
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine {

/// Why a running saga could not go on by another version of its definition.
struct Incompatibility {
  std::string code;  ///< step-missing, step-differs, step-inserted, undo-differs, input-invalid,
                     ///< pivot-differs, service-missing
  StepPath step;     ///< empty: the saga as a whole
  std::string message;
};

/// What stands against a saga in `state`, which runs by `from`, going on by `to`; empty: nothing.
/// Looked at is what has happened and what is open: the steps that were reached have to stand where
/// they stood, mean what they meant, and have nothing new before them. What expressions of later
/// steps read is the checker's business; what participants answer is nobody's to know. Pure.
std::vector<Incompatibility> incompatibilities(const dsl::Definition& from,
                                               const dsl::Definition& to, const SagaState& state);

}  // namespace backstitch::engine

#pragma once
/// Which waits a signal may be for. Private to engine/machine.
#include <string>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/state.hpp>

namespace backstitch::engine {

/// A wait for signals of a name.
struct Listener {
  const dsl::Wait* wait = nullptr;
  StepPath path;           ///< empty inside a loop, where it has several
  bool may_begin = false;  ///< it has not begun, and what it stands in is not over
};

bool listens_to(const dsl::Wait& wait, const std::string& name);
/// Every wait of the definition for signals of that name; handlers have none.
std::vector<Listener> listeners(const dsl::Definition& definition, const SagaState& state,
                                const std::string& name);
/// Whether `accept` can be judged before its wait begins: it reads the signal and what is there
/// from the start of the saga.
bool is_judged_early(const dsl::Expression& accept);

}  // namespace backstitch::engine

#pragma once
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/dsl/finding.hpp>

namespace backstitch::engine {

/// The blocks of a definition that this version of the engine does not run, as findings of code
/// E101. Registration refuses them: a saga must never start what it cannot finish.
std::vector<dsl::Finding> unsupported_blocks(const dsl::Definition& definition);

}  // namespace backstitch::engine

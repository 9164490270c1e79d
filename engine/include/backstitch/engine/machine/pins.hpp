#pragma once
#include <functional>
#include <memory>
#include <string>

#include <backstitch/dsl/definition.hpp>

namespace backstitch::engine {

/// Finds a registered definition; version 0: the active one.
using FindDefinition = std::function<std::shared_ptr<const dsl::Definition>(const std::string& name,
                                                                            std::int64_t version)>;

/// What a definition's sub-sagas are at this moment: {"<step>": {"version", "kind"}} as JSON text.
/// Stored with the definition, so that a later version of a child changes no parent.
std::string pins_of(const dsl::Definition& definition, const FindDefinition& find);
/// The definition with its sub-sagas fixed to what was stored. nullptr stays nullptr.
std::shared_ptr<const dsl::Definition> with_pins(std::shared_ptr<const dsl::Definition> definition,
                                                 const std::string& pins);

}  // namespace backstitch::engine

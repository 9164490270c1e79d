#pragma once
/// What this node does not know may have been registered at another one a moment ago: it is looked
/// up in the store once before it is said not to exist.
#include <utility>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/runtime/registry.hpp>

namespace backstitch::engine {

/// `look` gives a Result by what the registry knows. `told` gets it: inside this call unless it is
/// not_found, else on a thread of the store's, from a second look after a refresh. The registry
/// must outlive the call.
///
///     look_up(registry, [&] { return registry.program(name, version); },
///             [](const Result<Program>& program) { … });
template <class Look, class Told>
void look_up(Registry& registry, Look look, Told told) {
  auto found = look();
  if (found || found.error().code != ErrorCode::not_found) return told(std::move(found));
  registry.refresh([look = std::move(look), told = std::move(told)](const Result<Done>&) mutable {
    told(look());
  });
}

}  // namespace backstitch::engine

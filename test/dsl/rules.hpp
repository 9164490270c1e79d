#pragma once
/// What the tests of the checker's rules share: short documents, and an environment that knows
/// them.
#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/check.hpp>

#include "../support/usual_steps.hpp"

namespace backstitch::test {

std::string read_file(const std::string& path);

/// The environment in which test/definitions/registered.json is registered, and `t.level1` to
/// `t.level9`, each calling the next from many steps. What is called `known` is known: a service, a
/// secret, a local operation, a host that may be called over plain http. `https` is allowed.
dsl::CheckContext environment();
/// The same with other definitions.
dsl::CheckContext environment(const Json& registered);

/// Whether a pointer leads to something in the document, or to a member that is missing there.
bool leads_somewhere(const Json& document, const std::string& pointer);

}  // namespace backstitch::test

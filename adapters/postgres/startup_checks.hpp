#pragma once
#include <set>
#include <string>

#include <backstitch/base/result.hpp>

#include "session.hpp"

namespace backstitch::postgres {

/// Whether this server can be trusted with sagas: its version, its durability, its schema.
/// Throws as Session does.
Result<Done> check_server(Session& session, const std::set<std::string>& allow_unsafe);

}  // namespace backstitch::postgres

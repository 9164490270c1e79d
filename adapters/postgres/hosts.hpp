#pragma once
#include <string>

#include <backstitch/base/result.hpp>

namespace backstitch::postgres {

/// Asks every host that a connection string names, if there are several, whether it takes writes
/// and on which timeline it is. Those that cannot be reached are passed over.
/// @return invalid/database-several-primaries: two take writes; invalid/database-left-behind: one
/// does, and another host is on a later timeline
Result<Done> check_hosts(const std::string& text);

}  // namespace backstitch::postgres

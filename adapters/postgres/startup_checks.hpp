#pragma once
#include <backstitch/base/result.hpp>

#include "session.hpp"

namespace backstitch::postgres {

/// Whether this server can be used: its version, its schema. Throws as Session does.
Result<Done> check_server(Session& session);

}  // namespace backstitch::postgres

#pragma once
#include "session.hpp"

namespace backstitch::postgres {

/// Looks at the server of a new session: after a failover it may be another one, with settings of
/// its own. @throws SessionRefused if it cannot hold every text, or if its crash would lose what
/// the session makes durable
void require_safe_server(Session& session, const SessionOptions& options);

}  // namespace backstitch::postgres

#pragma once
#include <string>

#include <pqxx/pqxx>

namespace backstitch::postgres {

/// Refuses a connection through a pooler that gives each transaction, and not each session, a
/// server process: settings, prepared statements, LISTEN and the end of a lost backend need a
/// process of their own. A second connection shows it: while the first one holds a transaction
/// open, the second must be at another server process, and still at the one where it was before.
/// @param text of the connection, to open the second one
/// @throws SessionRefused; pqxx::broken_connection if the second one does not answer
void require_own_backend(pqxx::connection& connection, const std::string& text);

}  // namespace backstitch::postgres

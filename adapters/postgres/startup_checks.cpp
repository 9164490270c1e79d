#include "startup_checks.hpp"

#include "schema_history.hpp"

namespace backstitch::postgres {
namespace {

constexpr int server_version_min = 150000;

Result<Done> check_schema(Session& session) {
  const auto recorded = recorded_migrations(session);
  Result<Done> history = check_history(recorded, migrations::all());
  if (!history) return history;
  if (recorded.size() < migrations::all().size()) {
    return Error{ErrorCode::invalid, "schema-not-migrated",
                 "the database is at schema version " + std::to_string(recorded.size()) +
                     ", this program needs " + std::to_string(migrations::all().size()) +
                     "; run `backstitch migrate`"};
  }
  return check_objects(session);
}

}  // namespace

Result<Done> check_server(Session& session) {
  if (session.server_version() < server_version_min) {
    return Error{ErrorCode::invalid, "database-too-old",
                 "the server is PostgreSQL " + std::to_string(session.server_version() / 10000) +
                     "; 15 or later is needed"};
  }
  return check_schema(session);
}

}  // namespace backstitch::postgres

#include "startup_checks.hpp"

#include "schema_history.hpp"

namespace backstitch::postgres {
namespace {

constexpr int server_version_min = 150000;

struct Danger {
  const char* setting;
  const char* consequence;
};
constexpr Danger dangers[] = {
    {"fsync", "a crash of the machine can lose or corrupt committed sagas"},
    {"full_page_writes", "a crash of the machine can corrupt the database"},
    {"synchronous_commit", "a crash loses sagas whose start was already confirmed"}};

Result<Done> check_durability(Session& session, const std::set<std::string>& allow_unsafe) {
  for (const Danger& danger : dangers) {
    const std::string setting = danger.setting;
    const std::string value =
        session.run_prepared("setting", "select current_setting($1::text)", setting)[0][0].c_str();
    if (value != "off" || allow_unsafe.contains(setting)) continue;
    return Error{ErrorCode::invalid, "database-unsafe-setting",
                 "the database runs with " + setting + "=off: " + danger.consequence +
                     ". Switch it on, or allow it by name: --allow-unsafe " + setting};
  }
  return Done{};
}

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
  return Done{};
}

}  // namespace

Result<Done> check_server(Session& session, const std::set<std::string>& allow_unsafe) {
  if (session.server_version() < server_version_min) {
    return Error{ErrorCode::invalid, "database-too-old",
                 "the server is PostgreSQL " + std::to_string(session.server_version() / 10000) +
                     "; 15 or later is needed"};
  }
  Result<Done> durable = check_durability(session, allow_unsafe);
  if (!durable) return durable;
  return check_schema(session);
}

}  // namespace backstitch::postgres

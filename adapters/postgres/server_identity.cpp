#include "server_identity.hpp"

#include <charconv>
#include <initializer_list>

#include "failure.hpp"

namespace backstitch::postgres {
namespace {

/// In the order in which `abilities` asks for them.
constexpr const char* system_function = "pg_control_system()";
constexpr const char* lsn_function = "pg_current_wal_insert_lsn()";
constexpr const char* file_function = "pg_walfile_name(pg_lsn)";
/// Hexadecimal digits at the beginning of the name of a WAL file.
constexpr std::size_t timeline_digits = 8;

struct Abilities {
  bool writes = false;
  bool system = false;  ///< may execute that function
  bool lsn = false;
  bool file = false;
};

Abilities abilities(Session& session) {
  static const std::string sql = [] {
    std::string text =
        "select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'";
    for (const char* function : {system_function, lsn_function, file_function}) {
      text += ", coalesce(has_function_privilege(to_regprocedure('pg_catalog." +
              std::string(function) + "'), 'execute'), false)";
    }
    return text;
  }();
  const pqxx::result found = session.run(sql);
  return {found[0][0].as<bool>(), found[0][1].as<bool>(), found[0][2].as<bool>(),
          found[0][3].as<bool>()};
}

/// Managed services may grant a function and let it fail.
std::optional<std::string> value_of(Session& session, const std::string& sql) {
  try {
    const pqxx::result found = session.run(sql);
    return text_or_empty(found[0][0]);
  } catch (const pqxx::sql_error&) {
    if (current_failure(session.is_open()).kind == FailureKind::lost) throw;
    return std::nullopt;
  }
}

std::optional<std::int64_t> number_of(const std::optional<std::string>& text, int base,
                                      std::size_t digits_max = std::string::npos) {
  if (!text) return std::nullopt;
  const std::string digits = text->substr(0, digits_max);
  std::int64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (error != std::errc{} || end == digits.data()) return std::nullopt;
  return number;
}

void add_missing(std::string& missing, const char* function) {
  missing += (missing.empty() ? "pg_catalog." : ", pg_catalog.") + std::string(function);
}

}  // namespace

bool ServerIdentity::agrees_with(const ServerIdentity& other) const {
  const auto is_same = [](const auto& a, const auto& b) { return !a || !b || *a == *b; };
  return is_same(system, other.system) && is_same(timeline, other.timeline);
}

void ServerIdentity::learn(const ServerIdentity& other) {
  if (!system) system = other.system;
  if (!timeline) timeline = other.timeline;
  if (is_known()) missing.clear();
}

std::string ServerIdentity::text() const {
  return "system " + (system ? std::to_string(*system) : std::string("unknown")) + ", timeline " +
         (timeline ? std::to_string(*timeline) : std::string("unknown"));
}

ServerIdentity read_identity(Session& session) {
  const Abilities can = abilities(session);
  if (!can.writes) {
    throw SessionRefused({ErrorCode::unavailable, "database-read-only",
                          "the database is read-only: this server is not a primary"});
  }
  ServerIdentity identity;
  if (can.system)
    identity.system =
        number_of(value_of(session, "select system_identifier from pg_control_system()"), 10);
  if (!identity.system) add_missing(identity.missing, system_function);
  if (!can.lsn) add_missing(identity.missing, lsn_function);
  // Not pg_control_checkpoint(), which tells the timeline of the last checkpoint.
  if (can.lsn && can.file)
    identity.timeline =
        number_of(value_of(session, "select pg_walfile_name(pg_current_wal_insert_lsn())"), 16,
                  timeline_digits);
  if (!can.file || (can.lsn && !identity.timeline)) add_missing(identity.missing, file_function);
  return identity;
}

}  // namespace backstitch::postgres

#include "schema_history.hpp"

namespace backstitch::postgres {

std::vector<RecordedMigration> recorded_migrations(Session& session) {
  const pqxx::result table = session.run("select to_regclass('backstitch.schema_migration')");
  if (table[0][0].is_null()) return {};
  std::vector<RecordedMigration> recorded;
  for (const auto& row : session.run(
           "select version, name, sha256 from backstitch.schema_migration order by version")) {
    recorded.push_back({row[0].as<int>(), row[1].c_str(), row[2].c_str()});
  }
  return recorded;
}

Result<Done> check_history(const std::vector<RecordedMigration>& recorded,
                           std::span<const migrations::Migration> known) {
  for (std::size_t i = 0; i < recorded.size(); ++i) {
    const std::string step = std::to_string(recorded[i].version) + " (" + recorded[i].name + ")";
    if (i >= known.size()) {
      return Error{ErrorCode::invalid, "schema-too-new",
                   "the database has migration " + step +
                       ", which this program does not know; run a " + "newer backstitch"};
    }
    if (recorded[i].version != known[i].version || recorded[i].sha256 != known[i].sha256) {
      return Error{ErrorCode::invalid, "schema-changed",
                   "migration " + step + " was applied with other content than this program has; " +
                       "run the version of backstitch that applied it"};
    }
  }
  return Done{};
}

Result<Done> check_objects(Session& session) {
  if (session.run("select to_regprocedure('backstitch.schema_differences()')")[0][0].is_null()) {
    return Error{ErrorCode::invalid, "schema-changed",
                 "the schema was changed by hand: function schema_differences() is missing"};
  }
  const pqxx::result differences =
      session.run("select name, needed, found from backstitch.schema_differences()");
  if (differences.empty()) return Done{};
  const auto& first = differences[0];
  const std::string name = first[0].c_str();
  std::string message = "the schema was changed by hand: " + name;
  message += first[2].is_null() ? " is missing" : " is `" + std::string(first[2].c_str()) + "`";
  message += "; the program needs `" + std::string(first[1].c_str()) + "`";
  if (differences.size() > 1)
    message += ", and " + std::to_string(differences.size() - 1) +
               " more objects differ: select * from backstitch.schema_differences()";
  return Error{ErrorCode::invalid, "schema-changed", std::move(message)};
}

}  // namespace backstitch::postgres

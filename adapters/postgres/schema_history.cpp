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

}  // namespace backstitch::postgres

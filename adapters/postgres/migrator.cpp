#include <backstitch/postgres/migrator.hpp>

#include "failure.hpp"
#include "schema_history.hpp"

namespace backstitch::postgres {
namespace {

const std::string bootstrap = R"(
  create schema if not exists backstitch;
  comment on schema backstitch is 'Sagas and their logs. Migrated by `backstitch migrate`.';
  create table if not exists backstitch.schema_migration (
    version    integer     not null,
    name       text        not null,
    sha256     text        not null,
    applied_at timestamptz not null default now(),
    constraint schema_migration_pkey primary key (version)
  );)";

/// Held by the session, so that it ends with the connection whatever happens.
const std::string lock = "select pg_advisory_lock(hashtextextended('backstitch.migrate', 0))";

void apply(Session& session, const migrations::Migration& migration) {
  pqxx::work tx(session.connection());
  tx.exec(std::string(migration.sql));
  tx.exec("insert into backstitch.schema_migration (version, name, sha256) values (" +
          std::to_string(migration.version) + ", " + tx.quote(std::string(migration.name)) + ", " +
          tx.quote(std::string(migration.sha256)) + ")");
  tx.commit();
}

Result<std::vector<MigrationStep>> migrate_with(Session& session, bool dry_run) {
  if (!dry_run) {
    session.run(lock);
    if (recorded_migrations(session).empty()) session.run(bootstrap);
  }
  const auto recorded = recorded_migrations(session);
  if (const Result<Done> history = check_history(recorded, migrations::all()); !history) {
    return history.error();
  }
  std::vector<MigrationStep> steps;
  for (const migrations::Migration& migration : migrations::all()) {
    MigrationStep& step = steps.emplace_back();
    step.version = migration.version;
    step.name = migration.name;
    if (steps.size() <= recorded.size()) {
      step.state = MigrationState::applied_before;
    } else if (!dry_run) {
      apply(session, migration);
      step.state = MigrationState::applied;
    }
  }
  return steps;
}

}  // namespace

Result<std::vector<MigrationStep>> migrate(const std::string& database_url, bool dry_run) {
  std::unique_ptr<Session> session;
  try {
    session = std::make_unique<Session>(SessionOptions{database_url, "backstitch migrate"});
    return migrate_with(*session, dry_run);
  } catch (const InvariantViolation&) {
    throw;
  } catch (...) {
    const Failure failure = current_failure(session && session->is_open());
    if (failure.kind == FailureKind::lost) return to_error(failure);
    return Error{ErrorCode::internal, "migration-failed",
                 "a migration failed and was rolled back: " + failure.message};
  }
}

}  // namespace backstitch::postgres

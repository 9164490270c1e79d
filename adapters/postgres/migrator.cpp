#include <backstitch/postgres/migrator.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string_view>
#include <thread>

#include <backstitch/postgres/passwords.hpp>

#include "condition.hpp"
#include "failure.hpp"
#include "schema_history.hpp"

namespace backstitch::postgres {
namespace {

/// A statement that waits for a lock holds up whoever comes after it, so it gives up soon, and the
/// migration is tried again as a whole.
constexpr const char* lock_timeout = "3s";
constexpr int lock_tries_max = 20;
constexpr std::chrono::milliseconds lock_retry_after{1000};

const std::string schema_sql = R"(create schema backstitch;
comment on schema backstitch is 'Sagas and their logs. Migrated by `backstitch migrate`.';
)";
const std::string history_sql = R"(create table if not exists backstitch.schema_migration (
  version    integer     not null,
  name       text        not null,
  sha256     text        not null,
  applied_at timestamptz not null default now(),
  constraint schema_migration_pkey primary key (version)
);
create table if not exists backstitch.schema_lock (
  only_row boolean not null default true,
  constraint schema_lock_pkey primary key (only_row),
  constraint schema_lock_has_one_row check (only_row)
);
comment on table backstitch.schema_lock is 'Its row is locked by whoever applies a migration.';
insert into backstitch.schema_lock default values on conflict do nothing;
)";
const std::string lock_sql = "select 1 from backstitch.schema_lock for update";
const std::string record_objects_sql = "select backstitch.record_schema()";

/// Two that create the same object at once: the second fails although it asked whether it exists,
/// and finds it when it asks again.
constexpr std::string_view created_meanwhile[] = {"23505", "42P06", "42P07"};
constexpr int bootstrap_tries_max = 10;
constexpr std::string_view lock_not_granted = "55P03";

/// A schema that exists may be another role's, who has granted CREATE on it; asking for it with `if
/// not exists` would need CREATE on the database.
bool has_schema(Session& session) {
  return !session.run("select 1 from pg_namespace where nspname = 'backstitch'").empty();
}

void prepare(Session& session) {
  for (int tries = 1;; ++tries) {
    try {
      session.run((has_schema(session) ? "" : schema_sql) + history_sql);
      return;
    } catch (const pqxx::sql_error& error) {
      const bool again = std::find(std::begin(created_meanwhile), std::end(created_meanwhile),
                                   error.sqlstate()) != std::end(created_meanwhile);
      if (!again || tries >= bootstrap_tries_max) throw;
    }
  }
}

/// Runs it again while another session holds a lock that it needs.
template <class Work>
auto with_lock_retries(Work&& work) -> decltype(work()) {
  for (int tries = 1;; ++tries) {
    try {
      return work();
    } catch (const pqxx::sql_error& error) {
      if (error.sqlstate() != lock_not_granted || tries >= lock_tries_max) throw;
    }
    std::this_thread::sleep_for(lock_retry_after);
  }
}

std::string sql_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

std::string record_sql(const migrations::Migration& migration) {
  return "insert into backstitch.schema_migration (version, name, sha256) values (" +
         std::to_string(migration.version) + ", " + sql_literal(migration.name) + ", " +
         sql_literal(migration.sha256) + ")";
}

/// A query of which psql prints no rows.
std::string quiet(const std::string& query) {
  constexpr std::size_t verb_size = std::string_view("select").size();
  return "do $$ begin perform" + query.substr(verb_size) + "; end $$;\n";
}

/// For an operator to read, and to run with psql in place of `migrate`.
std::string script_of(const migrations::Migration& migration) {
  return "begin;\nset local lock_timeout = " + sql_literal(lock_timeout) +
         ";\nset local search_path = pg_catalog, pg_temp;\n" + quiet(lock_sql) +
         std::string(migration.sql) + record_sql(migration) + ";\n" + quiet(record_objects_sql) +
         "commit;\n";
}

/// Under the lock of a row of ours, which no other role can take.
/// @return whether it was left to do: another process may have been first
bool apply(Session& session, const migrations::Migration& migration) {
  pqxx::work tx(session.connection());
  tx.exec(lock_sql);
  if (!tx.exec("select 1 from backstitch.schema_migration where version = " +
               std::to_string(migration.version))
           .empty())
    return false;
  tx.exec(std::string(migration.sql));
  tx.exec(record_sql(migration));
  tx.exec(record_objects_sql);
  tx.commit();
  return true;
}

Result<Done> check(Session& session, const std::vector<RecordedMigration>& recorded) {
  const Result<Done> history = check_history(recorded, migrations::all());
  return history && !recorded.empty() ? check_objects(session) : history;
}

Result<std::vector<MigrationStep>> migrate_with(Session& session, bool dry_run) {
  if (!dry_run && recorded_migrations(session).empty())
    with_lock_retries([&] { prepare(session); });
  const auto recorded = recorded_migrations(session);
  if (const Result<Done> good = check(session, recorded); !good) return good.error();
  std::vector<MigrationStep> steps;
  for (const migrations::Migration& migration : migrations::all()) {
    MigrationStep& step = steps.emplace_back();
    step.version = migration.version;
    step.name = migration.name;
    if (steps.size() <= recorded.size()) {
      step.state = MigrationState::applied_before;
    } else if (dry_run) {
      step.sql = script_of(migration);
    } else {
      step.state = with_lock_retries([&] { return apply(session, migration); })
                       ? MigrationState::applied
                       : MigrationState::applied_before;
    }
  }
  if (dry_run) {
    if (recorded.empty())
      steps.front().sql = (has_schema(session) ? "" : schema_sql) + history_sql + steps.front().sql;
    return steps;
  }
  // The other process may be another version of the program.
  if (const Result<Done> good = check(session, recorded_migrations(session)); !good)
    return good.error();
  return steps;
}

Error migration_error(const Failure& failure) {
  if (failure.kind == FailureKind::lost) return to_operator_error(failure);
  std::string message =
      "a migration failed and was rolled back: " + without_passwords(failure.message);
  if (failure.sqlstate == lock_not_granted) {
    message +=
        "; " + std::to_string(lock_tries_max) +
        " tries have met a lock of another session: see pg_locks, and try again when it has ended";
  }
  return Error{ErrorCode::internal, "migration-failed", std::move(message)};
}

}  // namespace

Result<std::vector<MigrationStep>> migrate(const std::string& database_url, bool dry_run) {
  std::unique_ptr<Session> session;
  try {
    // Statements that change a large schema take their time.
    session = std::make_unique<Session>(
        SessionOptions{database_url,
                       "backstitch migrate",
                       "migrate",
                       {{"statement_timeout", "0"}, {"lock_timeout", lock_timeout}}});
    return migrate_with(*session, dry_run);
  } catch (const InvariantViolation&) {
    throw;
  } catch (...) {
    const Failure failure = current_failure(session && session->is_open());
    return session ? migration_error(failure) : to_operator_error(failure);
  }
}

}  // namespace backstitch::postgres

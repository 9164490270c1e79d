/// The schema as the catalogs of a migrated database have it.
#include <atomic>

#include "postgres_fixture.hpp"

using namespace backstitch;
using namespace backstitch::test;
using postgres::PostgresStore;

TEST_CASE("text in every key and index, and in every foreign key, has the collation C") {
  const std::string url = migrated_database();
  const pqxx::result others = query(url, R"(
    select c.relname || ' sorts by ' || k.collname
      from pg_index i
      join pg_class c on c.oid = i.indexrelid
     cross join unnest(i.indcollation::oid[]) collated(oid)
      join pg_collation k on k.oid = collated.oid
     where c.relnamespace = 'backstitch'::regnamespace and k.collname <> 'C'
    union all
    select o.conname || ' compares ' || a.attname
      from pg_constraint o
     cross join lateral (values (o.conrelid, o.conkey), (o.confrelid, o.confkey)) side(relation, columns)
      join pg_attribute a on a.attrelid = side.relation and a.attnum = any (side.columns)
      join pg_collation k on k.oid = a.attcollation
     where o.connamespace = 'backstitch'::regnamespace and o.contype = 'f' and k.collname <> 'C')");
  for (const auto& other : others) FAIL_CHECK(std::string(other[0].c_str()));
  // It looks at what there is.
  CHECK(query(url,
              "select 1 from pg_index i join pg_class c on c.oid = i.indexrelid"
              " where c.relname = 'saga_key_pkey' and i.indcollation[0] = "
              "'pg_catalog.\"C\"'::regcollation")
            .size() == 1);
}

TEST_CASE(
    "a schema to which indexes, partitions, storage options and grants were added is accepted") {
  const std::string url = migrated_database();
  query(url, R"(
    create index added on backstitch.saga (started_at);
    alter table backstitch.saga_log set (fillfactor = 90);
    alter index backstitch.saga_by_definition set (fillfactor = 80);
    alter table backstitch.audit add column note text;
    grant select on backstitch.sagas to public;
    create table backstitch.audit_archive (like backstitch.audit);
    create function backstitch.added() returns int language sql as 'select 1';
    alter table backstitch.saga_log rename to saga_log_0;
    alter table backstitch.saga_log_0 rename constraint saga_log_pkey to saga_log_0_pkey;
    create table backstitch.saga_log (like backstitch.saga_log_0 including defaults,
      constraint saga_log_pkey primary key (saga_id, sequence)) partition by hash (saga_id);
    alter table backstitch.saga_log attach partition backstitch.saga_log_0 for values with (modulus 1, remainder 0);)");
  const Result<Done> opened = PostgresStore(store_options(url)).open();
  CHECK_MESSAGE(opened, why(opened));
  const auto migrated = postgres::migrate(url, false);
  CHECK_MESSAGE(migrated, why(migrated));
}

TEST_CASE(
    "a schema in which something is missing or changed is refused, with the name of the object") {
  struct Case {
    const char* change;
    const char* object;
  };
  for (const Case& c : std::vector<Case>{
           {"drop index backstitch.saga_asleep", "index saga_asleep is missing"},
           {"drop index backstitch.saga_by_failure_code; create index saga_by_failure_code on "
            "backstitch.saga (failure_code)",
            "index saga_by_failure_code is"},
           {"alter table backstitch.saga_log drop constraint saga_log_pkey",
            "key saga_log_pkey is missing"},
           {"alter table backstitch.inbox drop constraint inbox_command_admitted",
            "check inbox_command_admitted is missing"},
           {"drop view backstitch.steps", "column steps."},
           {"alter table backstitch.saga_key alter key type text collate \"POSIX\"",
            "column saga_key.key is"},
           {"alter table backstitch.saga alter parent set not null", "column saga.parent is"},
           {"alter table backstitch.inbox alter xid drop default", "column inbox.xid is"},
           {"drop table backstitch.strike", "column strike."},
           {"create or replace function backstitch.shard_of(p_saga uuid) returns smallint language "
            "sql immutable as 'select 0::smallint'",
            "function shard_of(uuid) is"},
           {"alter function backstitch.signal(uuid, text, jsonb, text) security invoker",
            "function signal(uuid, text, jsonb, text) is"},
           {"alter table backstitch.definition disable trigger definition_is_immutable",
            "trigger definition_is_immutable is"},
           {"alter table backstitch.installation disable row level security",
            "table installation is"},
           {"drop function backstitch.schema_differences()",
            "function schema_differences() is missing"}}) {
    CAPTURE(c.change);
    const std::string url = migrated_database();
    query(url, c.change);
    for (const Error& error : {PostgresStore(store_options(url)).open().error(),
                               postgres::migrate(url, false).error()}) {
      CHECK(error.reason == "schema-changed");
      CHECK_MESSAGE(error.message.find(c.object) != std::string::npos, error.message);
    }
  }
}

namespace {

/// A database of another role, in which nothing may be created but what is granted.
std::string foreign_database(const std::string& name) {
  server().create_database(name);
  const std::string admin = as_superuser(server().url(name));
  query(admin, "alter database " + name + " owner to postgres");
  query(admin, "revoke create on schema public from public, backstitch");
  CHECK_THROWS(query(server().url(name), "create schema refused"));
  return server().url(name);
}

}  // namespace

TEST_CASE("migrate needs CREATE on the schema alone, where the schema is another role's") {
  const std::string url = foreign_database("foreign_schema");
  CHECK_FALSE(postgres::migrate(url, false));
  query(as_superuser(url),
        "create schema backstitch; grant usage, create on schema backstitch to backstitch");
  const auto dry = postgres::migrate(url, true);
  REQUIRE_MESSAGE(dry, why(dry));
  CHECK(dry->front().sql.find("create schema") == std::string::npos);
  const auto migrated = postgres::migrate(url, false);
  REQUIRE_MESSAGE(migrated, why(migrated));
  const Result<Done> opened = PostgresStore(store_options(url)).open();
  CHECK_MESSAGE(opened, why(opened));
}

TEST_CASE("the script of a dry run does what migrate does") {
  const std::string url = server().create_database("by_script");
  const auto dry = postgres::migrate(url, true);
  REQUIRE_MESSAGE(dry, why(dry));
  pqxx::connection psql(url);
  for (const postgres::MigrationStep& step : *dry) query(psql, step.sql);
  const auto after = postgres::migrate(url, false);
  REQUIRE_MESSAGE(after, why(after));
  for (const postgres::MigrationStep& step : *after)
    CHECK(step.state == postgres::MigrationState::applied_before);
  const Result<Done> opened = PostgresStore(store_options(url)).open();
  CHECK_MESSAGE(opened, why(opened));
}

TEST_CASE("a migration that meets a lock lets others pass and is tried again") {
  const std::string url = server().create_database("locked_schema");
  const std::string script = postgres::migrate(url, true)->front().sql;
  query(url, script.substr(0, script.find("begin;")));
  std::atomic<bool> is_done = false;
  std::jthread migrating;  // joined when the lock has gone
  pqxx::connection holder(url);
  pqxx::work lock(holder);
  lock.exec("select 1 from backstitch.schema_lock for update");
  migrating = std::jthread([&] {
    const auto migrated = postgres::migrate(url, false);
    CHECK_MESSAGE(migrated, why(migrated));
    is_done = true;
  });
  pqxx::connection observer(url);
  const auto is_waiting = [&] {
    return !query(observer,
                  "select 1 from pg_stat_activity where application_name like 'backstitch migrate%'"
                  " and wait_event_type = 'Lock'")
                .empty();
  };
  wait_until(is_waiting);
  wait_until([&] { return !is_waiting(); });
  CHECK_FALSE(is_done);
  lock.commit();
  migrating.join();
  CHECK(is_done);
}

TEST_CASE("every table can be published, deletes included") {
  const std::string url = migrated_database();
  const pqxx::result without = query(url, R"(
    select c.relname from pg_class c
     where c.relnamespace = 'backstitch'::regnamespace and c.relkind = 'r' and not exists (
       select 1 from pg_index i where i.indrelid = c.oid and (i.indisreplident or (c.relreplident = 'd' and i.indisprimary))))");
  for (const auto& table : without) FAIL_CHECK(std::string(table[0].c_str()));
}

#include <atomic>

#include <nlohmann/json.hpp>

#include <backstitch/migrations/migrations.hpp>

#include "../../adapters/postgres/failure.hpp"
#include "../../adapters/postgres/session.hpp"
#include "postgres_fixture.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace backstitch::test;
using namespace std::chrono_literals;
using postgres::MigrationState;
using postgres::PostgresStore;

TEST_CASE("the PostgreSQL store keeps the contract of the storage ports") {
  store_contract([] { return std::make_unique<PostgresFixture>(); });
}

TEST_CASE("migrations") {
  const auto states = [](const Result<std::vector<postgres::MigrationStep>>& steps) {
    REQUIRE_MESSAGE(steps, why(steps));
    std::set<MigrationState> all;
    for (const postgres::MigrationStep& step : *steps) all.insert(step.state);
    return all;
  };
  using States = std::set<MigrationState>;
  static int number = 0;
  const std::string url = server().create_database("migrations_" + std::to_string(++number));
  const auto open = [&] { return PostgresStore(store_options(url)).open(); };

  SUBCASE("a dry run tells what is pending and changes nothing") {
    CHECK(states(postgres::migrate(url, true)) == States{MigrationState::pending});
    CHECK(query(url, "select 1 from pg_namespace where nspname = 'backstitch'").empty());
  }
  SUBCASE("are applied once, and a second time do nothing") {
    CHECK(states(postgres::migrate(url, false)) == States{MigrationState::applied});
    CHECK(states(postgres::migrate(url, false)) == States{MigrationState::applied_before});
    CHECK(states(postgres::migrate(url, true)) == States{MigrationState::applied_before});
    CHECK(open());
  }
  SUBCASE("of several processes at once each step is applied by one, and the others find it done") {
    std::vector<Result<std::vector<postgres::MigrationStep>>> results(
        4, Error{ErrorCode::internal, "not-run", ""});
    std::vector<std::thread> rivals;
    for (auto& result : results)
      rivals.emplace_back([&] { result = postgres::migrate(url, false); });
    for (std::thread& rival : rivals) rival.join();
    for (std::size_t step = 0; step < migrations::all().size(); ++step) {
      CAPTURE(step);
      int applied = 0;
      for (const auto& result : results) {
        REQUIRE_MESSAGE(result, why(result));
        applied += result->at(step).state == MigrationState::applied ? 1 : 0;
      }
      CHECK(applied == 1);
    }
    CHECK(open());
  }
  SUBCASE("no role of the database can hold them up, nor the catalogue, with an advisory lock") {
    pqxx::connection hostile(url);
    query(hostile,
          "select pg_advisory_lock(hashtextextended(l, 0))"
          "  from unnest(array['backstitch.migrate', 'backstitch.catalog']) l");
    CHECK(states(postgres::migrate(url, false)) == States{MigrationState::applied});
    pqxx::connection sql(url);
    query(sql, "set lock_timeout = '5s'");
    CHECK_NOTHROW(query(sql, "select backstitch.put_service('s', '{}')"));
  }
  SUBCASE("a store refuses a database that was never migrated, and says what to do") {
    const Result<Done> opened = open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().reason == "schema-not-migrated");
    CHECK(opened.error().message.find("backstitch migrate") != std::string::npos);
  }
  SUBCASE("a changed checksum and an unknown version are refused by both") {
    struct Case {
      const char* tampering;
      const char* reason;
    };
    for (const Case& c :
         std::vector<Case>{{"update backstitch.schema_migration set sha256 = 'x' where version = 2",
                            "schema-changed"},
                           {"insert into backstitch.schema_migration values (999, 'future', 'x')",
                            "schema-too-new"}}) {
      CAPTURE(c.tampering);
      const std::string database =
          server().create_database("tampered_" + std::string(c.reason), "template0");
      REQUIRE(postgres::migrate(database, false));
      query(database, c.tampering);
      CHECK(postgres::migrate(database, false).error().reason == c.reason);
      CHECK(PostgresStore(store_options(database)).open().error().reason == c.reason);
    }
  }
}

TEST_CASE("a database that cannot be reached is said to be unavailable") {
  PostgresStore store({"host=127.0.0.1 port=1 user=postgres"});
  CHECK(store.open().error().code == ErrorCode::unavailable);
  CHECK(postgres::migrate("host=127.0.0.1 port=1", false).error().code == ErrorCode::unavailable);
}

TEST_CASE("settings that endanger durability are refused unless allowed by name") {
  PrivatePostgres careless(
      {{"fsync", "off"}, {"full_page_writes", "off"}, {"synchronous_commit", "off"}});
  REQUIRE(postgres::migrate(careless.url(), false));
  std::set<std::string> allowed;
  for (const std::string setting : {"fsync", "full_page_writes"}) {
    CAPTURE(setting);
    const Result<Done> opened =
        PostgresStore({.database_url = careless.url(), .allow_unsafe = allowed}).open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().reason == "database-unsafe-setting");
    CHECK(opened.error().message.find(setting + "=off") != std::string::npos);
    allowed.insert(setting);
  }
  CHECK(PostgresStore({.database_url = careless.url(), .allow_unsafe = allowed}).open());
}

TEST_CASE("a session keeps its own settings, whatever the database has set") {
  const std::string url = migrated_database();
  for (const std::string setting :
       {"default_transaction_isolation = serializable", "client_encoding = latin1",
        "standard_conforming_strings = off", "DateStyle = german", "IntervalStyle = iso_8601",
        "TimeZone = 'Asia/Kolkata'", "extra_float_digits = -2", "bytea_output = escape",
        "search_path = public", "row_security = on", "statement_timeout = '20s'",
        "lock_timeout = '20s'", "idle_in_transaction_session_timeout = '1s'",
        "idle_session_timeout = '1s'", "synchronous_commit = local"})
    query(
        url,
        "do $$ begin execute 'alter database ' || quote_ident(current_database()) || ' set ' || " +
            pqxx::connection(url).quote(setting) + "; end $$");
  postgres::Session session({url, "ours", "ours", {{"lock_timeout", "1s"}}});
  const auto value = [&](const std::string& setting) {
    return std::string(session.run("show " + setting)[0][0].c_str());
  };
  CHECK(value("transaction_isolation") == "read committed");
  CHECK(value("client_encoding") == "UTF8");
  CHECK(value("standard_conforming_strings") == "on");
  CHECK(value("DateStyle") == "ISO, MDY");
  CHECK(value("TimeZone") == "UTC");
  CHECK(value("search_path") == "pg_catalog, pg_temp");
  CHECK(value("row_security") == "off");
  CHECK(value("statement_timeout") == "30s");
  CHECK(value("lock_timeout") == "1s");
  CHECK(value("idle_in_transaction_session_timeout") == "30s");
  CHECK(value("idle_session_timeout") == "0");
  CHECK(value("synchronous_commit") == "on");
  PostgresFixture f(url);
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  CHECK(append(f, f.node(), {a_start(saga_in(1, 1), epoch)}).front().outcome ==
        AppendOutcome::written);
}

TEST_CASE("a commit waits for as much as was asked for, and for less only if that is allowed") {
  struct Case {
    const char* stated;
    bool allowed;
    std::string effective;
  };
  const std::string url = migrated_database();
  for (const auto& [stated, allowed, effective] :
       std::vector<Case>{{"remote_apply", false, "remote_apply"},
                         {"off", false, "on"},
                         {"off", true, "off"},
                         {"local", true, "on"},
                         {"remote_write", false, "on"}}) {
    CAPTURE(stated);
    query(url,
          "do $$ begin execute 'alter database ' || quote_ident(current_database()) || "
          "' set synchronous_commit = " +
              std::string(stated) + "'; end $$");
    postgres::SessionOptions options{url, "ours"};
    options.allow_unsafe = {"fsync", "full_page_writes"};
    if (allowed) options.allow_unsafe->insert("synchronous_commit");
    postgres::Session session(options);
    CHECK(std::string(session.run("show synchronous_commit")[0][0].c_str()) == effective);
  }
}

TEST_CASE("a database that cannot hold every text is refused") {
  query(as_superuser(server().url()),
        "create database latin owner backstitch template template0 encoding latin1 locale 'C'");
  const std::string url = server().url("latin");
  CHECK(postgres::migrate(url, false).error().reason == "database-encoding");
  CHECK(PostgresStore(store_options(url)).open().error().reason == "database-encoding");
}

TEST_CASE("each new session looks whether a crash of its server would lose what it makes durable") {
  const std::string url = migrated_database();
  postgres::SessionOptions options{url, "ours"};
  CHECK_NOTHROW(postgres::Session{options});
  options.allow_unsafe.emplace();
  try {
    const postgres::Session session(options);
    FAIL("the test's server runs with fsync=off");
  } catch (const postgres::SessionRefused& refused) {
    CHECK(refused.error.reason == "database-unsafe-setting");
  }
  options.allow_unsafe = {"fsync", "full_page_writes"};
  CHECK_NOTHROW(postgres::Session{options});
}

TEST_CASE("a session whose connection broke never comes back by itself") {
  const std::string url = migrated_database();
  postgres::Session session({url, "victim"});
  session.run("select 1");
  query(url, "select pg_terminate_backend(" + std::to_string(session.backend().pid) + ", 10000)");
  for (int i = 0; i < 3; ++i) CHECK_THROWS(session.run("select 1"));
  CHECK_THROWS(session.run_prepared("one", "select 1"));
  CHECK_FALSE(session.is_open());
}

TEST_CASE(
    "options are added to either form of a connection string, but never change what it says") {
  using postgres::with_options;
  CHECK(with_options("host=a", {{"x", "it's"}}) == "host=a x='it\\'s'");
  CHECK(with_options("postgresql://a/b", {{"x", "1"}, {"y", "a b"}}) ==
        "postgresql://a/b?x=1&y=a%20b");
  CHECK(with_options("postgresql://a/b?y=2", {{"x", "1"}, {"y", "3"}}) ==
        "postgresql://a/b?y=2&x=1");
}

TEST_CASE("of a batch with content that the database cannot hold only those items fail") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  Append zero = a_start(saga_in(1, 1), epoch);
  zero.events[0].data = "{\"text\":\"\\u0000\"}";
  Append broken = a_start(saga_in(2, 2), epoch);
  broken.events[1].path = "\xFF";
  Append endless = a_start(saga_in(3, 3), epoch);
  endless.start->business_key = "";
  for (int i = 0; i < 2000; ++i)
    *endless.start->business_key += SagaId().text() + std::to_string(i * 7919);
  const auto results =
      append(f, f.node(),
             {zero, a_start(saga_in(4, 4), epoch), broken, endless, a_start(saga_in(5, 5), epoch)});
  CHECK(outcomes(results) == std::vector{AppendOutcome::failed, AppendOutcome::written,
                                         AppendOutcome::failed, AppendOutcome::failed,
                                         AppendOutcome::written});
  REQUIRE(results[2].unwritten);
  CHECK(results[2].unwritten->events[1].path == "\xFF");
  CHECK(query(f.url(), "select 1 from backstitch.saga_log").size() == 4);
  CHECK(f.store().reachable());
}

TEST_CASE("an operator's action leaves an audit entry with the append") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  Append start = a_start(saga_in(1, 1), epoch);
  start.audit = AuditEntry{"ada", "retry", "it's fine", R"({"step":"charge"})"};
  append(f, f.node(), {start, a_start(saga_in(1, 2), Epoch(99))});
  const pqxx::result rows = query(
      f.url(), "select actor, action, reason, detail ->> 'step', saga_id from backstitch.audit");
  REQUIRE(rows.size() == 1);
  CHECK(rows[0][2].as<std::string>() == "it's fine");
  CHECK(rows[0][3].as<std::string>() == "charge");
  CHECK(rows[0][4].as<std::string>() == saga_in(1, 1).text());
}

TEST_CASE("the views show sagas and their steps") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  const SagaId saga = saga_in(7, 1);
  append(f, f.node(), {a_start(saga, epoch), a_step(saga, epoch, 2)});
  const pqxx::result steps =
      query(f.url(),
            "select path, status, attempts, output ->> 'id' from backstitch.steps order by path");
  REQUIRE(steps.size() == 2);
  CHECK(steps[0][0].as<std::string>() == "charge");
  CHECK(steps[0][1].as<std::string>() == "running");
  CHECK(steps[1][1].as<std::string>() == "succeeded");
  CHECK(steps[1][2].as<int>() == 1);
  CHECK(steps[1][3].as<std::string>() == "7");
  CHECK(query(f.url(), "select status from backstitch.sagas")[0][0].as<std::string>() == "RUNNING");
}

TEST_CASE("a label of any length is kept and found, and goes with its saga") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  const std::string long_text(100'000, 'x');
  Append start = a_start(saga_in(1, 1), epoch);
  start.start->labels = Json{{"note", long_text}, {"channel", "web"}}.dump();
  append(f, f.node(), {start});
  const auto found = await<Result<std::vector<SagaSummary>>>(f, [&](auto done) {
    f.node().reader.list({.labels = {{"note", long_text}}}, done);
  });
  REQUIRE(found);
  CHECK(found->size() == 1);
  CHECK(query(f.url(), "select 1 from backstitch.saga_label").size() == 2);
  query(f.url(), "update backstitch.saga set expires_at = now(), status = 'COMPLETED'");
  const auto removed = await<Result<std::size_t>>(
      f, [&](auto done) { f.node().store.remove_expired({1}, 10, 1h, done); });
  REQUIRE(removed);
  CHECK(*removed == 1);
  CHECK(query(f.url(), "select 1 from backstitch.saga_label").empty());
}

TEST_CASE("a page of the list reads a page, although many others came after its sagas") {
  PostgresFixture f;
  // Three in four came later and have nothing in common with those that are asked for.
  pqxx::connection observer(f.url());
  query(observer, R"(
    insert into backstitch.saga (id, version, last_sequence, started_at, shard, status, definition,
                                 business_key, failure_code, labels, input)
      select lpad(to_hex(n), 32, '0')::uuid, 1, 1, now(), 0,
             case when n <= 10000 then 'FAILED' else 'COMPLETED' end,
             case when n <= 10000 then 'old' else 'new' end,
             case when n <= 10000 then 'key' end, case when n <= 10000 then 'NO_STOCK' end,
             case when n <= 10000 then '{"channel": "web"}'::jsonb else '{}' end, '{}'
        from generate_series(1, 40000) n;
    insert into backstitch.saga_label
      select backstitch.label_hash('channel', 'web'), id from backstitch.saga where labels <> '{}';
    analyze backstitch.saga;
    analyze backstitch.saga_label;
    select pg_stat_force_next_flush())");
  const auto tuples_read = [&] {
    return query(observer, R"(
      select (select sum(seq_tup_read) from pg_stat_user_tables
               where relname in ('saga', 'saga_label')) +
             (select sum(idx_tup_read) from pg_stat_user_indexes
               where relname in ('saga', 'saga_label')))")[0][0]
        .as<std::size_t>();
  };
  const std::size_t before = tuples_read();
  const std::vector<ListQuery> filters{
      {},
      {.statuses = {"FAILED"}},
      {.statuses = {"FAILED", "SUSPENDED"}},
      {.definition = "old"},
      {.statuses = {"FAILED"}, .definition = "old"},
      {.business_key = "key"},
      {.labels = {{"channel", "web"}}},
      {.failure_code = "NO_STOCK"},
      {.first = SagaId::parse("00000000-0000-0000-0000-000000001000"),
       .last = SagaId::parse("00000000-0000-0000-0000-000000001fff")},
  };
  std::size_t rows = 0;
  for (const ListQuery& filter : filters) {
    const auto page = await<Result<std::vector<SagaSummary>>>(
        f, [&](auto done) { f.node().reader.list(filter, done); });
    REQUIRE(page);
    rows += page->size();
  }
  CHECK(rows == 50 * filters.size());
  // PostgreSQL counts what a session has read once it has ended.
  f.store().close();
  wait_until([&] {
    return query(observer, "select 1 from pg_stat_activity where application_name like '% one'")
        .empty();
  });
  CHECK(before >= 40'000);  // of filling the table: the counting works
  CHECK(tuples_read() - before < 3 * rows);
}

TEST_CASE("two nodes that contend for a dead node's shards never get the same one") {
  PostgresFixture f;
  for (int round = 0; round < 5; ++round) {
    renew(f, f.node(), "dead", 0ms, 256, true);
    LeaseAnswer a;
    LeaseAnswer b;
    // One may find the dead node's row locked by the other and go away with less than it may have.
    for (int renewals = 0; renewals < 3; ++renewals) {
      std::thread rival([&] { b = renew(f, f.other(), "b", 1h, 128); });
      a = renew(f, f.node(), "a", 1h, 128);
      rival.join();
    }
    std::set<Shard> all;
    for (const LeaseAnswer& answer : {a, b}) {
      CHECK(answer.held.size() == 128);
      for (const ShardLease& lease : answer.held) CHECK(all.insert(lease.shard).second);
    }
    for (const std::string node : {"a", "b"}) {
      REQUIRE(await<Result<Done>>(
          f, [&](auto done) { f.node().leases.release(identity(f, node), done); }));
    }
  }
}
TEST_CASE("the views mask what is sensitive by the pointers of the saga's row") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  Append start = a_start(saga_in(7, 1), epoch);
  start.start->input = R"({"token":"t0p","people":[{"pin":1,"n":2}],"a/b":3})";
  start.start->labels = R"({"secret":"t0p","plain":"x"})";
  start.start->business_key = "t0p";
  start.start->sensitive =
      R"({"input":["/token","/people/*/pin","/a~1b"],"output":["/ok"],"labels":["secret"],"businessKey":true,
          "failure":["/details"],"steps":{"reserve":{"output":["/id"]},"charge":{"output":[""]}}})";
  append(f, f.node(), {start, a_step(saga_in(7, 1), epoch, 2)});
  append(f, f.node(), {an_end(saga_in(7, 1), epoch, 4)});
  const auto saga =
      query(f.url(), "select input, labels, business_key, output from backstitch.sagas")[0];
  CHECK(Json::parse(saga[0].c_str()) ==
        Json::parse(R"({"token":"***","people":[{"pin":"***","n":2}],"a/b":"***"})"));
  CHECK(Json::parse(saga[1].c_str()) == Json::parse(R"({"secret":"***","plain":"x"})"));
  CHECK(saga[2].as<std::string>() == "***");
  CHECK(Json::parse(saga[3].c_str()) == Json::parse(R"({"ok":"***"})"));
  const auto steps = query(
      f.url(), "select path, output from backstitch.steps where output is not null order by 1");
  CHECK(Json::parse(steps[0][1].c_str()) == "***");
  CHECK(Json::parse(steps[1][1].c_str()) == Json::parse(R"({"id":"***"})"));
  // The tables have the values as they are.
  CHECK(
      std::string(query(f.url(), "select input ->> 'token' from backstitch.saga")[0][0].c_str()) ==
      "t0p");
  const auto failure = query(
      f.url(),
      R"(select backstitch.masked_failure('{"code":"NO","message":"t0p","details":1}', '{"input":["/token"]}'),
                backstitch.masked_failure('{"code":"NO","message":"m","details":null}', null))");
  CHECK(Json::parse(failure[0][0].c_str()) ==
        Json::parse(R"({"code":"NO","message":"***","details":"***"})"));
  CHECK(Json::parse(failure[0][1].c_str()) ==
        Json::parse(R"({"code":"NO","message":"m","details":null})"));
}

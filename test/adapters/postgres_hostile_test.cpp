// What roles of the database, and what the database says itself, can do to the store and its
// callers: nothing.
#include <mutex>
#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/postgres/passwords.hpp>

#include "postgres_fixture.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace backstitch::test;
using namespace std::chrono_literals;
using postgres::PostgresStore;

TEST_CASE("no function of the schema is for everybody") {
  const std::string url = migrated_database();
  const pqxx::result open_to_all = query(url, R"(
    select p.oid::regprocedure::text from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = 'backstitch' and has_function_privilege('public', p.oid, 'execute'))");
  for (const auto& row : open_to_all) FAIL_CHECK(row[0].c_str());
  CHECK(query(url, "select 1 from pg_proc where pronamespace = 'backstitch'::regnamespace").size() >
        20);
}

TEST_CASE("the inbox itself takes nothing that no saga can hold, whoever writes it") {
  const std::string url = migrated_database();
  pqxx::connection connection(url);
  const auto start = [](const std::string& data, const std::string& definition = "'a.b', 1") {
    return "insert into backstitch.inbox (saga_id, shard, kind, definition, version, data) values "
           "(gen_random_uuid(), 1, 'start', " +
           definition + ", " + data + ")";
  };
  const auto signal = [](const std::string& data) {
    return "insert into backstitch.inbox (saga_id, shard, kind, data) values "
           "(gen_random_uuid(), 1, 'signal', " +
           data + ")";
  };
  const std::string good = R"('{"input":{},"labels":{}}')";
  CHECK_NOTHROW(query(connection, start(good)));
  CHECK_NOTHROW(query(connection, signal(R"('{"name":"go","payload":1}')")));
  for (
      const std::string& insert :
      {start(good, "null, null"),
       start(good, "'a.b', null"),
       start(good, "repeat('a', 129), 1"),
       start(R"('{"labels":{}}')"),
       start(R"('{"input":[],"labels":{}}')"),
       start(R"('{"input":{"n":1e400},"labels":{}}')"),
       start(R"('{"input":{"n":18446744073709551615},"labels":{}}')"),
       start(
           R"(jsonb_build_object('labels', '{}'::jsonb, 'input', jsonb_build_object('x', repeat('x', 262144))))"),
       start(
           R"(jsonb_build_object('labels', '{}'::jsonb, 'input', ('{"x":' || repeat('[', 70) || repeat(']', 70) || '}')::jsonb))"),
       start(R"('{"input":{}}')"),
       start(R"('{"input":{},"labels":{"a":1}}')"),
       start(
           R"(jsonb_build_object('input', '{}'::jsonb, 'labels', (select jsonb_object_agg('k' || i, repeat('x', 1000000))
                                                                      from generate_series(1, 100) i)))"),
       start(
           R"(jsonb_build_object('input', '{}'::jsonb, 'labels', jsonb_build_object('k', repeat('x', 1025))))"),
       start(R"('{"input":{},"labels":{},"businessKey":""}')"),
       start(R"('{"input":{},"labels":{},"businessKey":7}')"),
       start(
           R"(jsonb_build_object('input', '{}'::jsonb, 'labels', '{}'::jsonb, 'businessKey', repeat('k', 256)))"),
       start(R"('{"input":{},"labels":{},"idempotencyKey":""}')"),
       start("'[]'"),
       signal("'{}'"),
       signal(R"('{"name":"","payload":1}')"),
       signal(R"(jsonb_build_object('name', repeat('n', 50000000)))"),
       signal(R"('{"name":"go","payload":1e400}')"),
       signal(R"(jsonb_build_object('name', 'go', 'payload', repeat('x', 65536)))"),
       signal(R"('{"name":"go","payload":1,"key":""}')"),
       std::string("insert into backstitch.inbox (saga_id, shard, kind, data) values "
                   "(gen_random_uuid(), 1, 'cancel', '{}')"),
       std::string("insert into backstitch.inbox (saga_id, shard, kind, node, data) values "
                   "(gen_random_uuid(), 1, 'cancel', 'b', to_jsonb(repeat('x', 4194304)))")}) {
    CAPTURE(insert);
    CHECK_THROWS_AS(query(connection, insert), pqxx::check_violation);
  }
}

TEST_CASE("of a start that is too large the reader is given the size and not the data") {
  PostgresFixture f;
  query(f.url(), R"(
    alter table backstitch.inbox drop constraint inbox_command_admitted, drop constraint inbox_bytes_bounded;
    insert into backstitch.inbox (saga_id, shard, kind, definition, version, data) values
      (')" + saga_in(7, 1).text() +
                     R"(', 7, 'start', 'a.b', 3, to_jsonb(repeat('x', 5000000))))");
  const auto found = await<Result<InboxPoll>>(
      f, [&](auto done) { f.node().inbox.poll({.shards = {7}, .starts = {.limit = 100}}, done); });
  REQUIRE(found);
  REQUIRE(found->starts.items.size() == 1);
  const InboxItem& item = found->starts.items.front();
  CHECK(item.bytes == 5'000'002);
  CHECK(item.data.empty());
  CHECK(item.definition == "a.b");
  CHECK(item.version == 3);
}

TEST_CASE(
    "the hundred and first signal by SQL is refused in its own transaction, an operator's command "
    "is not") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  const SagaId saga = saga_in(7, 1);
  append(f, f.node(), {a_start(saga, epoch)});
  pqxx::connection connection(f.url());
  const std::string send = "select backstitch.signal('" + saga.text() + "', 'go', '1')";
  query(connection, "select count(backstitch.signal('" + saga.text() +
                        "', 'go', '1')) from generate_series(1, 100)");
  try {
    query(connection, send);
    FAIL("it was taken");
  } catch (const pqxx::sql_error& refused) {
    CHECK(refused.sqlstate() == "BS429");
  }
  const auto number = await<Result<std::int64_t>>(f, [&](auto done) {
    f.node().inbox.put({0, saga, "cancel", "b", "{}"}, done);
  });
  CHECK(number);
}

TEST_CASE("revisions of the catalogue become visible in their order") {
  const std::string url = migrated_database();
  pqxx::connection first(url);
  pqxx::work earlier(first);
  earlier.exec("select backstitch.put_service('a', '{}')");
  std::thread rival([&] { query(url, "select backstitch.put_service('b', '{}')"); });
  pqxx::connection observer(url);
  wait_until([&] {
    return !query(observer, "select 1 from pg_stat_activity where wait_event_type = 'Lock'")
                .empty();
  });
  CHECK(query(observer, "select 1 from backstitch.service").empty());
  earlier.commit();
  rival.join();
  const auto order = query(observer, "select name from backstitch.service order by revision");
  REQUIRE(order.size() == 2);
  CHECK(order[0][0].as<std::string>() == "a");
}

namespace {

/// Keeps what it is told.
class Notes final : public Observer {
 public:
  void note(Level, std::string_view event, std::initializer_list<Field> fields) override {
    const std::lock_guard lock(mutex_);
    text_ += std::string(event);
    for (const auto& [name, value] : fields) text_ += " " + std::string(name) + "=" + value;
    text_ += "\n";
  }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what the server says is in the log and in no answer") {
  Notes notes;
  const std::string url = migrated_database();
  postgres::Options options = store_options(url);
  options.observer = &notes;
  PostgresStore store(options);
  REQUIRE(store.open());
  PostgresFixture f(url);
  const auto put = [&](const std::string& definition) {
    return await<Result<PutOutcome>>(f, [&](auto done) {
      store.put_definition({.name = definition, .version = 1, .hash = "h", .document = "{}"}, false,
                           done);
    });
  };
  SUBCASE("content that it cannot hold") {
    const auto answer = put(std::string("secret-7\xff"));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().reason == "store-refused");
    CHECK_FALSE(has(answer.error().message, "UTF8"));
    CHECK(has(notes.text(), "database-error"));
    CHECK(has(notes.text(), "22021"));
  }
  SUBCASE("a statement that it refuses") {
    query(url, "alter table backstitch.definition rename column hash to hidden_column");
    const auto answer = put("a.b");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().reason == "store-failed");
    CHECK_FALSE(has(answer.error().message, "column"));
    CHECK(has(notes.text(), "column"));
  }
}

TEST_CASE("passwords of connection strings are masked wherever they are said") {
  using postgres::without_passwords;
  CHECK(without_passwords("postgresql://u:p@w:1@h:5432/db?x=1 x") ==
        "postgresql://u:***@h:5432/db?x=1 x");
  CHECK(without_passwords("postgres://u:secret@h and postgres://v:other@h") ==
        "postgres://u:***@h and postgres://v:***@h");
  CHECK(without_passwords("postgresql://u@h/db") == "postgresql://u@h/db");
  CHECK(without_passwords("http://127.0.0.1:7420/v1") == "http://127.0.0.1:7420/v1");
  CHECK(without_passwords("host=a password=secret user=b") == "host=a password=*** user=b");
  CHECK(without_passwords("host=a password='se\\'cr et' user=b") == "host=a password=*** user=b");
  CHECK(without_passwords("postgresql://h/db?user=u&password=s%20x&a=b") ==
        "postgresql://h/db?user=u&password=***&a=b");
  CHECK(without_passwords("password=") == "password=***");
  CHECK(without_passwords("password='open") == "password=***");
  for (const std::string url :
       {"postgresql://u:hunter2@127.0.0.1:1/db", "postgresql://u:hunter2@127.0.0.1:x/db",
        "postgresql://u:hunter2@[::1/db", "host=127.0.0.1 port=1 password=hunter2",
        "password=hunter2 nonsense", "postgresql://127.0.0.1:1/db?password=hunter2&bad=1"}) {
    CAPTURE(url);
    const auto migrated = postgres::migrate(url, false);
    REQUIRE_FALSE(migrated);
    CHECK_FALSE(has(migrated.error().message, "hunter2"));
    const auto opened = PostgresStore({.database_url = url}).open();
    REQUIRE_FALSE(opened);
    CHECK_FALSE(has(opened.error().message, "hunter2"));
  }
}

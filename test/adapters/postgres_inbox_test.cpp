/// How a node finds what other transactions put into the inbox.
#include "../../adapters/postgres/queries.hpp"
#include "postgres_fixture.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace backstitch::test;

namespace {

std::vector<Shard> all_shards() {
  std::vector<Shard> shards;
  for (int shard = 0; shard < shard_count; ++shard) shards.push_back(static_cast<Shard>(shard));
  return shards;
}

/// The inbox of one store, and cursors that go on from poll to poll.
class Polls {
 public:
  explicit Polls(PostgresFixture& fixture) : fixture_(fixture) {}

  std::vector<InboxItem> starts(std::size_t limit = 500) {
    auto found = await<Result<InboxPoll>>(fixture_, [&](auto done) {
      fixture_.node().inbox.poll({all_shards(), {}, {cursor_, limit}, {}}, done);
    });
    REQUIRE_MESSAGE(found, why(found));
    cursor_ = found->starts.next;
    return found->starts.items;
  }

 private:
  PostgresFixture& fixture_;
  InboxCursor cursor_;
};

void register_definition(const std::string& url) {
  query(url, "select backstitch.put_definition('t.sql', 1, 'h', '{}', '[]', null, true, '{}')");
}

const std::string start = "select backstitch.start_saga('t.sql', '{}')";

void start_many(pqxx::connection& connection, int count) {
  query(connection, "select count(backstitch.start_saga('t.sql', '{}')) from generate_series(1, " +
                        std::to_string(count) + ")");
}

}  // namespace

TEST_CASE("a poll finds what commits after it, however late, and each item once") {
  PostgresFixture f;
  register_definition(f.url());
  Polls polls(f);
  pqxx::connection slow(f.url());
  pqxx::connection quick(f.url());
  pqxx::work late(slow);
  late.exec(start);
  query(quick, start);
  CHECK(polls.starts().size() == 1);
  // The later transaction has been read, the earlier one still runs.
  CHECK(polls.starts().empty());
  late.exec(start);
  query(quick, start);
  CHECK(polls.starts().size() == 1);
  late.commit();
  CHECK(polls.starts().size() == 2);
  CHECK(polls.starts().empty());
}

TEST_CASE("a poll finds what commits while its pages are read") {
  PostgresFixture f;
  register_definition(f.url());
  Polls polls(f);
  pqxx::connection slow(f.url());
  pqxx::connection quick(f.url());
  pqxx::work late(slow);
  late.exec(start);
  start_many(quick, 5);
  CHECK(polls.starts(2).size() == 2);
  late.commit();
  std::set<std::int64_t> found;
  for (int i = 0; i < 5; ++i) {
    for (const InboxItem& item : polls.starts(2)) found.insert(item.id);
  }
  CHECK(found.size() == 4);
}

TEST_CASE("a poll finds what a prepared transaction and a savepoint have put down") {
  PrivatePostgres prepared({{"fsync", "off"}, {"max_prepared_transactions", "2"}});
  REQUIRE(postgres::migrate(prepared.url(), false));
  PostgresFixture f(prepared.url());
  register_definition(f.url());
  Polls polls(f);
  pqxx::connection connection(f.url());
  query(connection, "begin; savepoint a; " + start + "; release a; prepare transaction 'p'");
  query(connection, start);
  CHECK(polls.starts().size() == 1);
  query(connection, "commit prepared 'p'");
  CHECK(polls.starts().size() == 1);
}

TEST_CASE("commands for a saga whose start waits are left out, and given once it is gone") {
  PostgresFixture f;
  register_definition(f.url());
  const std::string saga = query(f.url(), start)[0][0].c_str();
  query(f.url(), "select backstitch.signal('" + saga + "', 'go')");
  const auto poll = [&](InboxCursor from, std::vector<SagaId> sagas) {
    const auto found = await<Result<InboxPoll>>(f, [&](auto done) {
      f.node().inbox.poll({all_shards(), {from, 100}, {}, sagas}, done);
    });
    REQUIRE_MESSAGE(found, why(found));
    return *found;
  };
  const InboxPoll first = poll({}, {});
  CHECK(first.commands.items.empty());
  CHECK(first.left_out == std::vector{*SagaId::parse(saga)});
  query(f.url(), "delete from backstitch.inbox where kind = 'start'");
  const InboxPoll second = poll(first.commands.next, first.left_out);
  CHECK(second.commands.items.size() == 1);
  CHECK(second.left_out.empty());
}

TEST_CASE("an item that was set aside and waits again is found by the next poll") {
  PostgresFixture f;
  register_definition(f.url());
  Polls polls(f);
  query(f.url(), start);
  query(f.url(), "update backstitch.inbox set failures = 5");
  CHECK(polls.starts().empty());
  query(f.url(), "update backstitch.inbox set failures = 0");
  CHECK(polls.starts().size() == 1);
}

TEST_CASE("a poll over a new session begins anew") {
  PostgresFixture f;
  register_definition(f.url());
  Polls polls(f);
  query(f.url(), start);
  CHECK(polls.starts().size() == 1);
  CHECK(polls.starts().empty());
  query(f.url(),
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name like "
        "'% one'");
  wait_until([&] { return polls.starts().size() == 1; });
}

TEST_CASE("a poll walks neither what it has met nor what was settled, beside an old snapshot") {
  const std::string url = migrated_database();
  register_definition(url);
  pqxx::connection observer(url);
  pqxx::connection old(url);
  query(old, "begin isolation level repeatable read; select 1 from backstitch.inbox");
  postgres::Session session({url, "polls", "inbox", postgres::inbox_settings()});
  InboxCursor cursor;
  const auto poll = [&] {
    const auto found = postgres::poll_inbox(session, {all_shards(), {}, {cursor, 500}, {}});
    cursor = found->starts.next;
    return found->starts.items.size();
  };
  const auto rows_read = [&] {
    session.run("select pg_stat_force_next_flush()");
    return query(observer,
                 "select sum(idx_tup_read) from pg_stat_user_indexes where relname = 'inbox'")[0][0]
        .as<std::size_t>();
  };
  std::size_t found = 0;
  for (int i = 0; i < 5; ++i) {
    start_many(observer, 1000);
    while (const std::size_t page = poll()) found += page;
    query(observer, "delete from backstitch.inbox");
  }
  CHECK(found == 5'000);
  const std::size_t before = rows_read();
  CHECK(before >= 5'000);  // the counting works
  for (int i = 0; i < 10; ++i) CHECK(poll() == 0);
  query(observer, start);
  CHECK(poll() == 1);
  CHECK(rows_read() - before < 20);
}

TEST_CASE("no function that runs in the transaction of a caller notifies") {
  const std::string url = migrated_database();
  const pqxx::result notifying = query(url, R"(
    select p.proname from pg_proc p
     where p.pronamespace = 'backstitch'::regnamespace
       and (p.prosrc ~* 'notify' or exists (
         select 1 from pg_depend d where d.objid = p.oid and d.refobjid = 'pg_notify'::regproc)))");
  for (const auto& function : notifying) FAIL_CHECK(std::string(function[0].c_str()));
}

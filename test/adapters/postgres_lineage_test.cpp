// Failovers and databases that went back: a streaming standby of two private clusters.
#include <future>

#include "../../adapters/postgres/lineage.hpp"
#include "postgres_fixture.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

/// Stands in for the end of the process.
class Told final : public Supervisor {
 public:
  void end_process(EndCause cause, std::string_view event, std::string_view what) override {
    const std::lock_guard lock(mutex_);
    CHECK(cause == EndCause::must_not_run);
    told_.push_back(std::string(event) + ": " + std::string(what));
  }
  std::string first() const {
    const std::lock_guard lock(mutex_);
    return told_.empty() ? std::string() : told_.front();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> told_;
};

/// A primary with the schema, its standby, and a store that knows both hosts.
class Failover final : public StoreFixture {
 public:
  explicit Failover(const std::string& at_first = {}) {
    if (!at_first.empty()) primary.administer(at_first);
    const auto migrated = postgres::migrate(primary.url(), false);
    REQUIRE_MESSAGE(migrated, why(migrated));
  }
  Ports node() override { return {*store, *store, *store, *store, *store}; }
  Ports other() override { return node(); }
  void set_sessions_of_node(bool) override {}

  PrivatePostgres& add_standby() {
    standby = std::make_unique<PrivatePostgres>(PrivatePostgres::StandbyOf{primary});
    return *standby;
  }
  /// Of both hosts, the primary first.
  std::string url() const {
    const auto folder = [](const PrivatePostgres& one) {
      const std::string socket = one.socket();
      return socket.substr(0, socket.rfind('/'));
    };
    return "host=" + folder(primary) + (standby ? "," + folder(*standby) : std::string()) +
           " port=5432 user=backstitch dbname=backstitch";
  }
  void open_store() {
    auto options = store_options(url(), "one", 2);
    options.supervisor = &ended;
    store = std::make_unique<postgres::PostgresStore>(options);
    const auto opened = store->open();
    REQUIRE_MESSAGE(opened, why(opened));
  }
  /// New sessions of the engine's role get no further; those it has go on.
  static void demote_for_new_sessions(PrivatePostgres& server) {
    server.administer("alter role backstitch set default_transaction_read_only = on");
  }
  static void take_new_sessions(PrivatePostgres& server) {
    server.administer("alter role backstitch reset default_transaction_read_only");
  }
  static void break_a_session(PrivatePostgres& server, const std::string& role) {
    server.administer(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like '%" +
        role + "%'");
  }
  static void await_replayed(PrivatePostgres& primary, PrivatePostgres& standby) {
    const std::string lsn = primary.asked("select pg_current_wal_lsn()");
    wait_until([&] {
      return standby.asked("select pg_last_wal_replay_lsn() >= '" + lsn + "'::pg_lsn") == "t";
    });
  }
  static std::string events_on(PrivatePostgres& server) {
    return server.asked("select count(*) from backstitch.saga_log", "backstitch");
  }
  LeaseAnswer renew_under(std::int64_t lineage, Epoch floor = {}) {
    LeaseRequest request{identity(*this, "a"), 1h, 256, floor.get() > 0, "here:1", lineage, floor};
    const auto answer =
        await<Result<LeaseAnswer>>(*this, [&](auto done) { store->renew(request, done); });
    REQUIRE_MESSAGE(answer, why(answer));
    return *answer;
  }

  PrivatePostgres primary{unsynced};
  std::unique_ptr<PrivatePostgres> standby;
  Told ended;
  std::unique_ptr<postgres::PostgresStore> store;
};

}  // namespace

TEST_CASE("after a promotion nothing is sent to the old primary, and what it has is left") {
  Failover f;
  PrivatePostgres& standby = f.add_standby();
  f.open_store();
  const LeaseAnswer before = renew(f, f.node(), "a", 1h, 256, true);
  CHECK(before.lineage == 1);
  const Epoch epoch = before.held[7].epoch;
  REQUIRE(outcomes(append(f, f.node(), {a_start(saga_in(7, 1), epoch)})) ==
          std::vector{AppendOutcome::written});
  Failover::await_replayed(f.primary, standby);
  // An append that the old primary is at, and cannot end.
  pqxx::connection blocker(as_superuser(f.primary.url()));
  pqxx::work lock(blocker);
  lock.exec("lock table backstitch.saga_log in share mode");
  std::promise<std::vector<AppendResult>> stuck;
  f.store->append(0, {a_step(saga_in(7, 1), epoch, 2)},
                  [&](auto results) { stuck.set_value(results); });
  wait_until_blocked(as_superuser(f.primary.url()));

  // The old primary lives on, and only one session notices that there is a new one.
  Failover::demote_for_new_sessions(f.primary);
  standby.promote();
  Failover::take_new_sessions(standby);
  Failover::break_a_session(f.primary, "reader");
  CHECK(log_of(f, saga_in(7, 1)).size() == 2);
  CHECK(outcomes(stuck.get_future().get()) == std::vector{AppendOutcome::abandoned});
  // It was sent before, so the old primary may end it.
  lock.abort();
  wait_until([&] {
    return f.primary.asked(
               "select count(*) from pg_stat_activity where usename = 'backstitch'"
               " and state = 'active'") == "0";
  });
  const std::string events = Failover::events_on(f.primary);
  const std::string events_of_standby = Failover::events_on(standby);
  // Nothing that was decided before is written to the new one, whose shards and epochs are the
  // same.
  for (std::size_t lane = 0; lane < 2; ++lane) {
    std::promise<std::vector<AppendResult>> answer;
    f.store->append(lane, {a_start(saga_in(7, 10 + lane), epoch)},
                    [&](auto results) { answer.set_value(results); });
    CHECK(outcomes(answer.get_future().get()) == std::vector{AppendOutcome::fenced});
  }
  CHECK(Failover::events_on(f.primary) == events);
  CHECK(Failover::events_on(standby) == events_of_standby);

  // What this node holds is of another lineage, and is taken anew.
  CHECK(f.renew_under(1).lineage == 2);
  CHECK(f.renew_under(1).held.empty());
  const LeaseAnswer after = f.renew_under(2, epoch);
  REQUIRE(after.held.size() == 256);
  CHECK(after.held[7].epoch > epoch);
  CHECK(outcomes(append(f, f.node(), {a_step(saga_in(7, 1), epoch, 2)})) ==
        std::vector{AppendOutcome::fenced});
  CHECK(outcomes(append(f, f.node(), {a_step(saga_in(7, 1), after.held[7].epoch, 2)})) ==
        std::vector{AppendOutcome::written});
  CHECK(f.renew_under(2, epoch).held == after.held);
  CHECK(f.ended.first().empty());
}

TEST_CASE("a node that has seen the new primary ends when it is led to the old one") {
  Failover f;
  PrivatePostgres& standby = f.add_standby();
  f.open_store();
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held[7].epoch;
  append(f, f.node(), {a_start(saga_in(7, 1), epoch)});
  Failover::await_replayed(f.primary, standby);
  f.primary.kill();
  standby.promote();
  CHECK(log_of(f, saga_in(7, 1)).size() == 2);
  CHECK(f.renew_under(1).lineage == 2);
  const LeaseAnswer after = f.renew_under(2, epoch);
  REQUIRE(outcomes(append(f, f.node(), {a_step(saga_in(7, 1), after.held[7].epoch, 2)})) ==
          std::vector{AppendOutcome::written});

  standby.kill();
  f.primary.start();
  const std::string events = Failover::events_on(f.primary);
  std::promise<std::vector<AppendResult>> answer;
  f.store->append(0, {a_start(saga_in(7, 2), epoch)},
                  [&](auto results) { answer.set_value(results); });
  wait_until([&] { return !f.ended.first().empty(); }, restart_time_max);
  CHECK(f.ended.first().find("timeline 1, after this node has worked on timeline 2") !=
        std::string::npos);
  f.store->close();
  CHECK(outcomes(answer.get_future().get()) == std::vector{AppendOutcome::abandoned});
  CHECK(Failover::events_on(f.primary) == events);
}

TEST_CASE("a node that is led to another cluster ends") {
  Failover f;
  f.standby = std::make_unique<PrivatePostgres>(unsynced);
  REQUIRE(postgres::migrate(f.standby->url(), false));
  Failover::demote_for_new_sessions(*f.standby);
  f.open_store();
  renew(f, f.node(), "a", 1h, 256, true);
  f.primary.kill();
  Failover::take_new_sessions(*f.standby);
  wait_until([&] { return !f.ended.first().empty(); }, restart_time_max);
  CHECK(f.ended.first().find("another cluster") != std::string::npos);
  CHECK(f.standby->asked("select count(*) from backstitch.node", "backstitch") == "0");
}

TEST_CASE("a promoted standby that lacks the newest append is noticed without any function") {
  Failover f;
  for (const std::string function : {"pg_control_system()", "pg_walfile_name(pg_lsn)"}) {
    pqxx::connection connection(as_superuser(f.primary.url()));
    query(connection, "revoke execute on function pg_catalog." + function + " from public");
  }
  PrivatePostgres& standby = f.add_standby();
  f.open_store();
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held[7].epoch;
  append(f, f.node(), {a_start(saga_in(7, 1), epoch)});
  Failover::await_replayed(f.primary, standby);

  SUBCASE("an append is missing") {
    standby.kill();
    append(f, f.node(), {a_step(saga_in(7, 1), epoch, 2)});
    f.primary.kill();
    standby.start();
    standby.promote();
    CHECK(log_of(f, saga_in(7, 1)).size() == 2);
    CHECK(f.renew_under(1).lineage == 2);
  }
  SUBCASE("a renewal is missing") {
    standby.kill();
    f.renew_under(1);
    f.primary.kill();
    standby.start();
    standby.promote();
    CHECK(f.renew_under(1).lineage == 2);
  }
  SUBCASE("nothing is missing, and the node goes on") {
    f.primary.kill();
    standby.promote();
    CHECK(log_of(f, saga_in(7, 1)).size() == 2);
    CHECK(f.renew_under(1).lineage == 1);
  }
  CHECK(f.ended.first().empty());
}

TEST_CASE(
    "a node whose row was removed during an outage does not take its new one for an old one") {
  Failover f;
  f.open_store();
  renew(f, f.node(), "a", 1h, 256, true);
  for (int i = 0; i < 5; ++i) renew(f, f.node(), "a", 1h, 256);
  // Another node takes everything over, and its row away.
  query(f.primary.url(), "update backstitch.node set expires_at = now() - interval '1 hour'");
  f.primary.asked(
      "select count(*) from backstitch.renew_leases('b', gen_random_uuid(), true, 3600000, 256, '',"
      " '{}', '{}')",
      "backstitch");
  REQUIRE(f.primary.asked("select string_agg(name, ',') from backstitch.node", "backstitch") ==
          "b");
  // The next renewal inserts another row, and its answer is lost with the connection.
  f.primary.asked("select count(*) from backstitch.renew_leases('a', '" +
                      identity(f, "a").incarnation + "', false, 3600000, 256, '', '{}', '{}')",
                  "backstitch");
  REQUIRE(f.primary.asked("select renewals from backstitch.node where name = 'a'", "backstitch") ==
          "0");
  Failover::break_a_session(f.primary, "lease");
  CHECK(f.renew_under(1).lineage == 1);
  CHECK(f.store->figures().lineage_changes == 0);
  CHECK(f.ended.first().empty());
}

namespace {

/// A store on a database of the common server, opened with these options changed.
Result<Done> opened(const std::string& url,
                    const std::function<void(postgres::Options&)>& change = {}) {
  auto options = store_options(url);
  if (change) change(options);
  return postgres::PostgresStore(options).open();
}
Result<Done> adopted(const std::string& url) {
  return opened(url, [](postgres::Options& options) { options.adopt = true; });
}
std::string number_in(const std::string& url) {
  return query(url, "select number from backstitch.lineage")[0][0].c_str();
}

}  // namespace

TEST_CASE("a session that was opened while another one began an era is not used") {
  const auto sessions = std::make_shared<postgres::OpenSessions>();
  const auto lineage = std::make_shared<postgres::Lineage>(sessions, nullptr);
  postgres::SessionOptions options{migrated_database(), "ours", "lane 0"};
  options.registry = sessions;
  options.lineage = lineage;
  postgres::Session first(options);
  CHECK(first.era() == 1);
  CHECK(postgres::Session(options).era() == 1);
  // It began to connect before the era did, so perhaps to another server.
  CHECK_THROWS_AS(lineage->admit(first, 0), pqxx::broken_connection);
  CHECK(lineage->era() == 1);
  CHECK(first.is_current());
}

TEST_CASE("a copy of a database is not worked on before it is adopted") {
  const std::string url = migrated_database();
  REQUIRE(opened(url));
  const auto recorded = query(url,
                              "select system_identifier = (pg_control_system()).system_identifier,"
                              " timeline from backstitch.lineage");
  CHECK(recorded[0][0].as<bool>());
  CHECK(recorded[0][1].as<int>() == 1);
  CHECK(number_in(url) == "1");

  const auto refused = [&](const char* what) {
    const auto result = opened(url);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::invalid);
    CHECK(result.error().reason == "database-copied");
    CHECK(result.error().message.find(what) != std::string::npos);
    CHECK(result.error().message.find("--adopt") != std::string::npos);
    CHECK(number_in(url) == "1");
  };
  SUBCASE("on another cluster, however lately nodes were alive") {
    query(url, "update backstitch.lineage set system_identifier = 42, alive_at = now()");
    refused("copied to another cluster");
    REQUIRE(adopted(url));
    CHECK(number_in(url) == "2");
    CHECK(opened(url));
  }
  SUBCASE("on a later timeline, if nodes were last alive more than ten minutes ago") {
    query(url,
          "update backstitch.lineage set timeline = 0, alive_at = now() - interval '11 minutes'");
    refused("was restored");
    REQUIRE(adopted(url));
    CHECK(number_in(url) == "2");
    CHECK(opened(url));
    CHECK(number_in(url) == "2");
  }
  SUBCASE("a promotion while nodes are alive needs nothing, and begins a lineage") {
    query(url,
          "update backstitch.lineage set timeline = 0, alive_at = now() - interval '9 minutes'");
    CHECK(opened(url));
    CHECK(number_in(url) == "2");
  }
  SUBCASE("on an earlier timeline") {
    query(url, "update backstitch.lineage set timeline = 7");
    refused("earlier timeline");
  }
}

TEST_CASE("a store may insist on knowing which server it is on") {
  PrivatePostgres server(unsynced);
  REQUIRE(postgres::migrate(server.url(), false));
  const auto insist = [](postgres::Options& options) { options.require_identity = true; };
  REQUIRE(opened(server.url(), insist));
  query(as_superuser(server.url()),
        "revoke execute on function pg_catalog.pg_current_wal_insert_lsn() from public");
  const auto refused = opened(server.url(), insist);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == "database-identity-unknown");
  CHECK(refused.error().message.find("pg_catalog.pg_current_wal_insert_lsn()") !=
        std::string::npos);
  CHECK(opened(server.url()));
}

TEST_CASE("a read-only store reads, and the database refuses whatever it would write") {
  PostgresFixture f;
  const auto held = renew(f, f.node(), "a", 1h, 256, true).held;
  append(f, f.node(), {a_start(saga_in(7, 1), held[7].epoch)});
  query(f.url(), "update backstitch.lineage set system_identifier = 42");
  auto options = store_options(f.url());
  options.read_only = true;
  postgres::PostgresStore reader(options);
  REQUIRE(reader.open());
  const auto loaded = await<Result<std::vector<StoredSaga>>>(
      f, [&](auto done) { reader.load({saga_in(7, 1)}, done); });
  REQUIRE(loaded);
  CHECK(loaded->front().events.size() == 2);
  const auto renewed = await<Result<LeaseAnswer>>(f, [&](auto done) {
    reader.renew({identity(f, "a"), 1h, 256, false, "here:1"}, done);
  });
  CHECK_FALSE(renewed);
  const auto put = await<Result<PutOutcome>>(f, [&](auto done) {
    reader.put_service({"s", "{}"}, done);
  });
  CHECK_FALSE(put);
  CHECK(query(f.url(), "select 1 from backstitch.service").empty());
}

TEST_CASE("under a hold everything that a node has is surplus, and nobody takes anything") {
  PostgresFixture f;
  CHECK_FALSE(renew(f, f.node(), "a", 1h, 100, true).on_hold);
  query(f.url(), "update backstitch.lineage set hold = true");
  const LeaseAnswer held = renew(f, f.node(), "a", 1h, 256);
  CHECK(held.on_hold);
  CHECK(held.held.size() == 100);
  CHECK(held.surplus == 100);
  CHECK(renew(f, f.other(), "b", 1h, 256, true).held.empty());
  query(f.url(), "update backstitch.lineage set hold = false");
  CHECK(renew(f, f.other(), "b", 1h, 256).held.size() == 128);
}

TEST_CASE("a server that has several names is one") {
  const PrivatePostgres server(unsynced);
  REQUIRE(postgres::migrate(server.url(), false));
  const std::string folder = server.socket().substr(0, server.socket().rfind('/'));
  CHECK(opened("host=" + folder + "," + folder + "/. port=5432 user=backstitch dbname=backstitch"));
}

TEST_CASE("of several hosts one may take writes, and it is on the latest timeline") {
  Failover f;
  PrivatePostgres& standby = f.add_standby();
  CHECK(opened(f.url()));
  const auto refused = [](const std::string& url, const char* reason) {
    const auto result = opened(url);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::invalid);
    CHECK(result.error().reason == reason);
  };
  standby.promote();
  refused(f.url(), "database-several-primaries");
  const PrivatePostgres next{PrivatePostgres::StandbyOf{standby}};
  const std::string folder = next.socket().substr(0, next.socket().rfind('/'));
  std::string url = f.url();
  const std::size_t comma = url.find(',') + 1;
  url.replace(comma, url.find(' ', comma) - comma, folder);
  refused(url, "database-left-behind");
  f.primary.kill();
  CHECK(opened(f.url()));
}

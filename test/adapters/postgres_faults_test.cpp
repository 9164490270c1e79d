// What the PostgreSQL store does when connections, servers and other nodes get in the way.
#include <signal.h>
#include <atomic>

#include "../support/socket_proxy.hpp"
#include "postgres_fixture.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace backstitch::test;
using namespace std::chrono_literals;
using postgres::PostgresStore;

namespace {

/// A lane writes `sagas` sagas in turn, each one step a batch, until told to end.
class Storm {
 public:
  Storm(PostgresStore& store, std::size_t lane, Epoch epoch, int sagas)
      : store_(store), lane_(lane), epoch_(epoch), written_(static_cast<std::size_t>(sagas), 0) {
    next();
  }
  void end() { ending_ = true; }
  bool ended() const { return ended_; }
  int batches() const { return batches_; }
  int wrong() const { return wrong_; }

  /// Only after ended().
  void check(StoreFixture& fixture) {
    for (std::size_t i = 0; i < written_.size(); ++i) {
      const auto log = log_of(fixture, saga(i));
      CHECK(log.size() == static_cast<std::size_t>(written_[i]));
      for (std::size_t n = 0; n < log.size(); ++n) {
        CHECK(log[n].sequence.get() == static_cast<std::int64_t>(n) + 1);
      }
    }
  }

 private:
  SagaId saga(std::size_t i) const {
    return saga_in(static_cast<Shard>(lane_), 1000 * lane_ + i + 1);
  }

  void next() {
    std::vector<Append> batch;
    for (std::size_t i = 0; i < written_.size(); ++i) {
      batch.push_back(written_[i] == 0 ? a_start(saga(i), epoch_, {{"key", saga(i).text()}})
                                       : a_step(saga(i), epoch_, written_[i]));
    }
    store_.append(lane_, std::move(batch), [this](std::vector<AppendResult> results) {
      for (std::size_t i = 0; i < results.size(); ++i) {
        if (results[i].outcome != AppendOutcome::written) ++wrong_;
        written_[i] += 2;
      }
      ++batches_;
      if (ending_) {
        ended_ = true;
      } else {
        next();
      }
    });
  }

  PostgresStore& store_;
  const std::size_t lane_;
  const Epoch epoch_;
  std::vector<std::int64_t> written_;
  std::atomic<bool> ending_{false};
  std::atomic<bool> ended_{false};
  std::atomic<int> batches_{0};
  std::atomic<int> wrong_{0};
};

}  // namespace

TEST_CASE("killing server processes during a storm of appends loses nothing and doubles nothing") {
  PostgresFixture f(migrated_database(durable_server()), 2);
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  Storm first(f.store(), 0, epoch, 20);
  Storm second(f.store(), 1, epoch, 20);
  const auto progress = [&](int batches) {
    const int until_first = first.batches() + batches;
    const int until_second = second.batches() + batches;
    wait_until([&] { return first.batches() >= until_first && second.batches() >= until_second; },
               restart_time_max);
  };
  progress(3);
  SUBCASE("ended politely, many times") {
    pqxx::connection operator_(f.url());
    for (int i = 0; i < 15; ++i) {
      query(operator_,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like '% "
            "one'");
      progress(2);
    }
  }
  SUBCASE("SIGKILL, after which PostgreSQL restarts itself") {
    for (int i = 0; i < 3; ++i) {
      const int victim =
          query(f.url(),
                "select pid from pg_stat_activity where application_name like '% one'"
                " and state <> 'idle' union all select pid from pg_stat_activity"
                " where application_name like '% one' limit 1")[0][0]
              .as<int>();
      ::kill(victim, SIGKILL);
      progress(2);
    }
  }
  SUBCASE("the whole server, twice") {
    for (int i = 0; i < 2; ++i) {
      durable_server().kill();
      wait_until([&] { return !f.store().reachable(); });
      durable_server().start();
      progress(2);
    }
  }
  first.end();
  second.end();
  wait_until([&] { return first.ended() && second.ended(); }, restart_time_max);
  CHECK(first.wrong() == 0);
  CHECK(second.wrong() == 0);
  wait_until([&] { return f.store().reachable(); }, restart_time_max);
  first.check(f);
  second.check(f);
}

TEST_CASE("a batch whose answer was lost is resolved before it is given back") {
  const std::string direct = migrated_database();
  const int proxy_port = 5433;
  SocketProxy proxy(server().socket(), server().socket(proxy_port));
  PostgresFixture f(with_port(direct, proxy_port));
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  const SagaId saga = saga_in(7, 1);
  append(f, f.node(), {a_start(saga, epoch)});
  const auto later = [&](std::vector<Append> batch) {
    auto answer = std::make_shared<std::promise<std::vector<AppendResult>>>();
    f.node().store.append(0, std::move(batch),
                          [answer](auto results) { answer->set_value(results); });
    return answer->get_future();
  };
  pqxx::connection operator_(direct);
  SUBCASE("it had been committed") {
    proxy.swallow_next_answer();
    const auto results =
        append(f, f.node(),
               {a_step(saga, epoch, 2), a_start(saga_in(8, 2), epoch), a_step(saga, epoch, 99)});
    CHECK(proxy.broken() == 1);
    CHECK(results[0].outcome == AppendOutcome::written);
    CHECK(results[1].outcome == AppendOutcome::written);
    CHECK(results[2].outcome == AppendOutcome::conflict);
    CHECK(log_of(f, saga).size() == 4);
    CHECK(log_of(f, saga_in(8, 2)).size() == 2);
  }
  SUBCASE("it is still running on the server when its connection is cut") {
    pqxx::work blocker(operator_);
    blocker.exec("lock table backstitch.saga_log in share mode");
    auto answer = later({a_step(saga, epoch, 2)});
    wait_until_blocked(direct);
    pqxx::connection observer(direct);
    const int stuck = blocked(observer).at(0)[0].as<int>();
    proxy.cut_clients();
    // Were the old process left alone, it would commit when the lock is gone, after the log was
    // read.
    wait_until([&] {
      return query(observer, "select 1 from pg_stat_activity where pid = " + std::to_string(stuck))
          .empty();
    });
    CHECK(answer.wait_for(0s) != std::future_status::ready);
    blocker.commit();
    CHECK(answer.get().at(0).outcome == AppendOutcome::written);
    CHECK(log_of(f, saga).size() == 4);
  }
  SUBCASE("the shard was taken over while nobody knew, and the new owner got as far") {
    pqxx::work blocker(operator_);
    blocker.exec("lock table backstitch.saga_log in share mode");
    auto answer = later({a_step(saga, epoch, 2)});
    wait_until_blocked(direct);
    blocker.exec(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lane one'"
        " and wait_event_type = 'Lock'");
    blocker.exec("update backstitch.shard set epoch = epoch + 1 where shard = 7");
    blocker.exec("insert into backstitch.saga_log values ('" + saga.text() +
                 "', 3, now(), 'Resumed', '', '{}'),"
                 " ('" +
                 saga.text() + "', 4, now(), 'AttemptStarted', 'reserve', '{}')");
    blocker.commit();
    CHECK(answer.get().at(0).outcome == AppendOutcome::fenced);
    CHECK(log_of(f, saga).at(2).type == "Resumed");
  }
}

TEST_CASE(
    "a start whose key an open transaction holds is blocked, and no other start of its batch") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  const StartKey held{"key", "k"};
  const StartKey reused{"business:d", "o-1", true};
  const SagaId failed = saga_in(3, 3);
  append(f, f.node(), {a_start(failed, epoch, {{"business:d", "o-1"}})});
  Append end = an_end(failed, epoch, 2);
  end.row->status = "FAILED";
  append(f, f.node(), {end});
  const std::vector<Append> starts{
      a_start(saga_in(1, 1), epoch, {held}), a_start(saga_in(2, 2), epoch, {{"key", "free"}}),
      a_start(saga_in(4, 4), epoch, {{"key", "k-2"}, reused}), a_start(saga_in(5, 5), epoch)};

  pqxx::connection rival(f.url());
  pqxx::work start(rival);
  start.exec("insert into backstitch.saga_key values ('" + saga_in(200, 9).text() +
             "', 3, 'key', 'k', 'hash')");
  start.exec("update backstitch.saga_key set hash = '', saga_id = '" + saga_in(200, 10).text() +
             "' where key = 'o-1'");
  CHECK(outcomes(append(f, f.node(), starts)) ==
        std::vector{AppendOutcome::blocked, AppendOutcome::written, AppendOutcome::blocked,
                    AppendOutcome::written});
  SUBCASE("once the transaction has committed, its key is known") {
    start.commit();
    const auto results = append(f, f.node(), {starts[0], starts[2]});
    CHECK(results[0].outcome == AppendOutcome::duplicate);
    CHECK(results[0].existing == saga_in(200, 9));
    CHECK(results[0].same_input);
    CHECK(results[1].outcome == AppendOutcome::reserved);
  }
  SUBCASE("once it is rolled back, the key is free") {
    start.abort();
    CHECK(outcomes(append(f, f.node(), {starts[0], starts[2]})) ==
          std::vector(2, AppendOutcome::written));
  }
  CHECK(query(f.url(), "select 1 from backstitch.saga_key where version = 0").empty());
}

TEST_CASE("two nodes that start under one key at the same time get one saga") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  renew(f, f.other(), "b", 1h, 0, true);
  query(f.url(), "update backstitch.shard set node = 'b' where shard >= 128");
  for (std::uint64_t i = 0; i < 20; ++i) {
    CAPTURE(i);
    const std::vector<StartKey> keys{{"key", "k-" + std::to_string(i)}};
    // One that finds the other's transaction open is told to come again.
    const auto until_answered = [&](StoreFixture::Ports ports, const Append& start) {
      AppendResult result;
      do result = append(f, ports, {start}).at(0);
      while (result.outcome == AppendOutcome::blocked);
      return result;
    };
    const Append mine = a_start(saga_in(1, 10 + i), epoch, keys);
    const Append theirs = a_start(saga_in(200, 10 + i), epoch, keys);
    AppendResult other;
    std::thread rival([&] { other = until_answered(f.other(), theirs); });
    const AppendResult one = until_answered(f.node(), mine);
    rival.join();
    const bool mine_won = one.outcome == AppendOutcome::written;
    CHECK((mine_won ? other : one).outcome == AppendOutcome::duplicate);
    CHECK((mine_won ? one : other).outcome == AppendOutcome::written);
    CHECK((mine_won ? other : one).existing == (mine_won ? mine : theirs).saga);
  }
}

TEST_CASE(
    "while the database is away reads fail at once, and a store that closes answers honestly") {
  static PrivatePostgres own(unsynced);
  PostgresFixture f(migrated_database(own));
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  own.kill();
  std::promise<std::vector<AppendResult>> answer;
  f.node().store.append(0, {a_start(saga_in(1, 1), epoch)},
                        [&](auto results) { answer.set_value(std::move(results)); });
  wait_until([&] { return !f.store().reachable(); });
  const auto loaded = await<Result<std::vector<StoredSaga>>>(
      f, [&](auto done) { f.node().store.load({saga_in(1, 1)}, done); });
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ErrorCode::unavailable);
  auto future = answer.get_future();
  CHECK(future.wait_for(0s) != std::future_status::ready);

  SUBCASE("a store that is closed says it does not know") {
    f.store().close();
    CHECK(future.get().at(0).outcome == AppendOutcome::abandoned);
    own.start();  // for the tests that follow
  }
  SUBCASE("when the database is back, so is the store, without being asked") {
    own.start();
    CHECK(future.get().at(0).outcome == AppendOutcome::written);
    wait_until([&] { return f.store().reachable(); }, restart_time_max);
    CHECK(log_of(f, saga_in(1, 1)).size() == 2);
  }
}

TEST_CASE("more reads than can wait are refused, and appends go on") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  pqxx::connection operator_(f.url());
  pqxx::work blocker(operator_);
  blocker.exec("lock table backstitch.definition in access exclusive mode");
  std::atomic<int> busy{0};
  std::atomic<int> answered{0};
  for (int i = 0; i < 4200; ++i) {
    f.node().catalog.changes(0, [&](Result<CatalogContent> content) {
      if (!content && content.error().reason == "store-busy") ++busy;
      ++answered;
    });
  }
  wait_until([&] { return busy >= 100; });
  CHECK(append(f, f.node(), {a_start(saga_in(1, 1), epoch)})[0].outcome == AppendOutcome::written);
  blocker.commit();
  wait_until([&] { return answered == 4200; });
  CHECK(busy < 110);
}

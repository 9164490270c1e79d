// Who may write: take-overs, shards given up, processes of one name, and appends that meet them.
#include "../../adapters/postgres/append_statement.hpp"
#include "../../adapters/postgres/lane.hpp"
#include "postgres_fixture.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

/// A renewal by a process of this node that has no session of its own.
std::string take_over_by(const std::string& node, int shards_max) {
  return "select backstitch.renew_leases('" + node +
         "', '22222222-0000-4000-8000-000000000000', true, 60000, " + std::to_string(shards_max) +
         ", '', '{}', '{}')";
}

/// A session that has got another isolation level after it had made its settings.
postgres::SessionOptions at_level(postgres::SessionOptions options, const std::string& level) {
  options.settings.emplace_back("default_transaction_isolation", level);
  return options;
}

using Results = std::vector<AppendResult>;

/// A lane of the process that renews through node(), on sessions of this isolation level.
class LaneAtLevel {
 public:
  LaneAtLevel(PostgresFixture& f, const std::string& level)
      : options_(at_level(postgres::Lane::session_options(f.url(), "lane one", "lane 0"), level)),
        lane_(options_, std::make_unique<postgres::Session>(options_), membership_, gate_, log_,
              health_, meters_) {
    membership_.enter(identity(f, "a"));
  }
  std::future<Results> append(std::vector<Append> batch) {
    auto answer = std::make_shared<std::promise<Results>>();
    lane_.append(std::move(batch),
                 [answer](Results results) { answer->set_value(std::move(results)); });
    return answer->get_future();
  }

 private:
  postgres::SessionOptions options_;
  postgres::Membership membership_;
  postgres::LaneGate gate_;
  postgres::FailureLog log_{nullptr};
  postgres::Health health_;
  postgres::Meters meters_;
  postgres::Lane lane_;
};

std::string give_up_by(const NodeIdentity& node, int shard) {
  return "select backstitch.give_up_shards('" + node.name + "', '" + node.incarnation + "', '{" +
         std::to_string(shard) + "}')";
}

std::int64_t generation_of_a(PostgresFixture& f) {
  return query(f.url(), "select generation from backstitch.fence where node = 'a'")[0][0]
      .as<std::int64_t>();
}

/// What append_batch answers, called as the first statement of a transaction of this session.
std::string answer_of(postgres::Session& session, postgres::AppendStatement& statement) {
  try {
    const pqxx::result result =
        session.run_binary(statement.name, statement.sql(), statement.parameters());
    return result.empty() ? "written" : "outcome " + std::string(result[0][1].c_str());
  } catch (const pqxx::serialization_failure&) {
    return "40001";
  }
}

const std::vector<std::string> levels{"read committed", "repeatable read", "serializable"};

}  // namespace

TEST_CASE("an append that waits until shards are taken writes nothing, at any isolation level") {
  for (const std::string& level : levels) {
    for (const bool are_given_up : {false, true}) {
      CAPTURE(level);
      CAPTURE(are_given_up);
      PostgresFixture f;
      const Epoch epoch = renew(f, f.node(), "a", 0ms, 256, true).held.front().epoch;
      const SagaId saga = saga_in(7, 1);
      append(f, f.node(), {a_start(saga, epoch)});
      postgres::AppendStatement statement;
      const Append step = a_step(saga, epoch, 2);
      const Append* const item = &step;
      statement.fill({identity(f, "a"), generation_of_a(f)}, {&item, 1});
      postgres::Session session(at_level({f.url(), "lane one", "lane 0"}, level));

      pqxx::connection taker(f.url());
      pqxx::work take(taker);
      // Of half of the shards: with all of them the row that fences would be deleted.
      take.exec(are_given_up ? give_up_by(identity(f, "a"), 7) : take_over_by("b", 128));
      std::string answer;
      std::jthread appends([&] { answer = answer_of(session, statement); });
      wait_until_blocked(f.url());
      take.commit();
      appends.join();
      MESSAGE("at " << level << " the append is answered: " << answer);
      CHECK(answer == (level == "read committed" ? "outcome 7" : "40001"));
      CHECK(log_of(f, saga).size() == 2);

      // Its snapshot is younger now.
      CHECK(answer_of(session, statement) == "outcome 7");
      CHECK(log_of(f, saga).size() == 2);
    }
  }
}

TEST_CASE("of a batch that meets a take-over a lane writes what is still its node's") {
  for (const std::string& level : levels) {
    CAPTURE(level);
    PostgresFixture f;
    const auto held = renew(f, f.node(), "a", 0ms, 256, true).held;
    LaneAtLevel lane(f, level);
    CHECK(outcomes(lane.append({a_start(saga_in(7, 1), held[7].epoch)}).get()) ==
          std::vector{AppendOutcome::written});
    pqxx::connection taker(f.url());
    pqxx::work take_over(taker);
    take_over.exec(take_over_by("b", 128));
    auto answer = lane.append(
        {a_step(saga_in(7, 1), held[7].epoch, 2), a_start(saga_in(200, 1), held[200].epoch)});
    wait_until_blocked(f.url());
    take_over.commit();
    CHECK(outcomes(answer.get()) == std::vector{AppendOutcome::fenced, AppendOutcome::written});
    CHECK(log_of(f, saga_in(7, 1)).size() == 2);
    CHECK(log_of(f, saga_in(200, 1)).size() == 2);
    CHECK(outcomes(lane.append({a_step(saga_in(200, 1), held[200].epoch, 2)}).get()) ==
          std::vector{AppendOutcome::written});
  }
}

TEST_CASE("an append does not overtake shards that its own node gives up") {
  PostgresFixture f;
  const auto held = renew(f, f.node(), "a", 1h, 256, true).held;
  append(f, f.node(), {a_start(saga_in(7, 1), held[7].epoch)});
  pqxx::connection operator_(f.url());
  pqxx::work other_append(operator_);
  other_append.exec("select 1 from backstitch.fence where node = 'a' for share");
  std::promise<Result<Done>> given_up;
  f.node().leases.give_up(identity(f, "a"), {7},
                          [&](Result<Done> done) { given_up.set_value(std::move(done)); });
  wait_until_blocked(f.url());
  std::promise<Results> answer;
  auto appended = answer.get_future();
  f.node().store.append(
      0, {a_step(saga_in(7, 1), held[7].epoch, 2), a_start(saga_in(8, 1), held[8].epoch)},
      [&](Results results) { answer.set_value(std::move(results)); });
  CHECK(appended.wait_for(100ms) == std::future_status::timeout);
  other_append.commit();
  CHECK(given_up.get_future().get());
  CHECK(outcomes(appended.get()) == std::vector{AppendOutcome::fenced, AppendOutcome::written});
}

TEST_CASE("a store that is closed while shards are given up answers what waits for that") {
  PostgresFixture f;
  const auto held = renew(f, f.node(), "a", 1h, 256, true).held;
  pqxx::connection operator_(f.url());
  pqxx::work other_append(operator_);
  other_append.exec("select 1 from backstitch.fence where node = 'a' for share");
  f.node().leases.give_up(identity(f, "a"), {7}, [](const Result<Done>&) {});
  wait_until_blocked(f.url());
  std::promise<Results> answer;
  f.node().store.append(0, {a_start(saga_in(8, 1), held[8].epoch)},
                        [&](Results results) { answer.set_value(std::move(results)); });
  std::thread closing([&] { f.store().close(); });
  const auto outcome = answer.get_future().get().at(0).outcome;
  CHECK((outcome == AppendOutcome::written || outcome == AppendOutcome::abandoned));
  other_append.commit();
  closing.join();
}

TEST_CASE("neither a renewal nor an append makes a new version of the row that fences appends") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  const auto version = [&] {
    const pqxx::result row =
        query(f.url(),
              "select ctid::text || ' ' || xmin::text || ' ' || generation from backstitch.fence");
    return std::string(row[0][0].c_str());
  };
  const std::string before = version();
  for (int i = 1; i <= 3; ++i) {
    renew(f, f.node(), "a", 1h, 256);
    append(f, f.node(), {a_start(saga_in(7, static_cast<std::uint64_t>(i)), epoch)});
  }
  CHECK(version() == before);
}

TEST_CASE("a process is told from a later one that got the same process id") {
  PostgresFixture f;
  renew(f, f.node(), "a", 1h, 256, true);
  const NodeIdentity later{"a", "11111111-0000-4000-8000-000000000000"};
  REQUIRE(renew_as(f, f.other(), later, 1h, true).namesake);
  query(f.url(),
        "update backstitch.node set session_starts ="
        " (select array_agg(s - 1) from unnest(session_starts) s)");
  CHECK_FALSE(renew_as(f, f.other(), later, 1h, true).namesake);
}

TEST_CASE("an append that meets a take-over in progress waits for it and is fenced") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 0ms, 256, true).held.front().epoch;
  pqxx::connection taker(f.url());
  pqxx::work take_over(taker);
  take_over.exec(take_over_by("b", 256));

  std::promise<std::vector<AppendResult>> answer;
  f.node().store.append(0, {a_start(saga_in(7, 1), epoch)},
                        [&](auto results) { answer.set_value(std::move(results)); });
  wait_until_blocked(f.url());
  take_over.commit();
  CHECK(answer.get_future().get().at(0).outcome == AppendOutcome::fenced);
  CHECK(log_of(f, saga_in(7, 1)).empty());
}

TEST_CASE("a take-over waits for appends that have passed the fence, and a renewal does not") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 0ms, 256, true).held.front().epoch;
  pqxx::connection operator_(f.url());
  pqxx::work blocker(operator_);
  blocker.exec("lock table backstitch.saga_log in share mode");
  std::promise<std::vector<AppendResult>> answer;
  f.node().store.append(0, {a_start(saga_in(7, 1), epoch)},
                        [&](auto results) { answer.set_value(std::move(results)); });
  wait_until_blocked(f.url());
  // SKIP LOCKED: the taker goes away empty-handed rather than wait.
  CHECK(renew(f, f.other(), "b", 1h, 256).held.empty());
  CHECK(renew(f, f.node(), "a", 0ms, 256).held.size() == 256);
  blocker.commit();
  CHECK(answer.get_future().get().at(0).outcome == AppendOutcome::written);
  CHECK(renew(f, f.other(), "b", 1h, 256).held.size() == 256);
}

TEST_CASE("an append reads nothing that renewals update, and a fair share reads it once") {
  PostgresFixture f;
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  postgres::AppendStatement statement;
  const Append start = a_start(saga_in(7, 1), epoch);
  const Append* const item = &start;
  statement.fill({identity(f, "a"), generation_of_a(f)}, {&item, 1});
  postgres::Session session({f.url(), "lane one"});
  const auto scans_of_node = [&] {
    return session
        .run(
            "select coalesce(seq_scan, 0) + coalesce(idx_scan, 0) from pg_stat_xact_user_tables"
            " where schemaname = 'backstitch' and relname = 'node'")[0][0]
        .as<int>();
  };
  session.run("begin");
  CHECK(answer_of(session, statement) == "written");
  CHECK(scans_of_node() == 0);
  session.run("select backstitch.fair_share('a')");
  CHECK(scans_of_node() == 1);
  session.run("commit");
}

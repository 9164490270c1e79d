// The participant contract, held by backstitch.guard and the C++ header on a real PostgreSQL.
#include <functional>
#include <future>
#include <thread>
#include <vector>

#include "guarded_database.hpp"

using namespace backstitch::test;
using namespace backstitch::participant;

namespace {

const char* to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::proceed:
      return "proceed";
    case Verdict::repeated:
      return "repeated";
    case Verdict::refused:
      return "refused";
    case Verdict::nothing:
      return "nothing";
  }
  return "";
}

/// One request to the participant, in a transaction of its own that commits.
std::string ask(pqxx::connection& database, const std::string& key, Phase phase) {
  pqxx::work tx(database);
  const Verdict verdict = guard(tx, key, phase);
  tx.commit();
  return to_text(verdict);
}

void act(pqxx::connection& database, const std::string& key, Standing standing) {
  pqxx::work tx(database);
  REQUIRE(guard(tx, key, Phase::forward) == Verdict::proceed);
  remember(tx, key, standing == Standing::done ? R"({"id": 7})" : R"({"no": 1})", standing);
  tx.commit();
}

void roll_back(pqxx::connection& database, const std::string& key, Phase phase) {
  pqxx::work tx(database);
  guard(tx, key, phase);
}

std::string sqlstate_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const pqxx::serialization_failure&) {
    return "40001";  // libpqxx 6.4 keeps neither this state nor the next
  } catch (const pqxx::insufficient_privilege&) {
    return "42501";
  } catch (const pqxx::sql_error& error) {
    return error.sqlstate();
  }
  return "";
}

using Work = std::function<void(pqxx::connection&, const std::string&)>;
Work asked(Phase phase) {
  return [phase](auto& database, const auto& key) { ask(database, key, phase); };
}
Work all(std::vector<Work> parts) {
  return [parts](auto& database, const auto& key) {
    for (const Work& part : parts) part(database, key);
  };
}

const Work done = [](auto& database, const auto& key) { act(database, key, Standing::done); };
const Work refused = [](auto& database, const auto& key) { act(database, key, Standing::refused); };
const Work undo = asked(Phase::compensate);
const Work probe = asked(Phase::probe);
const Work forward = asked(Phase::forward);
const Work forgotten = [](auto& database, const auto& key) {
  act(database, key, Standing::done);
  query(database, "update backstitch.guarded_key set changed_at = now() - interval '8 days'");
  query(database, "select backstitch.guard_forget('7 days')");
};
const Work action_rolled_back = [](auto& database, const auto& key) {
  roll_back(database, key, Phase::forward);
};
const Work undo_rolled_back = [](auto& database, const auto& key) {
  act(database, key, Standing::done);
  roll_back(database, key, Phase::compensate);
};
const Work nothing = [](auto&, const auto&) {};

/// Whether a backend of this database waits for another transaction.
bool somebody_waits(pqxx::connection& database) {
  return !query(database,
                "select 1 from pg_stat_activity where datname = current_database() "
                "and wait_event_type = 'Lock'")
              .empty();
}

}  // namespace

TEST_CASE("whatever came before, each phase is answered as the contract says") {
  struct Row {
    const char* before;
    Work work;
    const char* action;
    const char* undo;
    const char* probe;
    const char* answer;  ///< that is remembered after the work; empty: none
  };
  const std::vector<Row> rows{
      {"nothing", nothing, "proceed", "nothing", "nothing", ""},
      {"an action that rolled back", action_rolled_back, "proceed", "nothing", "nothing", ""},
      {"an action that nobody remembered the answer of", forward, "repeated", "proceed", "repeated",
       ""},
      {"an action", done, "repeated", "proceed", "repeated", R"({"id": 7})"},
      {"an action, twice", all({done, forward}), "repeated", "proceed", "repeated", R"({"id": 7})"},
      {"an action and a probe", all({done, probe}), "repeated", "proceed", "repeated",
       R"({"id": 7})"},
      {"an action, and an undo that rolled back", undo_rolled_back, "repeated", "proceed",
       "repeated", R"({"id": 7})"},
      {"an action that a rule refused", refused, "repeated", "nothing", "repeated", R"({"no": 1})"},
      {"an undo of nothing", undo, "refused", "repeated", "nothing", ""},
      {"an undo of nothing, twice", all({undo, undo}), "refused", "repeated", "nothing", ""},
      {"an undo of nothing and its late action", all({undo, forward}), "refused", "repeated",
       "nothing", ""},
      {"an action and its undo", all({done, undo}), "refused", "repeated", "nothing",
       R"({"id": 7})"},
      {"an action, its undo, and the action again", all({done, undo, forward}), "refused",
       "repeated", "nothing", R"({"id": 7})"},
      {"an action, and its undo twice", all({done, undo, undo}), "refused", "repeated", "nothing",
       R"({"id": 7})"},
      {"an action that a rule refused, and its undo", all({refused, undo}), "refused", "repeated",
       "nothing", R"({"no": 1})"},
      {"a probe", probe, "refused", "repeated", "nothing", ""},
      {"a probe and an undo", all({probe, undo}), "refused", "repeated", "nothing", ""},
      {"an action so long ago that its key was forgotten", forgotten, "proceed", "nothing",
       "nothing", ""},
  };
  pqxx::connection database(guarded_database());
  int number = 0;
  for (const Row& row : rows) {
    CAPTURE(row.before);
    const auto after = [&](Phase phase) {
      const std::string key = "key-" + std::to_string(++number);
      row.work(database, key);
      return ask(database, key, phase);
    };
    CHECK(after(Phase::forward) == row.action);
    CHECK(after(Phase::compensate) == row.undo);
    CHECK(after(Phase::probe) == row.probe);
    const std::string key = "key-" + std::to_string(++number);
    row.work(database, key);
    pqxx::work tx(database);
    CHECK(remembered(tx, key).value_or("") == row.answer);
  }
}

TEST_CASE(
    "of two transactions with one key at once, the second waits and is answered by how the first "
    "ended") {
  struct Row {
    const char* what;
    Work before;
    Phase first;
    bool commits;
    Phase second;
    const char* verdict;
  };
  constexpr Phase act_ = Phase::forward, undo_ = Phase::compensate, probe_ = Phase::probe;
  const std::vector<Row> rows{
      {"an action and its repetition", nothing, act_, true, act_, "repeated"},
      {"an action that rolls back and its repetition", nothing, act_, false, act_, "proceed"},
      {"an action and its undo", nothing, act_, true, undo_, "proceed"},
      {"an action that rolls back and its undo", nothing, act_, false, undo_, "nothing"},
      {"an action and a probe", nothing, act_, true, probe_, "repeated"},
      {"an action that rolls back and a probe", nothing, act_, false, probe_, "nothing"},
      {"an undo of nothing and its late action", nothing, undo_, true, act_, "refused"},
      {"an undo of nothing that rolls back, and the action", nothing, undo_, false, act_,
       "proceed"},
      {"an undo of nothing, twice", nothing, undo_, true, undo_, "repeated"},
      {"an undo of nothing that rolls back, and again", nothing, undo_, false, undo_, "nothing"},
      {"a probe and the late action", nothing, probe_, true, act_, "refused"},
      {"an undo, twice", done, undo_, true, undo_, "repeated"},
      {"an undo that rolls back, and again", done, undo_, false, undo_, "proceed"},
      {"an undo and the action again", done, undo_, true, act_, "refused"},
      {"an undo that rolls back and the action again", done, undo_, false, act_, "repeated"},
      {"the action again and the undo", done, act_, true, undo_, "proceed"},
  };
  const std::string url = guarded_database();
  pqxx::connection one(url), two(url), watcher(url);
  int number = 0;
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const std::string key = "key-" + std::to_string(++number);
    row.before(one, key);
    auto first = std::make_unique<pqxx::work>(one);
    guard(*first, key, row.first);
    auto second = std::async(std::launch::async, [&] { return ask(two, key, row.second); });
    bool waited = false;
    while (!waited && second.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready)
      waited = somebody_waits(watcher);
    CHECK(waited);
    if (row.commits) first->commit();
    first.reset();
    CHECK(second.get() == row.verdict);
  }
}

TEST_CASE("of many requests with one key at once, one proceeds") {
  const std::string url = guarded_database();
  std::vector<std::future<std::string>> requests;
  for (int i = 0; i < 16; ++i) {
    requests.push_back(std::async(std::launch::async, [&] {
      pqxx::connection database(url);
      return ask(database, "k", Phase::forward);
    }));
  }
  int proceeded = 0;
  for (auto& request : requests) proceeded += request.get() == "proceed";
  CHECK(proceeded == 1);
}

TEST_CASE("a transaction that cannot see the other one fails instead of working twice") {
  const std::string url = guarded_database();
  pqxx::connection one(url), two(url);
  pqxx::transaction<pqxx::isolation_level::repeatable_read> late(two);
  late.exec("select 1");
  SUBCASE("an action beside the same action") {
    act(one, "k", Standing::done);
    CHECK(sqlstate_of([&] { guard(late, "k", Phase::forward); }) == "40001");
  }
  SUBCASE("an action beside its undo") {
    ask(one, "k", Phase::compensate);
    CHECK(sqlstate_of([&] { guard(late, "k", Phase::forward); }) == "40001");
  }
  SUBCASE("an undo beside its action") {
    act(one, "k", Standing::done);
    CHECK(sqlstate_of([&] { guard(late, "k", Phase::compensate); }) == "40001");
  }
}

TEST_CASE("what makes no sense is refused with a state and a hint") {
  struct Row {
    const char* sql;
    const char* state;
    const char* hint;
  };
  const std::vector<Row> rows{
      {"select backstitch.guard('k', 'backward')", "22023", "forward, compensate or probe"},
      {"select backstitch.guard('k', null)", "22023", "forward, compensate or probe"},
      {"select backstitch.guard('', 'forward')", "22023", "Idempotency-Key"},
      {"select backstitch.guard(null, 'compensate')", "22023", "Saga-Compensates"},
      {"select backstitch.guard('', 'probe')", "22023", "Saga-Probes"},
      {"select backstitch.guard(repeat('k', 201), 'forward')", "22023", "Idempotency-Key"},
      {"select backstitch.guard_remember('never seen', '1')", "55000",
       "guard(key, 'forward') first"},
      {"select backstitch.guard('u', 'compensate'), backstitch.guard_remember('u', '1')", "55000",
       "the undo came first"},
      {"select backstitch.guard_forget('0 days')", "22023", "at least the timeout"},
      {"select backstitch.guard_forget(null)", "22023", "at least the timeout"},
      {"select backstitch.guard_forget('1 day', 0)", "22023", "at least the timeout"},
  };
  pqxx::connection database(guarded_database());
  for (const Row& row : rows) {
    CAPTURE(row.sql);
    std::string message;
    CHECK(sqlstate_of([&] {
            try {
              query(database, row.sql);
            } catch (const pqxx::sql_error& error) {
              message = error.what();
              throw;
            }
          }) == row.state);
    CHECK(message.find(row.hint) != std::string::npos);
  }
  CHECK(ask(database, std::string(200, 'k'), Phase::forward) == "proceed");
  CHECK_THROWS_AS(phase_of("backward"), std::invalid_argument);
  CHECK(phase_of("forward") == Phase::forward);
  CHECK(phase_of("compensate") == Phase::compensate);
  CHECK(phase_of("probe") == Phase::probe);
}

TEST_CASE("an action that is decided later keeps its last answer, unless its undo came first") {
  pqxx::connection database(guarded_database());
  act(database, "decided", Standing::done);
  pqxx::work later(database);
  remember(later, "decided", R"({"yes": true})");
  CHECK(remembered(later, "decided") == R"({"yes": true})");
  later.commit();
  ask(database, "decided", Phase::compensate);
  pqxx::work too_late(database);
  CHECK(sqlstate_of([&] { remember(too_late, "decided", "{}"); }) == "55000");
}

TEST_CASE("keys are removed by age, a bounded number at a time, the oldest first") {
  const std::string url = guarded_database();
  pqxx::connection database(url);
  query(database, "select backstitch.guard('old-' || n, 'forward') from generate_series(1, 25) n");
  query(database,
        "update backstitch.guarded_key set changed_at = now() - interval '3 days' - "
        "substr(key, 5)::integer * interval '1 minute'");
  query(database, "select backstitch.guard('new', 'forward')");
  const auto forget = [&](const std::string& arguments) {
    return query(database, "select backstitch.guard_forget(" + arguments + ")")[0][0].as<int>();
  };
  CHECK(forget("'4 days'") == 0);
  CHECK(forget("'2 days', 10") == 10);
  CHECK(ask(database, "old-15", Phase::forward) == "repeated");
  CHECK(query(database, "select 1 from backstitch.guarded_key where key = 'old-16'").empty());
  {
    // A key in use is left for the next time.
    pqxx::connection other(url);
    pqxx::work undoing(other);
    guard(undoing, "old-3", Phase::compensate);
    CHECK(forget("'2 days', 100") == 14);
    undoing.commit();
  }
  // Something happened to it, so it is young again.
  CHECK(forget("'2 days', 100") == 0);
  CHECK(ask(database, "new", Phase::forward) == "repeated");
}

TEST_CASE("a role with EXECUTE alone may use it and sees no table; others may not") {
  const std::string url = as_superuser(guarded_database());
  pqxx::connection database(url);
  query(database,
        "create role shop login; grant usage on schema backstitch to shop;"
        "grant execute on function backstitch.guard(text, text), "
        "backstitch.guard_remember(text, jsonb, boolean), backstitch.guard_answer(text) to shop;"
        "create role stranger login; grant usage on schema backstitch to stranger");
  query(database, "set role shop");
  act(database, "k", Standing::done);
  CHECK(ask(database, "k", Phase::forward) == "repeated");
  CHECK(ask(database, "k", Phase::compensate) == "proceed");
  const auto refused_as = [&](const char* sql) {
    return sqlstate_of([&] { query(database, sql); });
  };
  CHECK(refused_as("select * from backstitch.guarded_key") == "42501");
  CHECK(refused_as("delete from backstitch.guarded_key") == "42501");
  CHECK(refused_as("select backstitch.guard_forget('1 day')") == "42501");
  // Nor with it.
  query(database,
        "reset role; grant execute on function backstitch.guard_forget(interval, integer) to shop; "
        "set role shop");
  CHECK(refused_as("select backstitch.guard_forget('1 day')") == "42501");
  query(database, "set role stranger");
  CHECK(refused_as("select backstitch.guard('k', 'forward')") == "42501");
  CHECK(refused_as("select backstitch.guard_answer('k')") == "42501");
  // Nobody gets at the table by putting one of the same name before it.
  query(database,
        "reset role; set search_path = pg_temp; create temp table guarded_key (key text)");
  CHECK(ask(database, "k", Phase::forward) == "refused");
}

TEST_CASE("the script may be applied again, and leaves what is there") {
  const std::string url = guarded_database();
  pqxx::connection database(url);
  act(database, "k", Standing::done);
  query(database, backstitch::migrations::guard_script());
  CHECK(ask(database, "k", Phase::forward) == "repeated");
}

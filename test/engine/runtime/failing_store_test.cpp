// The store fails at appends, and it is not said whether that is because of what they carry or
// because nothing can be written. One item does not stop the others, and a broken database does
// not suspend sagas.
#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

constexpr Duration minute{60'000};

struct FailingStore {
  FailingStore() : node(nodes.add("a")) { nodes.define(node, three_steps()); }

  std::vector<SagaId> start(int sagas) {
    std::vector<SagaId> all;
    for (int i = 0; i < sagas; ++i) all.push_back(nodes.start(node, "t.three")->id);
    return all;
  }
  std::string status(SagaId saga) { return status_of(nodes.view(node, saga)); }
  std::ptrdiff_t suspensions(SagaId saga) {
    const auto log = nodes.log(saga);
    return std::count(log.begin(), log.end(), "SagaSuspended");
  }

  Nodes nodes;
  TestNode& node;
};

Reaction slow_answers(const engine::Call&) {
  Reaction reaction = answers(200);
  reaction.after = Duration{500};
  return reaction;
}

bool is_suspension(const engine::Append& append) {
  return std::any_of(append.events.begin(), append.events.end(),
                     [](const auto& event) { return event.type == "SagaSuspended"; });
}

}  // namespace

TEST_CASE("while the store fails at everything no saga is suspended, and all go on afterwards") {
  for (const auto& [sagas, by_content] :
       {std::pair(1, false), {2, false}, {30, false}, {1, true}, {2, true}, {30, true}}) {
    CAPTURE(sagas);
    CAPTURE(by_content);
    FailingStore f;
    f.nodes.script = slow_answers;
    const auto started = f.start(sagas);
    f.node.store.fails_by_content = by_content;
    f.node.store.fails = [](const engine::Append&) { return true; };
    f.nodes.world.run_for(30 * minute);
    // A try a second, and those of single sagas between them.
    CHECK(f.node.store.failed < 2'500);
    f.node.store.fails = nullptr;
    f.nodes.world.run_for(6 * minute);
    for (const SagaId saga : started) {
      CHECK(f.status(saga) == "COMPLETED");
      CHECK(f.suspensions(saga) == 0);
    }
    CHECK(f.node.engine->set_aside(10).empty());
  }
}

TEST_CASE("appends that fail for a moment do not suspend their sagas") {
  FailingStore f;
  f.nodes.script = slow_answers;
  const auto started = f.start(30);
  // The store recovers before each of them has failed alone.
  int left = 20;
  f.node.store.fails = [&](const engine::Append& append) {
    return left > 0 && !is_suspension(append) && left-- > 0;
  };
  f.nodes.world.run_for(minute);
  CHECK(left == 0);
  for (const SagaId saga : started) {
    CHECK(f.status(saga) == "COMPLETED");
    CHECK(f.suspensions(saga) == 0);
  }
}

TEST_CASE(
    "a saga whose content the store fails at is suspended, and the others do not wait for it") {
  for (const int others : {0, 1, 30}) {
    CAPTURE(others);
    FailingStore f;
    f.node.store.fails_by_content = true;
    f.nodes.script = slow_answers;
    const auto started = f.start(1 + others);
    const SagaId bad = started.front();
    f.node.store.fails = [bad](const engine::Append& append) {
      return append.saga == bad && !is_suspension(append);
    };
    f.nodes.world.run_for(Duration{4'000});
    CHECK(f.status(bad) == "SUSPENDED");
    CHECK(f.node.store.failed < 10);
    CHECK(f.node.engine->counters().ended == static_cast<std::uint64_t>(others));
  }
}

TEST_CASE("several sagas whose content the store fails at are told from a store that fails") {
  FailingStore f;
  f.node.store.fails_by_content = true;
  f.nodes.script = slow_answers;
  const auto started = f.start(3);
  f.node.store.fails = [](const engine::Append& append) { return !is_suspension(append); };
  f.nodes.world.run_for(Duration{10'000});
  for (const SagaId saga : started) CHECK(f.status(saga) == "SUSPENDED");
}

TEST_CASE("a saga that cannot be written is set aside, suspended or not, and the others go on") {
  for (const bool by_content : {false, true}) {
    CAPTURE(by_content);
    FailingStore f;
    f.node.store.fails_by_content = by_content;
    const SagaId torn = f.start(1).front();
    f.nodes.world.run_for(Duration{5});
    f.node.store.fails = [torn](const engine::Append& append) { return append.saga == torn; };
    for (int i = 0; i < 30; ++i) {
      f.start(1);
      f.nodes.world.run_for(minute);
    }
    CHECK(f.node.engine->counters().ended == 30);
    CHECK(f.node.engine->set_aside(10) == std::vector{torn});
    CHECK(f.node.engine->counters().set_aside == 1);
    // Eleven waits, of 5 s to 5 min: after each a few tries, and one a second while it is not known
    // whether anything else could be written.
    CHECK(f.node.store.failed < (by_content ? 100 : 600));
    f.node.store.fails = nullptr;
    f.nodes.world.run_for(6 * minute);
    CHECK(f.status(torn) == "COMPLETED");
    CHECK(f.node.engine->set_aside(10).empty());
  }
}

TEST_CASE("what the store lacks for some appends while it writes others costs no saga anything") {
  // As a disk that is full until somebody frees some space: what fits in a page is written.
  for (const std::int64_t seconds : {1, 3, 7}) {
    CAPTURE(seconds);
    FailingStore f;
    f.nodes.script = slow_answers;
    const auto started = f.start(30);
    int number = 0;
    f.node.store.fails = [&](const engine::Append& append) {
      return !append.events.empty() && ++number % 3 != 0;
    };
    f.nodes.world.run_for(Duration{seconds * 1'000});
    CHECK(f.node.store.failed > 10);
    f.node.store.fails = nullptr;
    f.nodes.world.run_for(minute);
    for (const SagaId saga : started) {
      CHECK(f.status(saga) == "COMPLETED");
      CHECK(f.suspensions(saga) == 0);
    }
  }
}

TEST_CASE(
    "a start and a signal by SQL outlive what the store lacks, and the signal is no other's "
    "fault") {
  constexpr const char* waits =
      R"({"dsl":1,"name":"t.waits","version":1,"timeout":"30d","steps":[
        {"name":"w","wait":{"signal":"go","timeout":"20d"}}]})";
  // Some seconds are waited for in memory, minutes in the inbox.
  for (const std::int64_t seconds : {5, 120}) {
    CAPTURE(seconds);
    FailingStore f;
    f.nodes.define(f.node, waits);
    const SagaId waiting = f.nodes.start(f.node, "t.waits")->id;
    const SagaId by_sql = SagaId::make(Database::start, 1, 2, 9);
    f.nodes.world.run_for(Duration{100});
    f.node.store.fails = [&](const engine::Append& append) {
      return append.saga == waiting || append.saga == by_sql;
    };
    f.nodes.database.store.start_by_sql(by_sql, "t.waits", 1, "{}", "o-17");
    f.nodes.database.store.put_unjudged(
        {0, waiting, "signal", "",
         R"({"name":"go","payload":1,"by":"sql:shop","roles":["*"],"key":null})"});
    for (std::int64_t i = 0; i < seconds; ++i) {
      f.start(1);
      f.nodes.world.run_for(Duration{1'000});
    }
    CHECK(f.node.store.failed > 5);
    CHECK(f.node.engine->counters().ended == static_cast<std::uint64_t>(seconds));
    f.node.store.fails = nullptr;
    // The saga may be set aside, for 5 minutes at most.
    f.nodes.world.run_for(6 * minute);
    CHECK(f.status(waiting) == "COMPLETED");
    CHECK(f.status(by_sql) == "RUNNING");
    CHECK(f.nodes.database.store.audited().empty());
  }
}

TEST_CASE("a start at which the store fails is answered soon, and not as if it were at fault") {
  FailingStore f;
  f.node.store.fails = [](const engine::Append&) { return true; };
  const auto asked = f.nodes.world.now();
  const auto reply = f.nodes.start(f.node, "t.three");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == ErrorCode::unavailable);
  CHECK(reply.error().reason == "store-failed");
  CHECK(f.nodes.world.now() - asked < std::chrono::seconds(2));
}

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
  for (const int sagas : {1, 2, 30}) {
    CAPTURE(sagas);
    FailingStore f;
    f.nodes.script = slow_answers;
    const auto started = f.start(sagas);
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

TEST_CASE("a saga that the store fails at is suspended, and the others do not wait for it") {
  for (const int others : {0, 1, 30}) {
    CAPTURE(others);
    FailingStore f;
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

TEST_CASE("several sagas that the store fails at are told from a store that fails") {
  FailingStore f;
  f.nodes.script = slow_answers;
  const auto started = f.start(3);
  f.node.store.fails = [](const engine::Append& append) { return !is_suspension(append); };
  f.nodes.world.run_for(Duration{10'000});
  for (const SagaId saga : started) CHECK(f.status(saga) == "SUSPENDED");
}

TEST_CASE("a saga that cannot even be suspended is set aside, and the others go on") {
  FailingStore f;
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
  // Eleven waits, of 5 s to 5 min: after each a few tries.
  CHECK(f.node.store.failed < 100);
  f.node.store.fails = nullptr;
  f.nodes.world.run_for(6 * minute);
  CHECK(f.status(torn) == "COMPLETED");
  CHECK(f.node.engine->set_aside(10).empty());
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

// What goes wrong inside the engine itself: an exception out of one saga's work takes only that
// saga along, and a reactor that is stuck keeps its lease and is reported.
#include <stdexcept>

#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

constexpr Duration half_a_minute = 30s;

/// The participants of `b` throw, which no code expects of them, for as long as `is_broken`.
struct Broken {
  explicit Broken(Nodes& nodes) {
    nodes.script = [this](const engine::Call& call) -> Reaction {
      if (is_broken && call.path == "b" && (only == SagaId{} || call.saga == only))
        throw std::runtime_error("out of order");
      return answers(200);
    };
  }
  bool is_broken = true;
  SagaId only;
};

}  // namespace

TEST_CASE("an exception out of one saga's work suspends that saga, and the others go on") {
  Nodes nodes;
  Broken broken(nodes);
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  std::vector<SagaId> sagas;
  node.store.holding = true;
  for (int i = 0; i < 5; ++i) {
    engine::StartRequest request;
    request.definition = "t.three";
    node.engine->start(0, std::move(request), [&](const auto& reply) {
      REQUIRE(reply);
      sagas.push_back(reply->id);
    });
  }
  nodes.world.run_for(100ms);
  node.store.release();
  REQUIRE(nodes.world.run_until([&] { return sagas.size() == 5; }));
  broken.only = sagas[2];
  for (const auto& saga : sagas) {
    const auto view = nodes.await_end(node, saga, 1min);
    CAPTURE(view->dump(2));
    CHECK(status_of(view) == (saga == broken.only ? "SUSPENDED" : "COMPLETED"));
  }
  const auto view = nodes.view(node, broken.only);
  CHECK((*view)["suspension"]["reason"] == "ENGINE_BUG");
  CHECK(node.observer.of("saga-work-failed").front().fields.at("what") == "out of order");
  CHECK(node.engine->counters().bugs == 1);
  CHECK(node.supervisor.told.empty());

  SUBCASE("an operator's retry goes on from the log") {
    broken.is_broken = false;
    REQUIRE(nodes.command(node, broken.only, engine::Retry{"me", "fixed"}));
    CHECK(status_of(nodes.await_end(node, broken.only, 1min)) == "COMPLETED");
  }
  SUBCASE("a retry that trips again suspends it again") {
    REQUIRE(nodes.command(node, broken.only, engine::Retry{"me", "not fixed"}));
    nodes.world.run_for(1min);
    CHECK(status_of(nodes.view(node, broken.only)) == "SUSPENDED");
    CHECK(node.engine->counters().bugs == 2);
  }
}

TEST_CASE("a node keeps its lease while a reactor is busy, and the reactor goes on where it was") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.add("b");
  nodes.world.run_for(half_a_minute);
  nodes.script = [](const engine::Call&) { return Reaction{engine::Response{200, {}, {}}, 40s}; };
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started);
  node.executor.pause(true);
  nodes.world.run_for(25s);
  node.executor.pause(false);
  nodes.world.run_for(5min);
  CHECK(nodes.log(started->id) ==
        std::vector<std::string>{"SagaStarted", "StepScheduled", "StepSucceeded", "StepScheduled",
                                 "StepSucceeded", "StepScheduled", "StepSucceeded", "SagaEnded"});
  CHECK(node.observer.count("lease-not-renewed") == 0);
  CHECK(node.supervisor.told.empty());
}

TEST_CASE("a reactor that does not turn for half a minute is reported with the saga it is at") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  bool is_stuck = true;
  nodes.script = [&](const engine::Call&) {
    // The reactor is in the middle of a task, and its thread does nothing else.
    if (std::exchange(is_stuck, false)) {
      node.executor.pause(true);
      nodes.world.run_for(40s);
      node.executor.pause(false);
    }
    return answers(200);
  };
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started);
  nodes.world.run_for(1min);
  REQUIRE(node.supervisor.told.size() == 1);
  CHECK(node.supervisor.told.front() ==
        "reactor-stalled: a reactor has not turned for 30 seconds; it is at the saga " +
            started->id.text());
  CHECK(node.observer.count("reactor-stalled") == 1);
}

TEST_CASE("a process that was stopped for a while is not taken for stuck") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  node.pause(true);
  nodes.world.run_for(10min);
  node.pause(false);
  nodes.world.run_for(1min);
  CHECK(node.supervisor.told.empty());
}

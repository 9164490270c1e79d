// What exists is never "not found": a start by SQL that nobody has taken up, and what another node
// has registered or started a moment ago.
#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

const std::string waits = R"({"dsl":1,"name":"t.waits","version":1,"timeout":"10m",
  "services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"w","wait":{"signal":"go","timeout":"9m59s"}},
    {"name":"p","action":{"service":"s","http":"PUT /p"},"kind":"pivot",
     "probe":{"http":"GET /p"}}]})";

Result<engine::HistoryPage> history_of(Nodes& nodes, TestNode& node, SagaId saga) {
  std::optional<Result<engine::HistoryPage>> reply;
  node.engine->history(saga, engine::Sequence{0}, 100, [&](const auto& done) { reply = done; });
  REQUIRE(nodes.world.run_until([&] { return reply.has_value(); }));
  return *reply;
}

/// A node whose appends are held back, so that a start by SQL stays where it is.
struct Promised {
  explicit Promised(bool at_once = true) : node(nodes.add("a")) {
    nodes.define(node, waits);
    node.store.holding = at_once;
    if (at_once) put_down();
  }
  void put_down() { nodes.database.store.start_by_sql(saga, "t.waits", 1, R"({"x":1})", "o-17"); }
  void take_up() {
    node.store.release();
    REQUIRE(nodes.world.run_until([&] { return !nodes.log(saga).empty(); }));
  }
  Nodes nodes;
  const engine::SteadyTime origin = nodes.world.now();
  TestNode& node;
  const SagaId saga = SagaId::make(Database::start, 1, 2, 9);
};

}  // namespace

TEST_CASE("a start by SQL that waits is a saga that runs and has done nothing") {
  Promised promised;
  const auto view = promised.nodes.view(promised.node, promised.saga);
  REQUIRE(view);
  CHECK(view->at("id") == promised.saga.text());
  CHECK(view->at("status") == "RUNNING");
  CHECK(view->at("definition") == "t.waits");
  CHECK(view->at("businessKey") == "o-17");
  CHECK(view->at("input") == Json{{"x", 1}});
  CHECK(view->at("steps").empty());
  const auto history = history_of(promised.nodes, promised.node, promised.saga);
  REQUIRE(history);
  CHECK(history->events.empty());
  const auto waited = promised.nodes.await_end(promised.node, promised.saga, Duration{1'000});
  CHECK(status_of(waited) == "RUNNING");
}

TEST_CASE("its history is never not found while it is being taken up") {
  for (int steps = 0; steps < 60; ++steps) {
    Promised promised;
    promised.node.store.release();
    // Wherever the take-up has come to.
    for (int i = 0; i < steps; ++i) promised.nodes.world.run_for(Duration{0});
    const auto history = history_of(promised.nodes, promised.node, promised.saga);
    REQUIRE(history);
    CHECK(promised.nodes.view(promised.node, promised.saga));
  }
}

TEST_CASE("a command for it waits behind it") {
  Promised promised;
  std::optional<Result<Done>> signalled;
  promised.node.engine->command(promised.saga, engine::Signal{"go", 7, "somebody", {"*"}},
                                [&](const auto& done) { signalled = done; });
  promised.nodes.world.run_for(Duration{500});
  CHECK_FALSE(signalled.has_value());
  promised.take_up();
  REQUIRE(promised.nodes.world.run_until([&] { return signalled.has_value(); }));
  CHECK(*signalled);
  CHECK(status_of(promised.nodes.await_end(promised.node, promised.saga, Duration{5'000})) ==
        "COMPLETED");
}

TEST_CASE("what a command would set going cannot be told before the start is taken up") {
  Promised promised;
  std::optional<Result<engine::explore::Plan>> plan;
  promised.node.engine->plan(promised.saga, engine::Cancel{"somebody", ""},
                             [&](const auto& done) { plan = done; });
  REQUIRE(promised.nodes.world.run_until([&] { return plan.has_value(); }));
  REQUIRE_FALSE(*plan);
  CHECK(plan->error().reason == "start-pending");
}

TEST_CASE("a saga has started when its start was put down; its timeout counts from the take-up") {
  Promised promised(false);
  promised.node.pause(true);
  promised.put_down();
  const auto since = promised.nodes.world.now() - promised.origin;
  const Json before = to_rfc3339(Database::start + std::chrono::duration_cast<Duration>(since));
  promised.nodes.world.run_for(std::chrono::duration_cast<Duration>(std::chrono::minutes(8)));
  promised.node.pause(false);
  REQUIRE(promised.nodes.world.run_until(
      [&] { return promised.node.engine->counters().starts == 1; }, Duration{60'000}));
  const auto view = promised.nodes.view(promised.node, promised.saga);
  REQUIRE(view);
  CHECK(view->at("startedAt") == before);
  bool listed = false;
  engine::ListQuery query;
  query.started_before = *parse_rfc3339(before.get<std::string>()) + Duration{1};
  promised.nodes.database.store.list(query, [&](const auto& page) {
    listed = page && page->size() == 1 && page->front().id == promised.saga;
  });
  promised.nodes.world.run_for(Duration{10});
  CHECK(listed);
  promised.nodes.world.run_for(std::chrono::duration_cast<Duration>(std::chrono::minutes(9)));
  CHECK(status_of(promised.nodes.view(promised.node, promised.saga)) == "RUNNING");
  promised.nodes.world.run_for(std::chrono::duration_cast<Duration>(std::chrono::minutes(2)));
  CHECK(status_of(promised.nodes.view(promised.node, promised.saga)) == "FAILED");
}

TEST_CASE("what another node has just registered and started is known at once") {
  Nodes nodes;
  TestNode& first = nodes.add("a");
  TestNode& second = nodes.add("b");
  REQUIRE(nodes.world.run_until([&] { return second.engine->counters().shards_held == 128; },
                                Duration{10'000}));
  nodes.define(first, waits);
  const auto started = nodes.start(first, "t.waits");
  REQUIRE(started);
  SUBCASE("to who looks at it") {
    CHECK(status_of(nodes.view(second, started->id)) == "RUNNING");
  }
  SUBCASE("to who reads its history") {
    const auto history = history_of(nodes, second, started->id);
    REQUIRE(history);
    CHECK_FALSE(history->events.empty());
  }
  SUBCASE("to who sends it a signal") {
    CHECK(nodes.command(second, started->id, engine::Signal{"go", nullptr, "somebody", {"*"}}));
  }
  SUBCASE("to who takes it over") {
    first.pause(true);
    nodes.world.run_for(Duration{30'000});
    CHECK(nodes.command(second, started->id, engine::Signal{"go", nullptr, "somebody", {"*"}}));
    CHECK(status_of(nodes.await_end(second, started->id, Duration{5'000})) == "COMPLETED");
  }
}

TEST_CASE("what does not exist is looked up, and then not found") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  const SagaId nobody = SagaId::make(Database::start, 1, 2, 9);
  for (const auto& code :
       {nodes.view(node, nobody).error().reason, history_of(nodes, node, nobody).error().reason,
        nodes.command(node, nobody, engine::Cancel{"somebody", ""}).error().reason})
    CHECK(code == "saga-not-found");
}

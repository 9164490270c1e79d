/// Nodes that share the shards: who holds what, and commands for sagas of another node.
#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

std::size_t shards_of(TestNode& node) {
  return node.engine->counters().shards_held;
}

/// Waits for a signal for up to an hour, then one more step.
std::string waiting_saga(const std::string& accept = "true") {
  return R"({"dsl":1,"name":"t.waits","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
    {"name":"w","wait":{"signal":"go","timeout":"1h","accept":"${)" +
         accept + R"(}"}},
    {"name":"b","action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b"}}]})";
}

std::string status_in(const Result<Json>& view) {
  REQUIRE(view);
  return view->at("status").get<std::string>();
}

/// Two nodes with half of the shards each, and a saga of the first that waits for a signal.
struct Pair {
  explicit Pair(const std::string& definition = waiting_saga())
      : first(nodes.add("a")), second(nodes.add("b")) {
    REQUIRE(
        nodes.world.run_until([&] { return shards_of(first) == 128 && shards_of(second) == 128; }));
    nodes.define(first, definition);
    nodes.world.run_for(Duration{2'000});
    const auto started = nodes.start(first, "t.waits");
    REQUIRE(started.has_value());
    saga = started->id;
    REQUIRE(nodes.world.run_until([&] {
      const auto log = nodes.log(saga);
      return std::find(log.begin(), log.end(), "StepWaiting") != log.end();
    }));
  }
  Nodes nodes;
  TestNode& first;
  TestNode& second;
  SagaId saga;
};

}  // namespace

TEST_CASE("a node that joins is given its share, and one that leaves gives it back") {
  Nodes nodes;
  TestNode& first = nodes.add("a");
  CHECK(shards_of(first) == 256);
  TestNode& second = nodes.add("b");
  REQUIRE(nodes.world.run_until([&] { return shards_of(first) == 128 && shards_of(second) == 128; },
                                Duration{10'000}));
  TestNode& third = nodes.add("c");
  const auto even = [&] {
    const std::multiset<std::size_t> held{shards_of(first), shards_of(second), shards_of(third)};
    return held == std::multiset<std::size_t>{84, 86, 86};
  };
  REQUIRE(nodes.world.run_until(even, Duration{20'000}));
  bool closed = false;
  second.engine->close([&] { closed = true; });
  REQUIRE(nodes.world.run_until(
      [&] { return closed && shards_of(first) == 128 && shards_of(third) == 128; },
      Duration{10'000}));
}

TEST_CASE("shards change hands without a call being sent twice") {
  Nodes nodes;
  TestNode& first = nodes.add("a");
  nodes.define(first, three_steps());
  // Nearly every saga has a call on its way at any time.
  nodes.script = [](const engine::Call&) {
    Reaction reaction = answers(200);
    reaction.after = Duration{1'500};
    return reaction;
  };
  for (int i = 0; i < 200; ++i) REQUIRE(nodes.start(first, "t.three").has_value());
  TestNode& second = nodes.add("b");
  const auto ended = [&] {
    return first.engine->counters().ended + second.engine->counters().ended == 200;
  };
  REQUIRE(nodes.world.run_until(ended, Duration{60'000}));
  CHECK(shards_of(first) == 128);
  CHECK(nodes.sent.size() == 600);
  CHECK(std::all_of(nodes.sent.begin(), nodes.sent.end(),
                    [](const engine::Call& call) { return call.attempt == 1; }));
}

TEST_CASE("a shard whose sagas never rest is handed over all the same, and they go on elsewhere") {
  engine::Options options;
  options.handover_max = Duration{1'000};
  Nodes nodes;
  TestNode& first = nodes.add("a", options);
  nodes.define(first, three_steps());
  nodes.script = [](const engine::Call&) {
    Reaction reaction = answers(200);
    reaction.after = Duration{8'000};
    return reaction;
  };
  for (int i = 0; i < 50; ++i) REQUIRE(nodes.start(first, "t.three").has_value());
  TestNode& second = nodes.add("b");
  REQUIRE(nodes.world.run_until([&] { return shards_of(second) == 128; }, Duration{20'000}));
  REQUIRE(nodes.world.run_until(
      [&] { return first.engine->counters().ended + second.engine->counters().ended == 50; },
      Duration{120'000}));
  CHECK(second.engine->counters().ended > 0);
}

TEST_CASE("a command for another node's saga is carried out there, and its answer comes back") {
  Pair pair;
  REQUIRE(
      pair.nodes.command(pair.second, pair.saga, engine::Signal{"go", nullptr, "somebody", {"*"}}));
  REQUIRE(pair.nodes.world.run_until(
      [&] { return status_in(pair.nodes.view(pair.second, pair.saga)) == "COMPLETED"; }));
  CHECK(pair.nodes.calls() == "forward /a | forward /b");
}

TEST_CASE("what the saga's own node refuses is refused with the same reason everywhere") {
  Pair pair(waiting_saga("signal.payload == 'yes'"));
  const engine::Signal no{"go", "no", "somebody", {"*"}};
  const auto here = pair.nodes.command(pair.first, pair.saga, no);
  const auto there = pair.nodes.command(pair.second, pair.saga, no);
  REQUIRE_FALSE(here);
  REQUIRE_FALSE(there);
  CHECK(there.error().code == here.error().code);
  CHECK(there.error().reason == here.error().reason);
  CHECK(there.error().message == here.error().message);
  CHECK(status_in(pair.nodes.view(pair.second, pair.saga)) == "RUNNING");
}

TEST_CASE("operators' commands through another node are audited once, refused ones are not") {
  Pair pair;
  REQUIRE_FALSE(pair.nodes.command(pair.second, pair.saga, engine::Retry{"ann", "why not"}));
  CHECK(pair.nodes.database.store.audited().empty());
  REQUIRE(pair.nodes.command(pair.second, pair.saga, engine::Cancel{"ann", "not wanted"}));
  const auto audited = pair.nodes.database.store.audited();
  REQUIRE(audited.size() == 1);
  CHECK(audited[0].second.actor == "ann");
  CHECK(audited[0].second.action == "cancel");
  CHECK(audited[0].second.reason == "not wanted");
}

TEST_CASE("a command for a saga whose node died waits for the one that takes over") {
  Pair pair;
  pair.first.pause(true);
  const auto reply =
      pair.nodes.command(pair.second, pair.saga, engine::Signal{"go", nullptr, "somebody", {"*"}});
  // Nobody holds the saga for longer than anybody waits for an answer.
  if (!reply) CHECK(reply.error().reason == "command-pending");
  REQUIRE(pair.nodes.world.run_until(
      [&] { return status_in(pair.nodes.view(pair.second, pair.saga)) == "COMPLETED"; },
      Duration{30'000}));
}

TEST_CASE("who waits at another node for a saga's end hears of it") {
  Pair pair;
  std::optional<Result<Json>> end;
  pair.second.engine->await_end(pair.saga, Duration{60'000}, [&](const auto& view) { end = view; });
  pair.nodes.world.run_for(Duration{1'000});
  CHECK_FALSE(end.has_value());
  REQUIRE(
      pair.nodes.command(pair.first, pair.saga, engine::Signal{"go", nullptr, "somebody", {"*"}}));
  REQUIRE(pair.nodes.world.run_until([&] { return end.has_value(); }, Duration{2'000}));
  CHECK(status_in(*end) == "COMPLETED");
}

TEST_CASE("a start put down by SQL is taken up, and its key protects it before and after") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  const SagaId saga = SagaId::make(nodes.database.start, 1, 2, 9);
  node.pause(true);
  REQUIRE(nodes.database.store.start_by_sql(saga, "t.three", 1, "{}", "k-1") == saga);
  CHECK(nodes.database.store.start_by_sql(SagaId::make(nodes.database.start, 3, 4, 9), "t.three", 1,
                                          "{}", "k-1") == saga);
  node.pause(false);
  REQUIRE(nodes.world.run_until([&] { return node.engine->counters().ended == 1; }));
  CHECK(status_in(nodes.view(node, saga)) == "COMPLETED");
  CHECK(nodes.sent.size() == 3);
}

TEST_CASE(
    "a node polls the inbox every second, and ten times as often for ten seconds after a find") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  const auto polls_in = [&](Duration time) {
    const std::size_t before = nodes.database.store.polls();
    nodes.world.run_for(time);
    return nodes.database.store.polls() - before;
  };
  nodes.world.run_for(Duration{20'000});
  CHECK(polls_in(Duration{10'000}) == 10);
  nodes.database.store.start_by_sql(SagaId::make(nodes.database.start, 1, 2, 9), "t.three", 1, "{}",
                                    std::nullopt);
  REQUIRE(nodes.world.run_until([&] { return node.engine->counters().ended == 1; },
                                engine::Options{}.inbox_poll_idle + Duration{50}));
  CHECK(polls_in(Duration{9'000}) >= 85);
  nodes.world.run_for(Duration{2'000});
  CHECK(polls_in(Duration{10'000}) == 10);
}

TEST_CASE("a start by SQL under traffic is found within a tenth of a second") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  for (std::uint64_t i = 0; i < 20; ++i) {
    nodes.database.store.start_by_sql(
        SagaId::make(nodes.database.start, i, i, static_cast<Shard>(i)), "t.three", 1, "{}",
        std::nullopt);
    const Duration wait =
        i == 0 ? engine::Options{}.inbox_poll_idle : engine::Options{}.inbox_poll_busy;
    REQUIRE(nodes.world.run_until([&] { return nodes.sent.size() > 3 * i; }, wait + Duration{20}));
    REQUIRE(nodes.world.run_until([&] { return nodes.sent.size() == 3 * i + 3; }));
    nodes.world.run_for(Duration{333});
  }
}

TEST_CASE("retention that fails again and again is logged, and counted each time") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  node.store.fails_to_remove = true;
  nodes.world.run_for(engine::Options{}.removal_every * 2 + Duration{1'000});
  CHECK(node.observer.count("retention-failing") == 0);
  nodes.world.run_for(engine::Options{}.removal_every * 2);
  CHECK(node.observer.count("retention-failing") == 1);
  CHECK(node.engine->counters().removals_failed >= 3);
  nodes.world.run_for(engine::Options{}.removal_every * 20);
  CHECK(node.observer.count("retention-failing") == 2);
}

TEST_CASE("a start by SQL that turns out to be impossible is a saga that failed, nothing done") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(
      node, R"({"dsl":1,"name":"t.in","version":1,"services":{"s":{"baseUrl":"https://s.example"}},
    "input":{"type":"object","required":["x"],"properties":{"x":{"type":"integer"}}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a/${input.x}"},"compensation":"none"}]})");
  const SagaId saga = SagaId::make(nodes.database.start, 1, 2, 9);
  nodes.database.store.start_by_sql(saga, "t.in", 1, R"({"x":"no number"})", std::nullopt);
  nodes.world.run_for(engine::Options{}.inbox_poll_idle + Duration{100});
  CHECK(nodes.log(saga) ==
        std::vector<std::string>{"SagaStarted", "CompensationStarted", "SagaEnded"});
  const auto view = nodes.view(node, saga);
  CHECK(status_in(view) == "FAILED");
  CHECK(view->at("failure").at("code") == "INPUT_INVALID");
  CHECK(nodes.sent.empty());
}

TEST_CASE("more starts than the node takes into memory wait in the inbox and are drained") {
  engine::Options options;
  options.sagas_resident_max = 20;
  Nodes nodes;
  TestNode& node = nodes.add("a", options);
  nodes.define(node, three_steps());
  std::size_t most = 0;
  nodes.script = [&](const engine::Call&) {
    most = std::max(most, static_cast<std::size_t>(node.engine->counters().resident));
    return answers(200);
  };
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    nodes.database.store.start_by_sql(
        SagaId::make(nodes.database.start, i, i, static_cast<Shard>(i)), "t.three", 1, "{}",
        std::nullopt);
  }
  REQUIRE(nodes.world.run_until([&] { return node.engine->counters().ended == 1'000; },
                                Duration{120'000}));
  CHECK(nodes.sent.size() == 3'000);
  CHECK(most <= 20);
}

TEST_CASE("a definition that another node has just registered can be started at once") {
  Nodes nodes;
  TestNode& first = nodes.add("a");
  TestNode& second = nodes.add("b");
  REQUIRE(nodes.world.run_until([&] { return shards_of(second) == 128; }, Duration{10'000}));
  nodes.define(first, three_steps());
  CHECK(nodes.start(second, "t.three").has_value());
  const auto unknown = nodes.start(second, "t.unknown");
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().reason == "definition-not-found");
}

TEST_CASE("thousands of sagas that wake in the same second are all on time") {
  Nodes nodes;
  const engine::SteadyTime midnight = nodes.world.now();
  TestNode& node = nodes.add("a");
  nodes.define(
      node,
      R"({"dsl":1,"name":"t.sleeps","version":1,"steps":[{"name":"z","sleep":{"until":"2026-01-01T01:00:00Z"}}]})");
  for (int i = 0; i < 2'000; ++i) REQUIRE(nodes.start(node, "t.sleeps").has_value());
  nodes.world.run_for(Duration{30'000});
  CHECK(node.engine->counters().resident == 0);
  const auto left = std::chrono::hours(1) - (nodes.world.now() - midnight);
  nodes.world.run_for(std::chrono::duration_cast<Duration>(left) + Duration{1'000});
  CHECK(node.engine->counters().ended == 2'000);
}

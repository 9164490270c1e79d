// What is logged because a person is needed: once an event, after its commit, and what is sensitive
// masked.
#include "nodes.hpp"

namespace backstitch::test {
namespace {

using engine::Level;
using engine::Phase;
using std::chrono_literals::operator""s;

/// Undoes `a` four times at most, once `b` has failed. `more` are members of the compensation.
std::string stuck(const std::string& more = "") {
  return R"({"dsl":1,"name":"t.stuck","version":1,
    "input":{"type":"object","required":["card"],"properties":{"card":{"type":"string","x-sensitive":true}}},
    "services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a",
      "retry":{"maxAttempts":4,"delay":"1s","factor":1,"jitter":"none"})" +
         more + R"(}},
    {"name":"b","action":{"service":"s","http":"PUT /b","body":{"card":"${input.card}"}},
      "compensation":{"http":"DELETE /b"}}]})";
}

struct StuckSaga {
  explicit StuckSaga(const std::string& definition = stuck()) : node(nodes.add("a")) {
    nodes.define(node, definition);
    nodes.script = [this](const engine::Call& call) {
      if (call.phase == Phase::compensate) return answers(undo_status);
      return answers(call.path == "b" ? 409 : 200);
    };
    saga = nodes.start(node, "t.stuck", {{"card", "4111-secret"}})->id;
  }
  void run_for(Duration time) { nodes.world.run_for(time); }

  int undo_status = 500;
  Nodes nodes;
  TestNode& node;
  SagaId saga;
};

TEST_CASE("a suspension is told once with its fields, and not again by the node that takes over") {
  StuckSaga stuck;
  stuck.run_for(60s);
  const auto told = stuck.node.observer.of("saga-suspended");
  REQUIRE(told.size() == 1);
  CHECK(told[0].level == Level::error);
  auto fields = told[0].fields;
  CHECK(fields["message"].find("the undo was given up after 4 attempt(s)") == 0);
  fields.erase("message");
  CHECK(fields == std::map<std::string, std::string>{{"saga", stuck.saga.text()},
                                                     {"definition", "t.stuck"},
                                                     {"step", "a"},
                                                     {"phase", "compensate"},
                                                     {"reason", "COMPENSATION_FAILED"}});
  stuck.node.pause(true);
  TestNode& other = stuck.nodes.add("b");
  REQUIRE(stuck.nodes.world.run_until(
      [&] { return stuck.nodes.view(other, stuck.saga).has_value(); }, Duration{30'000}));
  stuck.run_for(60s);
  CHECK(other.observer.count("saga-suspended") == 0);
  // What it is suspended at again is another event.
  CHECK(stuck.nodes.command(other, stuck.saga, engine::Retry{"ann", "once more"}));
  stuck.run_for(60s);
  CHECK(other.observer.count("saga-suspended") == 1);
}

TEST_CASE("nothing is told before it is committed") {
  StuckSaga stuck;
  stuck.run_for(2s);
  stuck.node.store.holding = true;
  stuck.run_for(5s);
  const int before = stuck.node.observer.count("compensation-failing");
  CHECK(stuck.node.observer.count("saga-suspended") == 0);
  stuck.node.store.release();
  stuck.run_for(60s);
  CHECK(stuck.node.observer.count("compensation-failing") == 1);
  CHECK(before == 0);
  CHECK(stuck.node.observer.count("saga-suspended") == 1);
}

TEST_CASE("a compensation that fails for the third time is told once a budget") {
  StuckSaga stuck;
  stuck.run_for(60s);
  const auto told = stuck.node.observer.of("compensation-failing");
  REQUIRE(told.size() == 1);
  CHECK(told[0].level == Level::warning);
  CHECK(told[0].fields.at("step") == "a");
  CHECK(told[0].fields.at("reason") == "HTTP_500");
  CHECK(stuck.nodes.command(stuck.node, stuck.saga, engine::Retry{"ann", ""}));
  stuck.run_for(60s);
  CHECK(stuck.node.observer.count("compensation-failing") == 2);
}

TEST_CASE("a saga that ends and leaves something behind names the steps that are not undone") {
  StuckSaga stuck(test::stuck(R"(,"onExhausted":"continue")"));
  stuck.run_for(60s);
  const auto told = stuck.node.observer.of("saga-failed-incomplete");
  REQUIRE(told.size() == 1);
  CHECK(told[0].level == Level::error);
  CHECK(told[0].fields.at("saga") == stuck.saga.text());
  CHECK(told[0].fields.at("reason") == "HTTP_409");
  CHECK(told[0].fields.at("message") == "not undone: a");
}

TEST_CASE("a suspension that an operator asked for is told as information") {
  StuckSaga stuck;
  stuck.run_for(1s);
  CHECK(stuck.nodes.command(stuck.node, stuck.saga, engine::Suspend{"", "ann", "wait"}));
  const auto told = stuck.node.observer.of("saga-suspended");
  REQUIRE(told.size() == 1);
  CHECK(told[0].level == Level::info);
}

TEST_CASE("what is told has no sensitive value in it") {
  StuckSaga stuck;
  stuck.run_for(1s);
  CHECK(stuck.nodes.command(stuck.node, stuck.saga, engine::Suspend{"", "ann", "4111-secret"}));
  const auto told = stuck.node.observer.of("saga-suspended");
  REQUIRE(told.size() == 1);
  CHECK(told[0].fields.at("message") == "suspended by ann: ***");
}

TEST_CASE("a service that fails again and again is told once in ten minutes, however many sagas") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.script = [](const engine::Call&) { return answers(503); };
  for (int i = 0; i < 20; ++i) REQUIRE(nodes.start(node, "t.three"));
  nodes.world.run_for(10s);
  const auto told = node.observer.of("service-failing");
  REQUIRE(told.size() == 1);
  CHECK(told[0].level == Level::warning);
  CHECK(told[0].fields == std::map<std::string, std::string>{
                              {"service", "t.three/s"}, {"failures", "10"}, {"last", "HTTP_503"}});
}

TEST_CASE(
    "refused starts are counted as overload or as invalid, and an absent database as neither") {
  Nodes nodes;
  engine::Options options;
  options.sagas_resident_max = 1;
  TestNode& node = nodes.add("a", options);
  nodes.define(node, R"({"dsl":1,"name":"t.typed","version":1,
    "input":{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}},
    "steps":[{"name":"w","wait":{"signal":"go","timeout":"2s"}}]})");
  const auto counted = [&] {
    const auto all = node.engine->counters();
    return std::pair{all.starts_refused, all.starts_invalid};
  };
  CHECK(nodes.start(node, "t.typed", {{"n", "x"}}).error().reason == "INPUT_INVALID");
  CHECK(nodes.start(node, "t.other").error().reason == "definition-not-found");
  CHECK(counted() == std::pair<std::uint64_t, std::uint64_t>{0, 2});
  node.store.is_reachable = false;
  CHECK(nodes.start(node, "t.typed", {{"n", 1}}).error().reason == "database-unreachable");
  node.store.is_reachable = true;
  CHECK(nodes.start(node, "t.typed", {{"n", 1}}, "key"));
  CHECK(nodes.start(node, "t.typed", {{"n", 1}}).error().reason == "overloaded");
  CHECK(counted() == std::pair<std::uint64_t, std::uint64_t>{1, 2});
  nodes.world.run_for(10s);
  CHECK(nodes.start(node, "t.typed", {{"n", 2}}, "key").error().reason == "idempotency-key-reused");
  CHECK(counted() == std::pair<std::uint64_t, std::uint64_t>{1, 3});
}

}  // namespace
}  // namespace backstitch::test

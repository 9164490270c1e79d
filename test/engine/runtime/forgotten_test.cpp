// Sagas that a node has lost sight of. The simulator found these ways.
#include "nodes.hpp"

namespace backstitch::test {
namespace {

TEST_CASE("what a node could not do because its lease was late is done after the next renewal") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  // Renewals are asked for every three seconds; the answers of the database stop before the one at
  // six, and come when the node may not act any more, that of the start first.
  const auto opened = nodes.world.now();
  nodes.world.run_for(Duration{5'500});
  nodes.database.executor.pause(true);
  engine::StartRequest request;
  request.definition = "t.three";
  std::optional<Result<engine::StartReply>> reply;
  node.engine->start(0, request, [&](const auto& done) { reply = done; });
  nodes.world.run_for(Duration{4'200});
  REQUIRE(nodes.world.now() - opened > std::chrono::milliseconds(9'667));
  REQUIRE(node.observer.count("lease-not-renewed") == 0);
  nodes.database.executor.pause(false);
  REQUIRE(nodes.world.run_until([&] { return reply.has_value(); }, Duration{1'000}));
  REQUIRE(reply->has_value());
  CHECK(
      nodes.world.run_until([&] { return node.engine->counters().ended == 1; }, Duration{60'000}));
  CHECK(nodes.calls() == "forward /a | forward /b | forward /c");
}

TEST_CASE("a suspended saga and its suspended parent leave each other alone") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, R"({"dsl":1,"name":"t.child","version":1,"recovery":"forward",
    "services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"x","kind":"retryable","action":{"service":"s","http":"PUT /x"},
     "outcomes":[{"status":409,"is":"failure"}]}]})");
  nodes.define(node, R"({"dsl":1,"name":"t.parent","version":1,"recovery":"forward","steps":[
    {"name":"inner","saga":{"name":"t.child","version":1,"input":{}}}]})");
  nodes.script = [](const engine::Call&) { return answers(409); };
  const auto started = nodes.start(node, "t.parent");
  REQUIRE(started.has_value());
  nodes.world.run_for(Duration{30'000});
  CHECK((*nodes.view(node, started->id))["status"] == "SUSPENDED");
  CHECK(node.store.appended < 20);
  CHECK(node.store.loads < 20);
}

}  // namespace
}  // namespace backstitch::test

// Start keys that an open transaction of another program holds.
#include <algorithm>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "../../../engine/runtime/blocked_keys.hpp"
#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;
using engine::BlockedKeys;

namespace {

bool has_key(const engine::Append& append, const std::string& key) {
  return append.start && std::any_of(append.start->keys.begin(), append.start->keys.end(),
                                     [&](const auto& one) { return one.key == key; });
}

/// Of the last append.
std::size_t lane_of(TestNode& node) {
  REQUIRE(!node.store.lanes.empty());
  return node.store.lanes.back().first;
}

}  // namespace

TEST_CASE(
    "a start whose key is held is pending, and its repetitions have a lane of their own until it "
    "is free") {
  const engine::Lanes lanes{1};
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  node.store.blocks = [](const auto& append) { return has_key(append, "held"); };
  const auto pending = [&] {
    const auto reply = nodes.start(node, "t.three", Json::object(), "held");
    return !reply && reply.error().reason == "start-pending";
  };
  CHECK(pending());
  CHECK(lane_of(node) != lanes.of_blocked_keys());
  for (int i = 0; i < 3; ++i) {
    CHECK(pending());
    CHECK(lane_of(node) == lanes.of_blocked_keys());
  }
  CHECK(node.engine->counters().starts_blocked == 4);
  REQUIRE(nodes.start(node, "t.three", Json::object(), "free"));
  node.store.blocks = nullptr;
  REQUIRE(nodes.start(node, "t.three", Json::object(), "held"));
  REQUIRE(nodes.world.run_until([&] { return node.engine->counters().ended == 2; }));
  const auto repeated = nodes.start(node, "t.three", Json::object(), "held");
  REQUIRE(repeated);
  CHECK_FALSE(repeated->created);
  CHECK(lane_of(node) != lanes.of_blocked_keys());
  // Nothing without a key has been in a lane for keys, and the other way round.
  for (const auto& [lane, keyed] : node.store.lanes) CHECK(keyed == (lane != 0));
}

TEST_CASE("a sub-saga whose business key is held begins soon after the key is free") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, R"({"dsl":1,"name":"t.child","version":1,"businessKey":"held",
    "steps":[{"name":"v","value":1}],"output":"${steps.v.output}"})");
  nodes.define(node, R"({"dsl":1,"name":"t.parent","version":1,
    "steps":[{"name":"c","saga":{"name":"t.child","input":{}}}],"output":"${steps.c.output}"})");
  node.store.blocks = [](const auto& append) { return has_key(append, "held"); };
  const auto started = nodes.start(node, "t.parent");
  REQUIRE(started);
  nodes.world.run_for(Duration{3'000});
  CHECK(status_of(nodes.view(node, started->id)) == "RUNNING");
  CHECK(node.engine->counters().starts_blocked >= 2);
  node.store.blocks = nullptr;
  nodes.world.run_for(Duration{5'000});
  CHECK(status_of(nodes.view(node, started->id)) == "COMPLETED");
}

TEST_CASE("a start by SQL whose computed business key is held waits in the inbox") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, R"({"dsl":1,"name":"t.child","version":1,"businessKey":"held",
    "steps":[{"name":"v","value":1}]})");
  node.store.blocks = [](const auto& append) { return has_key(append, "held"); };
  const SagaId saga = SagaId::make(Database::start, 1, 2, 9);
  nodes.database.store.start_by_sql(saga, "t.child", 1, "{}", std::nullopt);
  nodes.world.run_for(Duration{10'000});
  CHECK(status_of(nodes.view(node, saga)) == "RUNNING");
  CHECK(node.engine->counters().inbox_set_aside == 0);
  node.store.blocks = nullptr;
  nodes.world.run_for(Duration{2'000});
  CHECK(status_of(nodes.view(node, saga)) == "COMPLETED");
}

TEST_CASE("of held keys only so many are remembered, and those that were met last") {
  BlockedKeys keys;
  const auto key = [](std::size_t i) {
    return std::vector<engine::StartKey>{{"key", std::to_string(i)}};
  };
  CHECK_FALSE(keys.contains(key(0)));
  for (std::size_t i = 0; i < BlockedKeys::keys_max; ++i) keys.add(key(i));
  keys.add(key(0));
  keys.add(key(BlockedKeys::keys_max));
  CHECK(keys.contains(key(0)));
  CHECK_FALSE(keys.contains(key(1)));
  CHECK(keys.contains(key(BlockedKeys::keys_max)));
  CHECK(keys.contains({{"business:d", "x"}, {"key", "2"}}));
  keys.remove(key(2));
  keys.remove(key(2));
  CHECK_FALSE(keys.contains(key(2)));
  CHECK(keys.starts() == BlockedKeys::keys_max + 2);
}

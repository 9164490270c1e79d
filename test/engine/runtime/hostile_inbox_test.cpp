// What SQL roles may leave in the inbox hurts no other saga, and a committed start becomes a saga.
#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

constexpr const char* inbox_waits =
    R"({"dsl":1,"name":"t.waits","version":1,"timeout":"30d","steps":[
      {"name":"w","wait":{"signal":"go","timeout":"20d"}}]})";

struct InboxScene {
  InboxScene() : node(nodes.add("a")) { nodes.define(node, inbox_waits); }

  SagaId waiting_saga() {
    const auto started = nodes.start(node, "t.waits");
    REQUIRE(started);
    nodes.world.run_for(Duration{100});
    return started->id;
  }
  /// As a role that may write the table would.
  void put_start(SagaId saga, const std::string& data) {
    nodes.database.store.put_unjudged({0, saga, "start", "", data, {}, "t.waits", 1});
  }
  void put_signal(SagaId saga, const std::string& payload = "1") {
    nodes.database.store.put_unjudged(
        {0, saga, "signal", "",
         R"({"name":"go","payload":)" + payload + R"(,"by":"sql:shop","roles":["*"],"key":null})"});
  }
  /// From now on its log cannot be read.
  void corrupt(SagaId saga) {
    engine::Append append;
    append.saga = saga;
    append.epoch = engine::Epoch(1);
    const auto last = static_cast<std::int64_t>(nodes.log(saga).size());
    append.expected = engine::Sequence(last);
    append.events.push_back({engine::Sequence(last + 1), "Nonsense", "", "{}", Database::start});
    std::optional<engine::AppendOutcome> outcome;
    nodes.database.store.append(0, {append},
                                [&](const auto& results) { outcome = results[0].outcome; });
    REQUIRE(nodes.world.run_until([&] { return outcome.has_value(); }));
    REQUIRE(*outcome == engine::AppendOutcome::written);
  }
  std::vector<std::string> audited() {
    std::vector<std::string> actions;
    for (const auto& [saga, entry] : nodes.database.store.audited())
      actions.push_back(entry.action);
    return actions;
  }

  Nodes nodes;
  TestNode& node;
};

}  // namespace

TEST_CASE("a start whose data cannot be read is a saga that failed, with its size and the reason") {
  std::uint64_t number = 0;
  for (const std::string& data : std::vector<std::string>{
           std::string(R"({"input":{"n":1e400},"stated":null,"businessKey":null,"labels":{}})"),
           std::string("[]"), std::string("{}"), std::string("not JSON"), std::string(1, '\0'),
           std::string(R"({"input":)") + std::string(5'000, '[') + std::string(5'000, ']') + "}",
           std::string(R"({"input":{},"stated":null,"businessKey":7,"labels":{}})"),
           std::string(engine::inbox_bytes_max + 1, 'x')}) {
    CAPTURE(data.substr(0, 60));
    InboxScene scene;
    const SagaId saga = SagaId::make(Database::start, ++number, 2, 9);
    scene.put_start(saga, data);
    scene.nodes.world.run_for(Duration{3'000});
    const auto view = scene.nodes.view(scene.node, saga);
    REQUIRE(view);
    CHECK(view->at("status") == "FAILED");
    CHECK(view->at("input").is_null());
    CHECK(view->at("failure").at("code") == "INPUT_INVALID");
    CHECK(view->at("failure").at("details").at("bytes") == data.size());
    CHECK(view->at("failure").at("details").at("reason") != "");
    CHECK(scene.node.engine->counters().inbox_refused == 1);
  }
}

TEST_CASE(
    "the keys of a start that cannot be read: the business key is free, the caller's is not") {
  InboxScene scene;
  const SagaId saga = SagaId::make(Database::start, 1, 2, 9);
  scene.node.executor.pause(true);
  scene.nodes.database.store.start_by_sql(saga, "t.waits", 1, "{}", "o-77", "k-77");
  scene.nodes.database.store.spoil_start(saga, "not JSON");
  scene.node.executor.pause(false);
  scene.nodes.world.run_for(Duration{3'000});
  CHECK(status_of(scene.nodes.view(scene.node, saga)) == "FAILED");
  const auto start = [&](engine::StartRequest request) {
    request.definition = "t.waits";
    std::optional<Result<engine::StartReply>> reply;
    scene.node.engine->start(0, request, [&](const auto& done) { reply = done; });
    REQUIRE(scene.nodes.world.run_until([&] { return reply.has_value(); }));
    return *reply;
  };
  const auto again = start({.business_key = "o-77"});
  REQUIRE(again);
  CHECK(again->created);
  const auto repeated = start({.idempotency_key = "k-77"});
  REQUIRE_FALSE(repeated);
  CHECK(repeated.error().reason == "idempotency-key-reused");
}

TEST_CASE("a start that the machine trips over is a saga that failed") {
  InboxScene scene;
  const SagaId saga = SagaId::make(Database::start, 1, 2, 9);
  scene.node.store.refuses = [&](const engine::Append& append) {
    return append.start && append.start->input != "null";
  };
  scene.put_start(saga, R"({"input":{"n":1},"stated":null,"businessKey":null,"labels":{}})");
  scene.nodes.world.run_for(Duration{3'000});
  CHECK(status_of(scene.nodes.view(scene.node, saga)) == "FAILED");
}

TEST_CASE("of many signals that are refused the log has a line a second, which counts the others") {
  InboxScene scene;
  const SagaId saga = scene.waiting_saga();
  const auto lines = [&] { return scene.node.observer.of("command-refused"); };
  for (int i = 0; i < 50; ++i) scene.put_signal(saga, "1e400");
  scene.nodes.world.run_for(Duration{3'000});
  CHECK(scene.audited().size() == 50);
  const std::size_t first = lines().size();
  CHECK(first < 10);
  CHECK(lines()[0].fields.at("leftOut") == "0");
  scene.put_signal(saga, "1e400");
  scene.nodes.world.run_for(Duration{3'000});
  REQUIRE(lines().size() == first + 1);
  std::size_t told = lines().size();
  for (const auto& line : lines()) told += std::stoul(line.fields.at("leftOut"));
  CHECK(told == 51);
}

TEST_CASE(
    "a signal that cannot be read is settled with a row in the audit, and the next one goes "
    "through") {
  for (const std::string& payload :
       std::vector<std::string>{"1e400", "[", "{\"a\":1,\"a\":2}", "18446744073709551615"}) {
    CAPTURE(payload);
    InboxScene scene;
    const SagaId saga = scene.waiting_saga();
    scene.put_signal(saga, payload);
    scene.put_signal(saga);
    scene.nodes.world.run_for(Duration{3'000});
    CHECK(scene.audited() == std::vector<std::string>{"signal-refused"});
    CHECK(status_of(scene.nodes.view(scene.node, saga)) == "COMPLETED");
    CHECK(scene.node.engine->counters().inbox_refused == 1);
  }
}

TEST_CASE(
    "commands that fail again and again are set aside, and those of other sagas do not wait for "
    "them") {
  InboxScene scene;
  std::vector<SagaId> poisoned;
  for (int i = 0; i < 20; ++i) poisoned.push_back(scene.waiting_saga());
  const SagaId other = scene.waiting_saga();
  scene.nodes.world.run_for(Duration{20'000});
  REQUIRE(scene.node.engine->counters().resident == 0);
  for (const SagaId& saga : poisoned) scene.corrupt(saga);
  for (int i = 0; i < 100; ++i)
    for (const SagaId& saga : poisoned) scene.put_signal(saga);
  scene.put_signal(other);
  scene.nodes.world.run_for(Duration{3'000});
  CHECK(status_of(scene.nodes.view(scene.node, other)) == "COMPLETED");
  scene.nodes.world.run_for(Duration{10 * 60'000});
  CHECK(scene.node.engine->counters().inbox_set_aside == 2'000);
  CHECK(scene.audited() == std::vector<std::string>(2'000, "signal-set-aside"));
  // Each was tried five times, and then no more.
  const std::size_t loads = scene.node.store.loads;
  scene.nodes.world.run_for(Duration{10 * 60'000});
  CHECK(scene.node.store.loads == loads);
}

TEST_CASE("a hundred signals for one saga are taken at once and in their order") {
  InboxScene scene;
  Json items = Json::array();
  for (int i = 0; i < 100; ++i) items.push_back(i);
  scene.nodes.define(scene.node, R"({"dsl":1,"name":"t.many","version":1,"timeout":"30d","steps":[
      {"name":"all","forEach":{"in":"${)" +
                                     items.dump() + R"(}","as":"i","maxItems":100,"steps":[
         {"name":"w","wait":{"signal":"go","timeout":"20d"}}],"yield":"${steps.w.output.payload}"}}],
      "output":"${steps.all.output}"})");
  const auto started = scene.nodes.start(scene.node, "t.many");
  REQUIRE(started);
  for (int i = 0; i < 100; ++i) scene.put_signal(started->id, std::to_string(i));
  scene.nodes.world.run_for(Duration{1'000});
  const auto view = scene.nodes.view(scene.node, started->id);
  REQUIRE(view);
  CHECK(view->at("output") == items);
}

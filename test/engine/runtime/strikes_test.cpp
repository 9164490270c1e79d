// Something that brings down every node that works on it is found out by strikes, and what is
// beside it gets none.
#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

/// With attempts enough for many nodes to be lost.
const std::string patient = R"({"dsl":1,"name":"t.three","version":1,
  "services":{"s":{"baseUrl":"https://s.example"}},"defaults":{"retry":{"maxAttempts":50,"delay":"1s"}},
  "steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
    {"name":"b","action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b"}}]})";

/// Nodes that die, one after the other, of the first decision on `poison` after a take-over.
struct Cluster {
  Cluster() {
    nodes.script = [this](const engine::Call&) {
      return Reaction{engine::Response{200, {}, {}}, is_slow ? Duration{1h} : Duration{5}};
    };
  }

  TestNode& add() {
    TestNode& node = nodes.add("node-" + std::to_string(nodes.nodes.size()));
    node.store.kills = [this](const engine::Append& append) {
      return append.saga == poison &&
             std::any_of(append.events.begin(), append.events.end(), [](const auto& event) {
               return event.type == "Resumed" || event.type == "StepScheduled";
             });
    };
    node.store.died = [this, &node] {
      ++deaths;
      node.pause(true);
    };
    return node;
  }

  std::vector<SagaId> in_flight(int count, TestNode& node) {
    std::vector<SagaId> sagas;
    for (int i = 0; i < count; ++i) sagas.push_back(nodes.start(node, "t.three")->id);
    nodes.world.run_for(1min);
    return sagas;
  }

  /// Until one lives. @return it
  TestNode& until_one_lives() {
    for (int i = 0; i < 10; ++i) {
      const int before = deaths;
      TestNode& node = add();
      nodes.world.run_for(2min);
      if (deaths == before) return node;
    }
    FAIL("every node dies");
    return *nodes.nodes.back();
  }

  std::int64_t strikes_of(SagaId saga) {
    std::optional<std::int64_t> strikes;
    nodes.database.store.strike(saga, true, [&](const auto& count) { strikes = *count - 1; });
    REQUIRE(nodes.world.run_until([&] { return strikes.has_value(); }));
    nodes.database.store.forgive(saga, [](const auto&) {});
    return *strikes;
  }

  Nodes nodes;
  SagaId poison;
  int deaths = 0;
  bool is_slow = true;
};

}  // namespace

TEST_CASE("a saga that kills every node that takes it over is suspended with the third strike") {
  Cluster cluster;
  TestNode& first = cluster.add();
  cluster.nodes.define(first, patient);
  const std::vector<SagaId> sagas = cluster.in_flight(5, first);
  cluster.poison = sagas[2];
  cluster.is_slow = false;
  first.pause(true);
  TestNode& last = cluster.until_one_lives();
  // The first of them did not know that the shard was suspect.
  CHECK(cluster.deaths == 1 + 2);
  for (const auto& saga : sagas) {
    const auto view = cluster.nodes.await_end(last, saga, 1min);
    CAPTURE(view->dump(2));
    CHECK(status_of(view) == (saga == cluster.poison ? "SUSPENDED" : "COMPLETED"));
    if (saga == cluster.poison) CHECK((*view)["suspension"]["reason"] == "TAKEN_OVER_REPEATEDLY");
    CHECK(cluster.strikes_of(saga) == 0);
  }
  CHECK(last.observer.count("saga-struck-out") == 1);
}

TEST_CASE("a start by SQL that kills every node that takes it up is a suspended saga") {
  Cluster cluster;
  TestNode& first = cluster.add();
  cluster.nodes.define(first, patient);
  cluster.is_slow = false;
  cluster.poison = SagaId::make(cluster.nodes.database.start, 1, 2, 9);
  const SagaId other = SagaId::make(cluster.nodes.database.start, 1, 3, 9);
  first.pause(true);
  cluster.nodes.database.store.start_by_sql(cluster.poison, "t.three", 1, "{}", std::nullopt);
  cluster.nodes.database.store.start_by_sql(other, "t.three", 1, "{}", std::nullopt);
  TestNode& last = cluster.until_one_lives();
  CHECK(cluster.deaths >= 2);
  CHECK(status_of(cluster.nodes.view(last, cluster.poison)) == "SUSPENDED");
  CHECK(status_of(cluster.nodes.view(last, other)) == "COMPLETED");
}

TEST_CASE("sagas of a suspect shard are taken over many at a time") {
  Cluster cluster;
  TestNode& first = cluster.add();
  cluster.nodes.define(first, patient);
  const std::vector<SagaId> sagas = cluster.in_flight(256, first);
  first.pause(true);
  // Each of these nodes is lost before it has proven anything, whatever the reason.
  cluster.add();
  cluster.nodes.world.run_for(11s);
  cluster.nodes.nodes.back()->pause(true);
  cluster.nodes.script = [](const engine::Call&) {
    return Reaction{engine::Response{200, {}, {}}, Duration{1'000}};
  };
  TestNode& last = cluster.add();
  const engine::SteadyTime began = cluster.nodes.world.now();
  for (const auto& saga : sagas)
    CHECK(status_of(cluster.nodes.await_end(last, saga, 10min)) == "COMPLETED");
  // One by one they would take more than four minutes.
  CHECK(cluster.nodes.world.now() - began < 1min);
}

TEST_CASE("a take-over from a node that had proven its shards counts no strikes") {
  Cluster cluster;
  TestNode& first = cluster.add();
  cluster.nodes.define(first, patient);
  const SagaId saga = cluster.nodes.start(first, "t.three")->id;
  cluster.nodes.world.run_for(2min);
  // A strike from long ago would suspend it if another one were counted.
  for (int i = 0; i < 3; ++i) cluster.nodes.database.store.strike(saga, true, [](const auto&) {});
  cluster.is_slow = false;
  first.pause(true);
  TestNode& second = cluster.add();
  CHECK(status_of(cluster.nodes.await_end(second, saga, 1h)) == "COMPLETED");
  CHECK(second.observer.count("saga-struck-out") == 0);
}

TEST_CASE("of a saga in a suspect shard all commands are taken, more than are given at once") {
  Cluster cluster;
  TestNode& first = cluster.add();
  constexpr std::size_t count = engine::inbox_lot_max * 2 + 5;
  cluster.nodes.define(first, R"({"dsl":1,"name":"t.many","version":1,"timeout":"30d","steps":[
      {"name":"all","forEach":{"in":"${)" +
                                  Json(std::vector<int>(count)).dump() +
                                  R"(}","as":"i","maxItems":100,"steps":[
         {"name":"w","wait":{"signal":"go","timeout":"20d"}}]}}]})");
  const SagaId saga = cluster.nodes.start(first, "t.many")->id;
  cluster.nodes.world.run_for(1min);
  first.pause(true);
  cluster.add();
  cluster.nodes.world.run_for(11s);
  cluster.nodes.nodes.back()->pause(true);
  for (std::size_t i = 0; i < count; ++i) {
    cluster.nodes.database.store.put_unjudged(
        {0, saga, "signal", "",
         R"({"name":"go","payload":null,"by":"sql:x","roles":["*"],"key":null})"});
  }
  TestNode& last = cluster.add();
  CHECK(status_of(cluster.nodes.await_end(last, saga, 10min)) == "COMPLETED");
}

// A store that is set back under nodes that work on it.
#include <map>

#include "nodes.hpp"

namespace backstitch::test {
namespace {

TEST_CASE("a node drops what it has in memory when the store went back, and goes on from the log") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.script = [&](const engine::Call& call) {
    Reaction reaction = answers(200);
    if (call.path == "c" && call.attempt == 1) reaction.after = Duration{5'000};
    return reaction;
  };
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started.has_value());
  REQUIRE(nodes.world.run_until([&] { return nodes.calls().ends_with("forward /c"); }));
  const auto before = nodes.log(started->id);
  nodes.database.store.set_back(started->id, engine::Sequence{2});
  REQUIRE(nodes.log(started->id).size() == 2);
  CHECK(nodes.world.run_until([&] { return node.engine->counters().ended == 1; }));
  CHECK(status_of(nodes.view(node, started->id)) == "COMPLETED");
  // The lost steps are called again, under the same keys.
  CHECK(nodes.calls().starts_with(
      "forward /a | forward /b | forward /c | forward /a | forward /b | forward /c"));
  for (std::size_t i = 0; i < 3; ++i) CHECK(nodes.sent[i].request == nodes.sent[i + 3].request);
  CHECK(count(nodes.log(started->id), "SagaEnded") == 1);
  CHECK(node.observer.count("lineage-entered") == 1);
  CHECK(node.supervisor.told.empty());
}

TEST_CASE("an append that was decided under another lineage is fenced, however late it comes") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.script = [&](const engine::Call& call) {
    node.store.holding = call.path == "b" && node.store.appended < 3;
    return answers(200);
  };
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started.has_value());
  REQUIRE(nodes.world.run_until([&] { return node.store.holding && node.store.appended == 3; }));
  nodes.database.store.set_back(started->id, engine::Sequence{2});
  nodes.world.run_for(Duration{1'000});
  node.store.release();
  CHECK(nodes.world.run_until([&] { return node.engine->counters().ended == 1; }));
  CHECK(status_of(nodes.view(node, started->id)) == "COMPLETED");
  CHECK(count(nodes.log(started->id), "SagaEnded") == 1);
  CHECK(node.observer.count("append-not-written") >= 1);
}

TEST_CASE("a definition that the store has lost can be registered anew, with other content") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.database.store.forget_definition("t.three");
  nodes.world.run_for(Duration{1'000});
  const auto refused = nodes.start(node, "t.three");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().reason == "definition-not-found");
  nodes.define(node, three_steps());
  CHECK(nodes.start(node, "t.three").has_value());
}

/// Passes everything on, and can hold readers back.
class SlowCatalog final : public engine::Catalog {
 public:
  explicit SlowCatalog(engine::Catalog& catalog) : catalog_(catalog) {}
  void changes(std::int64_t revision,
               std::function<void(Result<engine::CatalogContent>)> done) override {
    auto read = [this, revision, done = std::move(done)] { catalog_.changes(revision, done); };
    if (!is_holding) return read();
    held_.push_back(std::move(read));
  }
  void secret(std::function<void(Result<std::string>)> done) override {
    catalog_.secret(std::move(done));
  }
  void put_definition(engine::StoredDefinition definition, bool activate,
                      std::function<void(Result<engine::PutOutcome>)> done) override {
    catalog_.put_definition(std::move(definition), activate, std::move(done));
  }
  void activate(std::string name, std::int64_t version,
                std::function<void(Result<Done>)> done) override {
    catalog_.activate(std::move(name), version, std::move(done));
  }
  void put_service(engine::StoredService service,
                   std::function<void(Result<engine::PutOutcome>)> done) override {
    catalog_.put_service(std::move(service), std::move(done));
  }
  bool is_awaited() const { return !held_.empty(); }
  void release() {
    is_holding = false;
    for (auto& read : std::exchange(held_, {})) read();
  }

  bool is_holding = false;

 private:
  engine::Catalog& catalog_;
  std::vector<std::function<void()>> held_;
};

TEST_CASE("no hint makes a node take shards under another lineage before it has the catalogue") {
  Nodes nodes;
  SlowCatalog catalog(nodes.database.store);
  nodes.database.catalog = &catalog;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.script = [](const engine::Call& call) {
    Reaction reaction = answers(200);
    if (call.attempt == 1) reaction.after = Duration{20'000};
    return reaction;
  };
  const auto started = nodes.start(node, "t.three");
  catalog.is_holding = true;
  nodes.database.store.set_back(started->id, engine::Sequence{2});
  REQUIRE(nodes.world.run_until([&] { return catalog.is_awaited(); }));
  const std::size_t loads = node.store.loads;
  // Others have given shards up.
  nodes.database.store.give_up({"b", "7"}, {}, [](const auto&) {});
  nodes.world.run_for(Duration{5'000});
  CHECK(node.store.loads == loads);
  CHECK(nodes.sent.size() == 1);
  catalog.release();
  CHECK(nodes.world.run_until([&] { return node.engine->counters().ended == 1; }));
  CHECK(node.observer.count("lineage-entered") == 1);
}

TEST_CASE("all nodes begin anew under the lineage, and the shards are shared as before") {
  Nodes nodes;
  TestNode& one = nodes.add("a");
  TestNode& two = nodes.add("b");
  nodes.define(one, three_steps());
  const auto started = nodes.start(one, "t.three");
  REQUIRE(nodes.world.run_until([&] {
    return one.engine->counters().ended + two.engine->counters().ended == 1 &&
           two.engine->counters().shards_held == 128;
  }));
  nodes.database.store.set_back(started->id, engine::Sequence{0});
  nodes.world.run_for(Duration{5'000});
  for (TestNode* node : {&one, &two}) {
    CHECK(node->observer.count("lineage-entered") == 1);
    CHECK(node->engine->counters().shards_held == 128);
    CHECK(node->engine->not_ready_reason().empty());
  }
  CHECK(nodes.view(one, started->id).error().reason == "saga-not-found");
  CHECK(nodes.start(two, "t.three").has_value());
}

/// A saga is started, the store goes back to `last` once it has taken so many appends, and the
/// caller repeats its start if it must. @return how the saga ends
std::string end_after_loss(std::size_t appends, std::int64_t last) {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.script = [](const engine::Call&) { return answers(200); };
  const std::size_t before = node.store.appended;
  auto started = nodes.start(node, "t.three", Json::object(), "key");
  REQUIRE(started.has_value());
  REQUIRE(nodes.world.run_until([&] { return node.store.appended >= before + appends; }));
  nodes.database.store.set_back(started->id, engine::Sequence{last});
  REQUIRE(nodes.world.run_until([&] { return node.observer.count("lineage-entered") == 1; }));
  nodes.world.run_for(Duration{1'000});
  if (last == 0) started = nodes.start(node, "t.three", Json::object(), "key");
  REQUIRE(started.has_value());
  nodes.world.run_for(Duration{60'000});

  std::map<std::string, engine::RenderedRequest> by_key;
  for (const auto& call : nodes.sent) {
    const auto [known, is_new] = by_key.emplace(call.request.key, call.request);
    CHECK((is_new || known->second == call.request));
  }
  CHECK(by_key.size() == 3);
  return status_of(nodes.view(node, started->id));
}

TEST_CASE("whatever the store loses of a saga, participants are sent one request a key") {
  // The appends: the start, and the end of each step with the beginning of the next.
  for (std::size_t appends = 1; appends <= 4; ++appends) {
    for (std::int64_t last = 0; last < static_cast<std::int64_t>(2 * appends); ++last) {
      CAPTURE(appends);
      CAPTURE(last);
      CHECK(end_after_loss(appends, last) == "COMPLETED");
    }
  }
}

TEST_CASE("a call that is repeated because the store has lost it has the same callback") {
  Nodes nodes;
  engine::Options options;
  options.callback_base = "https://saga.example";
  TestNode& node = nodes.add("a", options);
  nodes.define(
      node,
      R"({"dsl":1,"name":"t.later","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a","body":{"notify":"${self.callbackUrl}"}},
     "completion":{"callback":true,"timeout":"10m"},"compensation":{"http":"DELETE /a"}}]})");
  nodes.script = [](const engine::Call&) { return answers(202); };
  const auto started = nodes.start(node, "t.later");
  REQUIRE(started.has_value());
  REQUIRE(nodes.world.run_until([&] { return nodes.sent.size() == 1; }));
  nodes.database.store.set_back(started->id, engine::Sequence{1});
  REQUIRE(nodes.world.run_until([&] { return nodes.sent.size() == 2; }));
  CHECK(nodes.sent[0].request.callback.find("https://saga.example") == 0);
  CHECK(nodes.sent[0].request == nodes.sent[1].request);
}

TEST_CASE("a process whose name was taken ends, also if the store went back meanwhile") {
  Nodes nodes;
  TestNode& earlier = nodes.add("a");
  earlier.pause(true);
  TestNode& later = nodes.add("a");
  REQUIRE(later.engine->counters().shards_held == 256);
  nodes.database.store.set_sessions([](const std::string&) { return true; });
  nodes.database.store.set_back(SagaId{}, engine::Sequence{0});
  earlier.pause(false);
  CHECK(nodes.world.run_until([&] { return !earlier.supervisor.told.empty(); }));
  CHECK(earlier.supervisor.told.front().starts_with("node-superseded: "));
  nodes.world.run_for(Duration{10'000});
  CHECK(later.supervisor.told.empty());
  CHECK(later.engine->counters().shards_held == 256);
}

TEST_CASE("sagas that slept while the store was set back are told when they wake") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(
      node,
      R"({"dsl":1,"name":"t.sleeps","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"w","sleep":{"for":"30m"}},
    {"name":"b","action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b"}}]})");
  nodes.script = [](const engine::Call& call) { return answers(call.attempt < 3 ? 422 : 200); };
  const auto asleep = nodes.start(node, "t.sleeps");
  REQUIRE(asleep.has_value());
  REQUIRE(nodes.world.run_until([&] { return node.engine->counters().resident == 0; }));
  nodes.database.store.set_back(SagaId{}, engine::Sequence{0});
  nodes.world.run_for(Duration{5'000});
  const auto later = nodes.start(node, "t.sleeps");
  REQUIRE(later.has_value());
  CHECK(nodes.world.run_until([&] { return node.engine->counters().ended == 2; },
                              std::chrono::hours(3)));
  // The refusal may be of a call that was lost; for the other saga nothing can have been lost.
  CHECK(status_of(nodes.view(node, asleep->id)) == "COMPLETED");
  CHECK(status_of(nodes.view(node, later->id)) == "FAILED");
}

TEST_CASE("a command that waits for another node is not promised when the store was set back") {
  Nodes nodes;
  TestNode& one = nodes.add("a");
  TestNode& two = nodes.add("b");
  const auto held = [](TestNode& node) { return node.engine->counters().shards_held; };
  REQUIRE(nodes.world.run_until([&] { return held(one) == 128 && held(two) == 128; }));
  nodes.define(one, three_steps());
  nodes.script = [](const engine::Call&) { return answers(503); };
  const auto started = nodes.start(one, "t.three");
  REQUIRE(started.has_value());
  one.pause(true);
  std::optional<Result<Done>> reply;
  two.engine->command(started->id, engine::Cancel{"somebody", "no"},
                      [&](const auto& done) { reply = done; });
  nodes.world.run_for(Duration{100});
  REQUIRE_FALSE(reply.has_value());
  nodes.database.store.set_back(SagaId{}, engine::Sequence{0});
  // Sooner than what is stored is given up.
  nodes.world.run_for(Duration{5'000});
  REQUIRE(reply.has_value());
  CHECK(reply->error().reason == "outcome-unknown");
}

TEST_CASE("a suspended saga is told that the store was set back before somebody acts on it") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.script = [](const engine::Call& call) {
    const bool is_refused = call.path == "b" && call.phase == engine::Phase::forward;
    return answers(!is_refused ? 200 : call.attempt == 1 ? 429 : 422);
  };
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started.has_value());
  REQUIRE(nodes.world.run_until([&] { return nodes.calls().ends_with("forward /b"); }));
  REQUIRE(
      nodes.world.run_until([&] { return count(nodes.log(started->id), "AttemptFailed") == 1; }));
  REQUIRE(nodes.command(node, started->id, engine::Suspend{"", "operator", "wait"}));
  REQUIRE(status_of(nodes.view(node, started->id)) == "SUSPENDED");
  nodes.database.store.set_back(SagaId{}, engine::Sequence{0});
  nodes.world.run_for(Duration{5'000});
  REQUIRE(nodes.command(node, started->id, engine::Retry{"operator", "go on"}));
  nodes.world.run_for(Duration{600'000});
  // Somebody may have retried it before, and the 422 be of the same key with another request.
  CHECK(nodes.calls().find("compensate /b") != std::string::npos);
  CHECK(count(nodes.log(started->id), "Resumed") == 1);
  CHECK(status_of(nodes.view(node, started->id)) == "FAILED");
}

TEST_CASE("a sub-saga that begins after the store was set back may have begun before") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.define(node, R"({"dsl":1,"name":"t.parent","version":1,"steps":[
    {"name":"w","wait":{"signal":"go","timeout":"1h"}},
    {"name":"c","saga":{"name":"t.three","input":{}}}]})");
  const auto parent = nodes.start(node, "t.parent");
  REQUIRE(parent.has_value());
  nodes.world.run_for(Duration{100});
  nodes.database.store.set_back(SagaId{}, engine::Sequence{0});
  nodes.world.run_for(Duration{5'000});
  nodes.script = [](const engine::Call& call) {
    return answers(call.path == "a" && call.phase == engine::Phase::forward ? 409 : 200);
  };
  REQUIRE(nodes.command(node, parent->id, engine::Signal{"go", nullptr, "somebody", {"*"}}));
  nodes.world.run_for(Duration{600'000});
  // A refusal that may be of a call that was lost is not believed, so what it did is undone.
  CHECK(nodes.calls().find("compensate /a") != std::string::npos);
  CHECK(status_of(nodes.view(node, parent->id)) == "FAILED");
}

TEST_CASE("a start by SQL that waited while the store was set back may have been taken up before") {
  for (const bool waited : {false, true}) {
    CAPTURE(waited);
    Nodes nodes;
    TestNode& node = nodes.add("a");
    nodes.define(node, three_steps());
    nodes.script = [](const engine::Call& call) {
      return answers(call.path == "a" && call.phase == engine::Phase::forward ? 409 : 200);
    };
    const SagaId saga = SagaId::make(Database::start, 1, 2, 9);
    const auto put = [&] { nodes.database.store.start_by_sql(saga, "t.three", 1, "{}", "o-17"); };
    node.executor.pause(true);
    if (waited) put();
    nodes.world.run_for(Duration{10});
    nodes.database.store.set_back(SagaId{}, engine::Sequence{0});
    node.executor.pause(false);
    nodes.world.run_for(Duration{10'000});
    if (!waited) put();
    nodes.world.run_for(Duration{600'000});
    CHECK(status_of(nodes.view(node, saga)) == "FAILED");
    CHECK((nodes.calls().find("compensate /a") != std::string::npos) == waited);
  }
}

TEST_CASE("under a hold no node has shards, and all go on when it is over") {
  Nodes nodes;
  TestNode& one = nodes.add("a");
  nodes.define(one, three_steps());
  nodes.script = [&](const engine::Call& call) {
    Reaction reaction = answers(200);
    if (call.path == "b" && call.attempt == 1) reaction.after = Duration{2'000};
    return reaction;
  };
  const auto started = nodes.start(one, "t.three");
  REQUIRE(started.has_value());
  nodes.database.store.set_hold(true);
  REQUIRE(nodes.world.run_until([&] { return one.engine->counters().shards_held == 0; }));
  CHECK(one.engine->not_ready_reason().find("on hold") != std::string::npos);
  // A node that comes meanwhile is up, and waits.
  TestNode& two = nodes.add("b");
  CHECK(two.engine->not_ready_reason().find("on hold") != std::string::npos);
  const auto refused = nodes.start(one, "t.three");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().reason == "database-on-hold");
  CHECK(refused.error().message.find("`hold` in backstitch.lineage") != std::string::npos);
  const auto pending = nodes.command(one, started->id, engine::Cancel{});
  REQUIRE_FALSE(pending.has_value());
  CHECK(pending.error().reason == "command-pending");
  CHECK(pending.error().message.find("on hold") != std::string::npos);
  const auto sent = nodes.sent.size();
  nodes.world.run_for(Duration{60'000});
  CHECK(nodes.sent.size() == sent);
  nodes.database.store.set_hold(false);
  CHECK(nodes.world.run_until(
      [&] { return one.engine->counters().ended + two.engine->counters().ended == 1; }));
  nodes.world.run_for(Duration{10'000});
  CHECK(one.engine->not_ready_reason().empty());
  CHECK(one.observer.count("hold-begun") == 1);
  CHECK(one.observer.count("hold-ended") == 1);
}

TEST_CASE("a read-only node answers readers, and nothing else") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  const auto started = nodes.start(node, "t.three");
  REQUIRE(nodes.world.run_until([&] { return node.engine->counters().ended == 1; }));
  engine::Options options;
  options.read_only = true;
  TestNode& reader = nodes.add("b", options);
  CHECK(reader.engine->not_ready_reason().empty());
  CHECK(status_of(nodes.view(reader, started->id)) == "COMPLETED");
  CHECK(nodes.start(reader, "t.three").error().reason == "node-read-only");
  CHECK(nodes.command(reader, started->id, engine::Cancel{}).error().reason == "node-read-only");
  std::optional<Result<engine::Registration>> stored;
  reader.engine->registry().register_definition(three_steps(), true,
                                                [&](const auto& done) { stored = done; });
  REQUIRE(nodes.world.run_until([&] { return stored.has_value(); }));
  CHECK(stored->error().reason == "node-read-only");
  nodes.world.run_for(Duration{10'000});
  CHECK(reader.engine->counters().shards_held == 0);
  CHECK(node.engine->counters().shards_held == 256);
}

}  // namespace
}  // namespace backstitch::test

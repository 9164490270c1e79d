#pragma once
/// Nodes of the production runtime on one memory store, in the virtual world.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/engine/runtime/engine.hpp>
#include <backstitch/memory/store.hpp>

#include "../../support/virtual_world.hpp"

namespace backstitch::test {

/// Passes everything on, and can hold appends back: the time between a decision and its commit.
class SlowStore : public engine::Store {
 public:
  explicit SlowStore(engine::Store& store) : store_(store) {}
  void append(std::size_t lane, std::vector<engine::Append> batch,
              std::function<void(std::vector<engine::AppendResult>)> done) override {
    appended += batch.size();
    if (refuses) return append_but_refused(lane, std::move(batch), std::move(done));
    if (!holding) return store_.append(lane, std::move(batch), std::move(done));
    held_.push_back([this, lane, batch = std::move(batch), done = std::move(done)]() mutable {
      store_.append(lane, std::move(batch), std::move(done));
    });
  }
  void load(std::vector<SagaId> sagas,
            std::function<void(Result<std::vector<engine::StoredSaga>>)> done) override {
    ++loads;
    store_.load(std::move(sagas), std::move(done));
  }
  void due(engine::DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) override {
    store_.due(std::move(query), std::move(done));
  }
  void remove_expired(std::vector<Shard> shards, std::size_t limit,
                      std::function<void(Result<std::size_t>)> done) override {
    store_.remove_expired(std::move(shards), limit, std::move(done));
  }
  bool reachable() const override { return is_reachable; }

  void release() {
    holding = false;
    for (auto& append : std::exchange(held_, {})) append();
  }

  /// Of whose content the store is made to say that it cannot hold it.
  std::function<bool(const engine::Append&)> refuses;
  std::size_t refused = 0;
  bool holding = false;
  bool is_reachable = true;
  std::size_t appended = 0;
  std::size_t loads = 0;

 private:
  void append_but_refused(std::size_t lane, std::vector<engine::Append> batch,
                          std::function<void(std::vector<engine::AppendResult>)> done) {
    std::vector<bool> is_refused;
    std::vector<engine::Append> good;
    for (auto& item : batch) {
      is_refused.push_back(refuses(item));
      refused += is_refused.back() ? 1 : 0;
      if (!is_refused.back()) good.push_back(std::move(item));
    }
    store_.append(
        lane, std::move(good),
        [is_refused, done = std::move(done)](std::vector<engine::AppendResult> results) {
          std::vector<engine::AppendResult> all;
          auto next = results.begin();
          for (const bool one : is_refused)
            all.push_back(one ? engine::AppendResult{engine::AppendOutcome::refused} : *next++);
          done(std::move(all));
        });
  }

  engine::Store& store_;
  std::vector<std::function<void()>> held_;
};

struct Database {
  explicit Database(VirtualWorld& world) : executor(world), store(executor, start) {}
  static constexpr TimePoint start{Duration{1'767'225'600'000}};
  VirtualExecutor executor;
  memory::MemoryStore store;
};

/// One process. `sent` is shared, so that it shows what the participants saw from all nodes.
class TestNode {
 public:
  TestNode(VirtualWorld& world, Database& database, std::string name,
           std::vector<engine::Call>& sent, ScriptedParticipants::Script& script,
           engine::Options options = {})
      : executor(world),
        store(database.store),
        participants_(executor, sent, script),
        random_(std::hash<std::string>{}(name)) {
    options.node = std::move(name);
    engine.emplace(engine::Ports{.reactors = {{&executor, &participants_}},
                                 .store = &store,
                                 .leases = &database.store,
                                 .inbox = &database.store,
                                 .reader = &database.store,
                                 .catalog = &database.store,
                                 .random = &random_,
                                 .observer = &observer},
                   options);
  }

  VirtualExecutor executor;
  SlowStore store;
  RecordingObserver observer;

 private:
  ScriptedParticipants participants_;
  SeededRandom random_;

 public:
  std::optional<engine::Engine> engine;
};

/// A world with a database and any number of nodes.
class Nodes {
 public:
  Nodes() : database(world) {}
  ~Nodes() {
    // As after a crash: what is still queued is gone.
    for (auto& node : nodes) node->executor.pause(true);
  }

  TestNode& add(const std::string& name, engine::Options options = {}) {
    nodes.push_back(
        std::make_unique<TestNode>(world, database, name, sent, script, std::move(options)));
    TestNode& node = *nodes.back();
    // A node that finds every shard taken opens when one is free, long after this call.
    auto opened = std::make_shared<std::optional<Result<Done>>>();
    node.engine->open([opened](const Result<Done>& done) { *opened = done; });
    if (world.run_until([&] { return opened->has_value(); }, Duration{2'000})) REQUIRE(**opened);
    return node;
  }

  void define(TestNode& node, const std::string& definition) {
    std::optional<Result<engine::Registration>> stored;
    node.engine->registry().register_definition(definition, true,
                                                [&](const auto& done) { stored = done; });
    REQUIRE(world.run_until([&] { return stored.has_value(); }));
    REQUIRE(*stored);
    for (const auto& finding : (*stored)->findings)
      MESSAGE(finding.code << " " << finding.pointer << " " << finding.message);
    REQUIRE((*stored)->version == 1);
  }

  Result<engine::StartReply> start(TestNode& node, const std::string& definition,
                                   Json input = Json::object(), std::string key = {}) {
    engine::StartRequest request;
    request.definition = definition;
    request.input = std::move(input);
    if (!key.empty()) request.idempotency_key = std::move(key);
    std::optional<Result<engine::StartReply>> reply;
    node.engine->start(0, std::move(request), [&](const auto& done) { reply = done; });
    REQUIRE(world.run_until([&] { return reply.has_value(); }));
    return *reply;
  }

  Result<Done> command(TestNode& node, SagaId saga, engine::Command command) {
    std::optional<Result<Done>> reply;
    node.engine->command(saga, std::move(command), [&](const auto& done) { reply = done; });
    REQUIRE(world.run_until([&] { return reply.has_value(); }));
    return *reply;
  }

  Result<Json> view(TestNode& node, SagaId saga) {
    std::optional<Result<Json>> reply;
    node.engine->view(saga, [&](const auto& done) { reply = done; });
    REQUIRE(world.run_until([&] { return reply.has_value(); }));
    return *reply;
  }

  Result<Json> await_end(TestNode& node, SagaId saga, Duration wait) {
    std::optional<Result<Json>> reply;
    node.engine->await_end(saga, wait, [&](const auto& done) { reply = done; });
    REQUIRE(world.run_until([&] { return reply.has_value(); }, wait + Duration{60'000}));
    return *reply;
  }

  /// The types of a saga's stored events.
  std::vector<std::string> log(SagaId saga) {
    std::vector<std::string> types;
    bool answered = false;
    database.store.history(saga, engine::Sequence{0}, 10'000, [&](const auto& events) {
      for (const auto& event : *events) types.push_back(event.type);
      answered = true;
    });
    REQUIRE(world.run_until([&] { return answered; }));
    return types;
  }

  /// What the participants saw: phase and target, in order.
  std::string calls() const {
    std::string text;
    for (const auto& call : sent) {
      text += (text.empty() ? "" : " | ") + std::string(engine::to_text(call.phase)) + " " +
              call.request.target;
    }
    return text;
  }

  VirtualWorld world;
  Database database;
  std::vector<engine::Call> sent;
  ScriptedParticipants::Script script = [](const engine::Call&) { return answers(200); };
  std::vector<std::unique_ptr<TestNode>> nodes;
};

/// Of a saga as a reader sees it.
inline std::string status_of(const Result<Json>& view) {
  REQUIRE(view.has_value());
  return (*view)["status"].get<std::string>();
}

/// Three steps that can be undone.
inline std::string three_steps() {
  return R"({"dsl":1,"name":"t.three","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
    {"name":"b","action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b"}},
    {"name":"c","action":{"service":"s","http":"PUT /c"},"compensation":{"http":"DELETE /c"}}]})";
}

}  // namespace backstitch::test

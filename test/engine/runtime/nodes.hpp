#pragma once
/// Nodes of the production runtime on one memory store, in the virtual world.
#include <algorithm>
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
    if (kills && std::any_of(batch.begin(), batch.end(), kills)) return died();
    for (const auto& item : batch)
      lanes.emplace_back(lane, item.start && !item.start->keys.empty());
    if (refuses || blocks || fails)
      return append_but_refused(lane, std::move(batch), std::move(done));
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
  void remove_expired(std::vector<Shard> shards, std::size_t limit, Duration key_retention,
                      std::function<void(Result<std::size_t>)> done) override {
    if (fails_to_remove) return done(Error{ErrorCode::unavailable, "store-failed", "No."});
    store_.remove_expired(std::move(shards), limit, key_retention, std::move(done));
  }
  bool reachable() const override { return is_reachable; }

  void release() {
    holding = false;
    for (auto& append : std::exchange(held_, {})) append();
  }

  /// A decision that comes to such an append kills the node before anything of it is stored.
  std::function<bool(const engine::Append&)> kills;
  std::function<void()> died;
  /// Of whose content the store is made to say that it cannot hold it.
  std::function<bool(const engine::Append&)> refuses;
  /// At which the store is made to fail, for whatever reason.
  std::function<bool(const engine::Append&)> fails;
  bool fails_by_content = false;
  std::size_t failed = 0;
  /// Of which keys the store is made to say that an open transaction holds them.
  std::function<bool(const engine::Append&)> blocks;
  std::vector<std::pair<std::size_t, bool>> lanes;  ///< of each append, and whether it has keys
  std::size_t refused = 0;
  bool holding = false;
  bool is_reachable = true;
  bool fails_to_remove = false;
  std::size_t appended = 0;
  std::size_t loads = 0;

 private:
  void append_but_refused(std::size_t lane, std::vector<engine::Append> batch,
                          std::function<void(std::vector<engine::AppendResult>)> done) {
    using engine::AppendOutcome;
    std::vector<std::optional<engine::AppendResult>> made_up;
    std::vector<engine::Append> good;
    const auto make_up = [&](AppendOutcome outcome) {
      made_up.back() = engine::AppendResult{.outcome = outcome};
    };
    for (auto& item : batch) {
      made_up.emplace_back();
      if (refuses && refuses(item)) make_up(AppendOutcome::refused);
      if (blocks && blocks(item)) make_up(AppendOutcome::blocked);
      refused += made_up.back() && made_up.back()->outcome == AppendOutcome::refused ? 1 : 0;
      if (!made_up.back() && fails && fails(item)) {
        make_up(AppendOutcome::failed);
        made_up.back()->by_content = fails_by_content;
        made_up.back()->unwritten = std::make_shared<engine::Append>(std::move(item));
        ++failed;
      } else if (!made_up.back()) {
        good.push_back(std::move(item));
      }
    }
    store_.append(lane, std::move(good),
                  [made_up, done = std::move(done)](std::vector<engine::AppendResult> results) {
                    std::vector<engine::AppendResult> all;
                    auto next = results.begin();
                    for (const auto& one : made_up) all.push_back(one ? *one : *next++);
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
  engine::Catalog* catalog = &store;  ///< of the nodes that are added from now on
  int processes = 0;
};

/// Keeps what it was told, and ends nothing.
class RecordingSupervisor : public engine::Supervisor {
 public:
  void end_process(engine::EndCause, std::string_view event, std::string_view what) override {
    told.push_back(std::string(event) + ": " + std::string(what));
  }
  std::vector<std::string> told;
};

/// One process. `sent` is shared, so that it shows what the participants saw from all nodes.
class TestNode {
 public:
  TestNode(VirtualWorld& world, Database& database, std::string name,
           std::vector<engine::Call>& sent, ScriptedParticipants::Script& script,
           engine::Options options = {})
      : executor(world),
        upkeep(world),
        store(database.store),
        participants_(executor, sent, script),
        random_(std::hash<std::string>{}(name)) {
    options.node = std::move(name);
    options.incarnation = std::to_string(++database.processes);
    engine.emplace(engine::Ports{.reactors = {{&executor, &participants_}},
                                 .store = &store,
                                 .leases = &database.store,
                                 .inbox = &database.store,
                                 .reader = &database.store,
                                 .catalog = database.catalog,
                                 .random = &random_,
                                 .observer = &observer,
                                 .upkeep = &upkeep,
                                 .supervisor = &supervisor},
                   options);
  }
  /// The whole process, like SIGSTOP.
  void pause(bool paused) {
    executor.pause(paused);
    upkeep.pause(paused);
  }

  VirtualExecutor executor;
  VirtualExecutor upkeep;
  RecordingSupervisor supervisor;
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
    for (auto& node : nodes) node->pause(true);
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
    for (const auto& finding : (*stored)->findings) {
      if (finding.severity == dsl::Severity::error)
        MESSAGE(finding.code << " " << finding.pointer << " " << finding.message);
    }
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
    database.store.history(saga, engine::Sequence{0}, 10'000, [&](const auto& page) {
      for (const auto& event : page->events) types.push_back(event.type);
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
/// Of the types that Nodes::log gives.
inline std::size_t count(const std::vector<std::string>& log, const std::string& type) {
  return static_cast<std::size_t>(std::count(log.begin(), log.end(), type));
}

inline std::string three_steps() {
  return R"({"dsl":1,"name":"t.three","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
    {"name":"b","action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b"}},
    {"name":"c","action":{"service":"s","http":"PUT /c"},"compensation":{"http":"DELETE /c"}}]})";
}

}  // namespace backstitch::test

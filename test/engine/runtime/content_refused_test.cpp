// The store cannot hold what a decision came to: the saga does not stay where nothing can move it,
// and whoever sent a command is told.
#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "../../support/dice.hpp"
#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

constexpr const char* poison = "POISON";

const std::string every_way = R"({"dsl":1,"name":"t.every","version":1,"timeout":"1d",
  "services":{"s":{"baseUrl":"https://s.example"}},
  "defaults":{"retry":{"maxAttempts":3,"delay":"1s"}},
  "steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"output":"${response.body ?? null}",
     "compensation":{"http":"DELETE /a","retry":{"maxAttempts":3,"delay":"1s"}}},
    {"name":"q","action":{"service":"s","http":"PUT /q"},"output":"${response.body ?? null}",
     "completion":{"callback":true,"timeout":"30m","poll":{"http":"GET /q","every":"1m"}},
     "compensation":{"http":"DELETE /q"}},
    {"name":"w","wait":{"signal":"go","timeout":"1h"}},
    {"name":"p","action":{"service":"s","http":"PUT /p"},"kind":"pivot",
     "probe":{"http":"GET /p","sealed":true,"outcomes":[
       {"status":409,"when":"${response.body == 'fine'}","is":"failure","code":"NOT_SEEN"}]},
     "output":"${response.body ?? null}","retry":{"maxAttempts":2,"delay":"1s"}},
    {"name":"r","action":{"service":"s","http":"PUT /r"},"kind":"retryable","output":"${response.body ?? null}"}]})";

bool is_poisoned(const engine::Append& append) {
  const bool poisoned = append.start && append.start->input.find(poison) != std::string::npos;
  return poisoned || std::any_of(append.events.begin(), append.events.end(), [](const auto& event) {
           return event.data.find(poison) != std::string::npos;
         });
}

struct Scene {
  explicit Scene(std::uint64_t seed) : dice(seed), node(nodes.add("a")) {
    nodes.define(node, every_way);
    node.store.refuses = is_poisoned;
    nodes.script = [this](const engine::Call& call) { return answer(call); };
  }

  Json body() { return poisons && dice.chance(20) ? Json(poison) : Json("fine"); }

  Reaction answer(const engine::Call& call) {
    int status = 200;
    if (call.phase == engine::Phase::forward && call.path == "q" && dice.chance(80)) status = 202;
    if (call.phase == engine::Phase::poll && dice.chance(60)) status = 202;
    if (poisons && dice.chance(15)) status = dice.pick({409, 422, 500, 503});
    return answers(status, body());
  }

  /// @return what came of it
  std::string send(engine::Command command) {
    const auto done = nodes.command(node, saga, std::move(command));
    return done ? "done" : done.error().reason;
  }

  std::string status() { return status_of(nodes.view(node, saga)); }

  void run_for(std::chrono::minutes time) {
    nodes.world.run_for(std::chrono::duration_cast<Duration>(time));
  }

  void signal() {
    const Json payload = body();
    const std::string came = send(engine::Signal{"go", payload, "somebody", {"*"}});
    if (payload == poison) CHECK(came != "done");
  }

  /// Of a suspended saga all that an operator does is retry.
  void retry() {
    if (status() == "SUSPENDED") send(engine::Retry{"operator", ""});
  }

  Dice dice;
  Nodes nodes;
  TestNode& node;
  SagaId saga;
  bool poisons = true;
};

bool has_ended(const std::string& status) {
  return status == "COMPLETED" || status == "FAILED" || status == "FAILED_INCOMPLETE";
}

}  // namespace

TEST_CASE("whatever the store refuses, a saga ends or waits for a person, and can go on") {
  std::size_t suspended = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Scene scene(seed);
    const auto started = scene.nodes.start(scene.node, "t.every");
    REQUIRE(started);
    scene.saga = started->id;
    for (int i = 0; i < 6; ++i) {
      scene.run_for(std::chrono::minutes(scene.dice.between(1, 20)));
      if (scene.dice.chance(60)) scene.signal();
      if (scene.dice.chance(50)) scene.retry();
    }
    scene.run_for(std::chrono::hours(3));
    const std::string status = scene.status();
    CHECK_MESSAGE((has_ended(status) || status == "SUSPENDED"), status);
    // No loop: a try a suspension, and two of a retried one.
    CHECK(scene.node.store.refused <= 40);
    const auto log = scene.nodes.log(scene.saga);
    suspended += std::count(log.begin(), log.end(), "SagaSuspended") > 0 ? 1 : 0;
    scene.poisons = false;
    for (int i = 0; i < 8 && !has_ended(scene.status()); ++i) {
      scene.retry();
      scene.run_for(std::chrono::minutes(10));
      scene.signal();
      scene.run_for(std::chrono::hours(2));
    }
    CHECK(has_ended(scene.status()));
  }
  CHECK(suspended > 20);
}

TEST_CASE("an answer that cannot be stored counts as unknown, and suspends the saga at its step") {
  Scene scene(1);
  scene.poisons = false;
  scene.nodes.script = [](const engine::Call& call) {
    return answers(200, call.path == "a" && call.attempt == 1 ? Json(poison) : Json("fine"));
  };
  scene.saga = scene.nodes.start(scene.node, "t.every")->id;
  scene.run_for(std::chrono::minutes(1));
  const auto view = scene.nodes.view(scene.node, scene.saga);
  REQUIRE(view);
  CHECK(view->at("status") == "SUSPENDED");
  CHECK(view->at("suspension").at("reason") == "CONTENT_REFUSED");
  CHECK(view->at("suspension").at("step") == "a");
  CHECK(scene.nodes.log(scene.saga) ==
        std::vector<std::string>{"SagaStarted", "StepScheduled", "AttemptFailed", "SagaSuspended"});
  CHECK(scene.node.store.refused == 1);
  CHECK(scene.send(engine::Retry{"operator", ""}) == "done");
  scene.run_for(std::chrono::minutes(1));
  CHECK(scene.status() == "RUNNING");
}

TEST_CASE("starts, signals and callbacks that cannot be stored are refused to who sends them") {
  Scene scene(1);
  scene.poisons = false;
  engine::StartRequest request;
  request.definition = "t.every";
  request.input = {{"x", poison}};
  std::optional<Result<engine::StartReply>> reply;
  scene.node.engine->start(0, request, [&](const auto& done) { reply = done; });
  REQUIRE(scene.nodes.world.run_until([&] { return reply.has_value(); }));
  REQUIRE_FALSE(*reply);
  CHECK(reply->error().reason == "content-refused");

  scene.saga = scene.nodes.start(scene.node, "t.every")->id;
  CHECK(scene.send(engine::Signal{"go", poison, "somebody", {"*"}}) == "content-refused");
  CHECK(scene.send(engine::Signal{"go", "fine", "somebody", {"*"}}) == "done");
  scene.run_for(std::chrono::minutes(40));
  CHECK(scene.status() == "COMPLETED");
}

TEST_CASE("a start by SQL that cannot be stored is a saga that failed, without its input") {
  Scene scene(1);
  scene.poisons = false;
  const SagaId saga = SagaId::make(Database::start, 1, 2, 9);
  scene.nodes.database.store.start_by_sql(saga, "t.every", 1, R"({"x":"POISON"})", "o-17");
  REQUIRE(scene.nodes.world.run_until([&] {
    const auto view = scene.nodes.view(scene.node, saga);
    return view && view->at("status") == "FAILED";
  }));
  const auto view = scene.nodes.view(scene.node, saga);
  CHECK(view->at("input").is_null());
  CHECK(view->at("failure").at("code") == "INPUT_INVALID");
  CHECK(scene.node.store.refused <= 2);
  // Its business key is free.
  engine::StartRequest request;
  request.definition = "t.every";
  request.business_key = "o-17";
  std::optional<Result<engine::StartReply>> reply;
  scene.node.engine->start(0, request, [&](const auto& done) { reply = done; });
  REQUIRE(scene.nodes.world.run_until([&] { return reply.has_value(); }));
  REQUIRE(*reply);
  CHECK((*reply)->created);
}

TEST_CASE("a command by SQL that cannot be stored leaves the inbox once, with a row in the audit") {
  Scene scene(1);
  scene.poisons = false;
  scene.saga = scene.nodes.start(scene.node, "t.every")->id;
  const std::string data =
      R"({"name":"go","payload":"POISON","by":"sql:shop","roles":["*"],"key":null})";
  std::optional<Result<std::int64_t>> put;
  scene.nodes.database.store.put({0, scene.saga, "signal", "", data, {}},
                                 [&](const auto& number) { put = number; });
  REQUIRE(scene.nodes.world.run_until([&] { return put.has_value(); }));
  scene.nodes.world.run_for(Duration{5'000});
  CHECK(scene.node.store.refused == 1);
  const auto audited = scene.nodes.database.store.audited();
  REQUIRE(audited.size() == 1);
  CHECK(audited[0].second.action == "signal-refused");
  CHECK(scene.send(engine::Signal{"go", "fine", "somebody", {"*"}}) == "done");
}

TEST_CASE("a saga that the store does not even let be suspended goes on once the store lets it") {
  Scene scene(1);
  scene.poisons = false;
  scene.saga = scene.nodes.start(scene.node, "t.every")->id;
  scene.node.store.refuses = [](const engine::Append&) { return true; };
  scene.run_for(std::chrono::minutes(10));
  CHECK(scene.node.store.refused > 5);
  CHECK(scene.node.store.refused < 40);
  CHECK(scene.node.engine->set_aside(10) == std::vector{scene.saga});
  scene.node.store.refuses = nullptr;
  scene.run_for(std::chrono::minutes(6));
  CHECK(scene.node.engine->set_aside(10).empty());
  CHECK(scene.status() == "RUNNING");
  CHECK(scene.send(engine::Signal{"go", "fine", "somebody", {"*"}}) == "done");
  scene.run_for(std::chrono::minutes(40));
  CHECK(scene.status() == "COMPLETED");
}

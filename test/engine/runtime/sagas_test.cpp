// One node: what is promised for the life of a saga.
#include <algorithm>

#include "nodes.hpp"

namespace backstitch::test {
namespace {

using engine::Phase;

TEST_CASE("a saga of n plain steps costs n+1 appends") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started.has_value());
  CHECK(status_of(nodes.await_end(node, started->id, Duration{10'000})) == "COMPLETED");
  CHECK(node.store.appended == 4);
  CHECK(node.engine->counters().appends == 4);
  CHECK(nodes.calls() == "forward /a | forward /b | forward /c");
}

TEST_CASE("no participant is called before the append that says so is committed") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  node.store.holding = true;
  bool answered = false;
  engine::StartRequest request;
  request.definition = "t.three";
  node.engine->start(0, request, [&](const auto&) { answered = true; });
  nodes.world.run_for(Duration{5'000});
  CHECK_FALSE(answered);
  CHECK(nodes.sent.empty());
  node.store.release();
  CHECK(nodes.world.run_until([&] { return nodes.sent.size() == 3; }));
  CHECK(answered);
}

TEST_CASE("a reader is never shown what is not committed yet") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.script = [&](const engine::Call& call) {
    if (call.path == "b") node.store.holding = true;
    return answers(200);
  };
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started.has_value());
  nodes.world.run_for(Duration{2'000});
  REQUIRE(nodes.sent.size() == 2);
  const auto view = nodes.view(node, started->id);
  REQUIRE(view.has_value());
  CHECK((*view)["steps"][1]["status"] == "running");
  node.store.release();
  CHECK(status_of(nodes.await_end(node, started->id, Duration{5'000})) == "COMPLETED");
}

TEST_CASE("a waiter is answered from memory, without reading the store") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started.has_value());
  const std::size_t loads = node.store.loads;
  CHECK(status_of(nodes.await_end(node, started->id, Duration{10'000})) == "COMPLETED");
  CHECK(node.store.loads == loads);
  CHECK(status_of(nodes.await_end(node, started->id, Duration{10'000})) == "COMPLETED");
  CHECK(node.store.loads == loads + 1);
}

TEST_CASE("a wait that is over is answered with the saga as it is") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.script = [](const engine::Call&) { return stays_silent(); };
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started.has_value());
  CHECK(status_of(nodes.await_end(node, started->id, Duration{50})) == "RUNNING");
  const auto unknown = nodes.await_end(node, SagaId::make(Database::start, 1, 2, 3), Duration{50});
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().reason == "saga-not-found");
}

TEST_CASE("a start is repeated under its key, and refused under it with other input") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  const auto first = nodes.start(node, "t.three", {{"n", 1}}, "k-1");
  const auto again = nodes.start(node, "t.three", {{"n", 1}}, "k-1");
  const auto other = nodes.start(node, "t.three", {{"n", 2}}, "k-1");
  REQUIRE(first.has_value());
  REQUIRE(again.has_value());
  CHECK(first->created);
  CHECK_FALSE(again->created);
  CHECK(again->id == first->id);
  REQUIRE_FALSE(other.has_value());
  CHECK(other.error().reason == "idempotency-key-reused");
}

TEST_CASE("a retry never fires early, and the key stays the same") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, R"({"dsl":1,"name":"t.retry","version":1,
    "services":{"s":{"baseUrl":"https://s.example"}},
    "steps":[{"name":"a","retry":{"delay":"20s","factor":1,"jitter":"none"},
      "action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}}]})");
  std::vector<engine::SteadyTime> at;
  nodes.script = [&](const engine::Call&) {
    at.push_back(nodes.world.now());
    return answers(at.size() < 3 ? 503 : 200);
  };
  const auto started = nodes.start(node, "t.retry");
  REQUIRE(started.has_value());
  CHECK(status_of(nodes.await_end(node, started->id, Duration{600'000})) == "COMPLETED");
  REQUIRE(at.size() == 3);
  CHECK(at[1] - at[0] >= std::chrono::seconds(20));
  CHECK(at[1] - at[0] < std::chrono::seconds(23));
  CHECK(at[2] - at[1] >= std::chrono::seconds(20));
  CHECK(nodes.sent[0].request.key == nodes.sent[2].request.key);
}

TEST_CASE("a saga that sleeps for long leaves memory and comes back when it is due") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, R"({"dsl":1,"name":"t.sleepy","version":1,"timeout":"1d",
    "services":{"s":{"baseUrl":"https://s.example"}},
    "steps":[{"name":"a","retry":{"delay":"1h","maxDelay":"1h","jitter":"none"},
      "action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}}]})");
  nodes.script = [&](const engine::Call& call) { return answers(call.attempt == 1 ? 503 : 200); };
  const auto started = nodes.start(node, "t.sleepy");
  REQUIRE(started.has_value());
  nodes.world.run_for(Duration{60'000});
  CHECK(node.engine->counters().resident == 0);
  nodes.world.run_for(Duration{3'500'000});
  CHECK(nodes.sent.size() == 1);
  nodes.world.run_for(Duration{60'000});
  CHECK(nodes.sent.size() == 2);
  CHECK(status_of(nodes.view(node, started->id)) == "COMPLETED");
}

TEST_CASE("a failure is undone in mirror order") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  nodes.script = [](const engine::Call& call) {
    return answers(call.path == "c" && call.phase == Phase::forward ? 422 : 200);
  };
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started.has_value());
  CHECK(status_of(nodes.await_end(node, started->id, Duration{10'000})) == "FAILED");
  CHECK(nodes.calls() == "forward /a | forward /b | forward /c | compensate /b | compensate /a");
}

TEST_CASE("commands reach sagas in memory, asleep and ended, and say why they are refused") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, R"({"dsl":1,"name":"t.slow","version":1,
    "services":{"s":{"baseUrl":"https://s.example"}},
    "steps":[{"name":"a","retry":{"delay":"10m","jitter":"none"},
      "action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}}]})");
  nodes.script = [](const engine::Call& call) {
    return answers(call.phase == Phase::forward ? 503 : 200);
  };
  const auto started = nodes.start(node, "t.slow");
  REQUIRE(started.has_value());
  REQUIRE(nodes.world.run_until([&] { return node.engine->counters().resident == 0; }));
  REQUIRE(nodes.command(node, started->id, engine::Cancel{"me", "changed my mind"}).has_value());
  CHECK(status_of(nodes.await_end(node, started->id, Duration{60'000})) == "FAILED");
  const auto late = nodes.command(node, started->id, engine::Cancel{"me", "again"});
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().code == ErrorCode::conflict);
  const auto nobody =
      nodes.command(node, SagaId::make(Database::start, 1, 2, 3), engine::Retry{"me", ""});
  REQUIRE_FALSE(nobody.has_value());
  CHECK(nobody.error().reason == "saga-not-found");
  const auto audited = nodes.database.store.audited();
  REQUIRE(audited.size() == 1);
  CHECK(audited.front().second.action == "cancel");
  CHECK(audited.front().second.reason == "changed my mind");
}

TEST_CASE("starts beyond a bound are refused at once, and taken again when there is room") {
  struct Bound {
    const char* name;
    engine::Options options;
  };
  engine::Options waiting;
  waiting.starts_waiting_max = 3;
  engine::Options resident;
  resident.sagas_resident_max = 3;
  for (const Bound& bound : {Bound{"starts waiting", waiting}, Bound{"in memory", resident}}) {
    CAPTURE(bound.name);
    Nodes nodes;
    TestNode& node = nodes.add("a", bound.options);
    nodes.define(node, three_steps());
    const bool by_waiting = bound.options.starts_waiting_max == 3;
    node.store.holding = by_waiting;
    nodes.script = [](const engine::Call&) {
      return Reaction{engine::Response{200, {}, nullptr}, Duration{2'000}};
    };
    int taken = 0;
    int refused = 0;
    engine::StartRequest request;
    request.definition = "t.three";
    for (int i = 0; i < 5; ++i) {
      node.engine->start(0, request, [&](const Result<engine::StartReply>& reply) {
        if (reply) return static_cast<void>(++taken);
        CHECK(reply.error().code == ErrorCode::overloaded);
        ++refused;
      });
      nodes.world.run_for(Duration{20});
    }
    CHECK(refused == 2);
    if (by_waiting) node.store.release();
    nodes.world.run_for(Duration{60'000});
    CHECK(taken == 3);
    CHECK(node.engine->counters().ended == 3);
    CHECK(nodes.start(node, "t.three").has_value());
  }
}

TEST_CASE("a database that is away refuses starts and is named as the reason") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  node.store.is_reachable = false;
  const auto refused = nodes.start(node, "t.three");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().reason == "database-unreachable");
  CHECK(refused.error().message.starts_with("The database cannot be reached. Nothing was started"));
  CHECK(node.engine->not_ready_reason() == "The database cannot be reached.");
  node.store.is_reachable = true;
  CHECK(node.engine->not_ready_reason().empty());
  CHECK(nodes.start(node, "t.three").has_value());
}

TEST_CASE("what is sensitive is hidden from readers wherever it went") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, R"({"dsl":1,"name":"t.card","version":1,
    "input":{"type":"object","required":["card","pin"],"properties":{
      "card":{"type":"string","x-sensitive":true},"pin":{"type":"integer","x-sensitive":true}}},
    "services":{"s":{"baseUrl":"https://s.example"}},
    "steps":[{"name":"a","action":{"service":"s","http":"PUT /a","body":{"card":"${input.card}","pin":"${input.pin}"}},
      "compensation":{"http":"DELETE /a"}}],
    "output":"paid with ${input.card}"})");
  nodes.script = [](const engine::Call& call) {
    return answers(200, {{"echo", Json::parse(call.request.body)}});
  };
  const auto started = nodes.start(node, "t.card", {{"card", "41\"11 secret"}, {"pin", 987654}});
  REQUIRE(started.has_value());
  const auto view = nodes.await_end(node, started->id, Duration{10'000});
  REQUIRE(view.has_value());
  CHECK((*view)["output"] == "***");
  std::string shown = view->dump();
  std::optional<Result<engine::HistoryPage>> history;
  node.engine->history(started->id, engine::Sequence{0}, 100,
                       [&](const auto& events) { history = events; });
  REQUIRE(nodes.world.run_until([&] { return history.has_value(); }));
  REQUIRE(*history);
  for (const auto& event : (*history)->events) shown += event.data;
  CHECK(shown.find("secret") == std::string::npos);
  CHECK(shown.find("987654") == std::string::npos);
  CHECK(shown.find("***") != std::string::npos);
  // The participant got what it needs.
  CHECK(Json::parse(nodes.sent.at(0).request.body) ==
        Json({{"card", "41\"11 secret"}, {"pin", 987654}}));
}

namespace {

/// Everything that readers get of a saga: its view and its history.
std::string shown_of(Nodes& nodes, TestNode& node, SagaId saga) {
  std::string shown = nodes.view(node, saga)->dump();
  std::optional<Result<engine::HistoryPage>> history;
  node.engine->history(saga, engine::Sequence{0}, 100,
                       [&](const auto& events) { history = events; });
  REQUIRE(nodes.world.run_until([&] { return history.has_value(); }));
  REQUIRE(*history);
  for (const auto& event : (*history)->events)
    shown += event.type + " " + event.path + " " + event.data;
  return shown;
}

}  // namespace

TEST_CASE("what is made of a sensitive value is hidden, whatever became of it") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, R"({"dsl":1,"name":"t.child","version":1,
    "services":{"s":{"baseUrl":"https://s.example"}},
    "steps":[{"name":"c","action":{"service":"s","http":"PUT /c","body":{"of":"${input.key}","n":"${input.n}"}},
      "compensation":"none"}],"output":{"done":"${input.key}"}})");
  nodes.define(node, R"({"dsl":1,"name":"t.forms","version":1,
    "input":{"type":"object","required":["token","pin","people"],"properties":{
      "token":{"type":"string","x-sensitive":true},"pin":{"type":"string","x-sensitive":true},
      "people":{"type":"array","items":{"type":"object","required":["code"],"properties":{"code":{"type":"string","x-sensitive":true}}}}}},
    "services":{"s":{"baseUrl":"https://s.example"}},
    "steps":[
      {"name":"a","action":{"service":"s","http":"GET /check","query":{"token":"${input.token}","q":"plain"},
        "headers":{"X-Auth":"Basic ${base64('u:' + input.token)}","X-Plain":"plain"}}},
      {"name":"parts","value":{"first":"${slice(input.token, 0, 2)}","pin":"${input.pin}"}},
      {"name":"l","forEach":{"in":"${input.people}","as":"p","steps":[{"name":"i","value":"${p.code + '!'}"}],
        "yield":"${steps.i.output}"}},
      {"name":"w","wait":{"signal":"go","timeout":"1h","schema":{"type":"object","properties":{"otp":{"type":"string","x-sensitive":true}}}}},
      {"name":"t","try":{"steps":[{"name":"f","fail":{"code":"NO","message":"not ${input.pin}","details":{"pin":"${input.pin}"}}}],
        "catch":[{"steps":[{"name":"why","value":"${failure.details?.pin}"}]}]}},
      {"name":"c","saga":{"name":"t.child","version":1,"input":{"key":"${input.token}","n":7}},"compensation":"none","kind":"compensatable"}],
    "output":{"echo":"${steps.a.output}","parts":"${steps.parts.output}"}})");
  std::string echoed;
  nodes.script = [&](const engine::Call& call) {
    return answers(200, {{"got", "token is s3cr3t/v\u00e4lue, they say"}, {"path", call.path}});
  };
  const Json input{{"token", "s3cr3t/välue"}, {"pin", "42"}, {"people", {{{"code", "xyzzy"}}}}};
  const auto started = nodes.start(node, "t.forms", input);
  REQUIRE(started);
  REQUIRE(nodes.command(node, started->id, engine::Signal{"go", {{"otp", "9"}}, "me", {"*"}}));
  const auto ended = nodes.await_end(node, started->id, Duration{10'000});
  REQUIRE(status_of(ended) == "COMPLETED");
  std::string shown = shown_of(nodes, node, started->id);
  const auto step = std::find_if(ended->at("steps").begin(), ended->at("steps").end(),
                                 [](const Json& one) { return one.at("name") == "c"; });
  REQUIRE(step != ended->at("steps").end());
  shown += shown_of(nodes, node, *SagaId::parse(step->at("child").get<std::string>()));
  for (const char* secret :
       {"s3cr3t", "s3cr3t%2F", "dTpzM2NyM3Qv", "\"s3\"", "\"42\"", "not 42", "xyzzy", "\"9\""}) {
    CAPTURE(secret);
    CHECK(shown.find(secret) == std::string::npos);
  }
  for (const char* plain :
       {"q=plain", "[\"X-Plain\",\"plain\"]", "token=***", "they say", "\\\"n\\\":7"}) {
    CAPTURE(plain);
    CHECK(shown.find(plain) != std::string::npos);
  }
  // The participant got what it needs.
  CHECK(nodes.sent.at(0).request.target == "/check?q=plain&token=s3cr3t%2Fv%C3%A4lue");
}

TEST_CASE("a registered version is taken again unchanged when the checker has gained rules") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  const std::string text =
      R"({"dsl":1,"name":"t.old","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
        {"name":"pay","action":{"service":"s","http":"PUT /pay"},"compensation":"none"},
        {"name":"paY","action":{"service":"s","http":"PUT /paY"},"compensation":"none"}]})";
  const auto registered = [&](const std::string& definition) {
    std::optional<Result<engine::Registration>> answer;
    node.engine->registry().register_definition(definition, true,
                                                [&](const auto& done) { answer = done; });
    REQUIRE(nodes.world.run_until([&] { return answer.has_value(); }));
    REQUIRE(*answer);
    return **answer;
  };
  CHECK(has_errors(registered(text).findings));
  // As it was stored before there was the rule.
  const auto definition = dsl::parse_definition(text).definition;
  engine::StoredDefinition old;
  old.name = "t.old";
  old.version = 1;
  old.hash = definition->hash;
  old.document = definition->document.dump();
  old.findings = "[]";
  bool stored = false;
  nodes.database.store.put_definition(std::move(old), true, [&](const auto&) { stored = true; });
  REQUIRE(nodes.world.run_until([&] { return stored; }));
  bool refreshed = false;
  node.engine->registry().refresh([&](const auto&) { refreshed = true; });
  REQUIRE(nodes.world.run_until([&] { return refreshed; }));
  const auto again = registered(text);
  CHECK(again.outcome == engine::PutOutcome::same);
  CHECK_FALSE(has_errors(again.findings));
  CHECK(std::any_of(again.findings.begin(), again.findings.end(),
                    [](const auto& finding) { return finding.code == "E108"; }));
  CHECK(nodes.start(node, "t.old").has_value());
}

TEST_CASE("a service that is registered anew is used by the next call of a running saga") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  const auto put = [&](const std::string& url) {
    std::optional<bool> stored;
    node.engine->registry().put_service("s", R"({"baseUrl":")" + url + R"("})",
                                        [&](const auto& done) { stored = done.has_value(); });
    REQUIRE(nodes.world.run_until([&] { return stored.has_value(); }));
    REQUIRE(*stored);
  };
  put("https://old.example");
  nodes.define(node, R"({"dsl":1,"name":"t.use","version":1,"services":{"s":{"use":"s"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
    {"name":"b","action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b"}}]})");
  nodes.script = [](const engine::Call&) {
    return Reaction{engine::Response{200, {}, nullptr}, Duration{1'000}};
  };
  const auto started = nodes.start(node, "t.use");
  REQUIRE(started.has_value());
  put("https://new.example");
  CHECK(status_of(nodes.await_end(node, started->id, Duration{10'000})) == "COMPLETED");
  REQUIRE(nodes.sent.size() == 2);
  CHECK(nodes.sent[0].service->base_url == "https://old.example");
  CHECK(nodes.sent[1].service->base_url == "https://new.example");
}

}  // namespace
}  // namespace backstitch::test

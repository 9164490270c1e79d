// Several nodes: who may write, and what happens to the sagas of one that is gone.
#include "nodes.hpp"

namespace backstitch::test {
namespace {

TEST_CASE("the sagas of a node that died are finished by another one, under the same keys") {
  Nodes nodes;
  TestNode& dying = nodes.add("a");
  nodes.define(dying, three_steps());
  nodes.script = [&](const engine::Call& call) {
    if (call.path == "b" && call.attempt == 1) dying.pause(true);
    return answers(200);
  };
  const auto started = nodes.start(dying, "t.three");
  REQUIRE(started.has_value());
  TestNode& heir = nodes.add("b");
  CHECK(nodes.world.run_until([&] { return heir.engine->counters().ended == 1; }));
  CHECK(status_of(nodes.view(heir, started->id)) == "COMPLETED");
  CHECK(nodes.calls() == "forward /a | forward /b | forward /b | forward /c");
  CHECK(nodes.sent[1].request == nodes.sent[2].request);
  CHECK(nodes.sent[2].attempt == 2);
  CHECK(count(nodes.log(started->id), "Resumed") == 1);
}

TEST_CASE("a node that slept through its lease cannot write any more") {
  Nodes nodes;
  TestNode& sleeper = nodes.add("a");
  nodes.define(sleeper, three_steps());
  nodes.script = [&](const engine::Call& call) {
    if (call.path == "b" && call.attempt == 1) sleeper.pause(true);
    return answers(200);
  };
  const auto started = nodes.start(sleeper, "t.three");
  REQUIRE(started.has_value());
  TestNode& heir = nodes.add("b");
  REQUIRE(nodes.world.run_until([&] { return heir.engine->counters().ended == 1; }));
  const auto finished = nodes.log(started->id);
  sleeper.pause(false);
  nodes.world.run_for(Duration{30'000});
  CHECK(nodes.log(started->id) == finished);
  CHECK(sleeper.engine->counters().resident == 0);
  CHECK(nodes.sent.size() == 4);
}

TEST_CASE("an append that was on its way when the shard was lost is refused") {
  Nodes nodes;
  TestNode& slow = nodes.add("a");
  nodes.define(slow, three_steps());
  nodes.script = [&](const engine::Call& call) {
    if (call.path == "b" && call.attempt == 1) slow.store.holding = true;
    return answers(200);
  };
  const auto started = nodes.start(slow, "t.three");
  REQUIRE(started.has_value());
  REQUIRE(nodes.world.run_until([&] { return slow.store.holding && slow.store.appended == 3; }));
  slow.pause(true);
  TestNode& heir = nodes.add("b");
  REQUIRE(nodes.world.run_until([&] { return heir.engine->counters().ended == 1; }));
  const auto finished = nodes.log(started->id);
  // The database answers at last: the other node's epoch stands.
  slow.store.release();
  slow.pause(false);
  nodes.world.run_for(Duration{30'000});
  CHECK(nodes.log(started->id) == finished);
  CHECK(count(finished, "SagaEnded") == 1);
  CHECK(slow.observer.count("append-not-written") == 1);
}

TEST_CASE("a node that cannot renew stops acting before its lease ends") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, three_steps());
  // The answers of the database no longer arrive.
  nodes.database.executor.pause(true);
  nodes.world.run_for(Duration{9'000});
  CHECK(node.observer.count("lease-not-renewed") == 1);
  std::optional<Result<engine::StartReply>> reply;
  engine::StartRequest request;
  request.definition = "t.three";
  node.engine->start(0, request, [&](const auto& done) { reply = done; });
  REQUIRE(nodes.world.run_until([&] { return reply.has_value(); }));
  REQUIRE_FALSE(reply->has_value());
  CHECK(reply->error().code == ErrorCode::unavailable);
}

TEST_CASE("an answer that comes while a renewal is late is asked for again") {
  Nodes nodes;
  engine::Options options;
  // Nothing looks at the lease in between.
  options.due_scan_every = Duration{60'000};
  TestNode& node = nodes.add("a", options);
  nodes.define(node, three_steps());
  nodes.script = [](const engine::Call& call) {
    Reaction reaction = answers(200);
    if (call.path == "b" && call.attempt == 1) reaction.after = Duration{6'900};
    return reaction;
  };
  const auto started = nodes.start(node, "t.three");
  REQUIRE(started.has_value());
  nodes.world.run_for(Duration{1'000});
  // The node may not act between 6.7 s and the renewal, and the answer comes in between.
  nodes.database.executor.pause(true);
  nodes.world.run_for(Duration{6'200});
  nodes.database.executor.pause(false);
  CHECK(
      nodes.world.run_until([&] { return node.engine->counters().ended == 1; }, Duration{20'000}));
  CHECK(status_of(nodes.view(node, started->id)) == "COMPLETED");
  CHECK(nodes.calls() == "forward /a | forward /b | forward /b | forward /c");
  CHECK(count(nodes.log(started->id), "Resumed") == 1);
}

TEST_CASE("a node that comes back under its name takes its sagas up without waiting") {
  Nodes nodes;
  TestNode& first = nodes.add("a");
  nodes.define(first, three_steps());
  nodes.script = [&](const engine::Call& call) {
    if (call.path == "b" && call.attempt == 1) first.pause(true);
    return answers(200);
  };
  const auto started = nodes.start(first, "t.three");
  REQUIRE(started.has_value());
  const auto died_at = nodes.world.now();
  TestNode& second = nodes.add("a");
  REQUIRE(nodes.world.run_until([&] { return second.engine->counters().ended == 1; }));
  CHECK(nodes.world.now() - died_at < std::chrono::seconds(10));
  CHECK(status_of(nodes.view(second, started->id)) == "COMPLETED");
}

namespace {

/// An engine that is opened under a name. `answer` as soon as it is ready or has given up.
struct Opening {
  Opening(Nodes& nodes, const std::string& name)
      : node(nodes.world, nodes.database, name, nodes.sent, nodes.script) {
    node.engine->open([this](const Result<Done>& done) { answer = done; });
  }
  ~Opening() { node.pause(true); }
  TestNode node;
  std::optional<Result<Done>> answer;
};

}  // namespace

TEST_CASE("a process does not start under the name of another one that renews its lease") {
  Nodes nodes;
  nodes.database.store.set_sessions([](const std::string&) { return true; });
  engine::Options options;
  options.address = "127.0.0.1:7420";
  TestNode& first = nodes.add("a", options);
  Opening second(nodes, "a");
  REQUIRE(nodes.world.run_until([&] { return second.answer.has_value(); }, Duration{5'000}));
  REQUIRE_FALSE(second.answer->has_value());
  CHECK(second.answer->error().code == ErrorCode::conflict);
  CHECK(second.answer->error().reason == "node-name-taken");
  CHECK(second.answer->error().message.find("127.0.0.1:7420") != std::string::npos);
  CHECK(second.node.observer.count("node-name-held") == 1);
  CHECK(first.engine->not_ready_reason().empty());
  CHECK(first.engine->counters().shards_held == 256);
}

TEST_CASE("a process waits for the lease of an earlier one of its name that has sessions") {
  Nodes nodes;
  nodes.database.store.set_sessions([](const std::string&) { return true; });
  TestNode& first = nodes.add("a");
  nodes.define(first, three_steps());
  first.pause(true);
  Opening second(nodes, "a");
  SUBCASE("until the lease has ended") {
    nodes.world.run_for(Duration{6'000});
    CHECK_FALSE(second.answer.has_value());
  }
  SUBCASE("until the sessions are gone") {
    nodes.world.run_for(Duration{1'000});
    CHECK_FALSE(second.answer.has_value());
    nodes.database.store.set_sessions([](const std::string&) { return false; });
    nodes.world.run_for(Duration{1'000});
    REQUIRE(second.answer.has_value());
  }
  REQUIRE(nodes.world.run_until([&] { return second.answer.has_value(); }, Duration{10'000}));
  CHECK(second.answer->has_value());
  CHECK(second.node.engine->counters().shards_held == 256);

  // The earlier one finds out at its next renewal, and acts no more from then on.
  first.pause(false);
  REQUIRE(nodes.world.run_until([&] { return !first.supervisor.told.empty(); }, Duration{10'000}));
  CHECK(first.supervisor.told.front().starts_with("node-superseded: "));
  CHECK(first.observer.count("node-superseded") == 1);
  const auto reply = nodes.start(first, "t.three");
  REQUIRE_FALSE(reply.has_value());
  CHECK(reply.error().code == ErrorCode::unavailable);
  nodes.world.run_for(Duration{30'000});
  CHECK(first.supervisor.told.size() == 1);
  CHECK(second.node.engine->counters().shards_held == 256);
  CHECK(nodes.sent.empty());
}

TEST_CASE("a parent that sleeps hears of its child although the node died between the two") {
  Nodes nodes;
  TestNode& dying = nodes.add("a");
  nodes.define(
      dying,
      R"({"dsl":1,"name":"t.child","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"c","action":{"service":"s","http":"PUT /c"},"compensation":{"http":"DELETE /c"}}]})");
  nodes.define(
      dying,
      R"({"dsl":1,"name":"t.parent","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"p","action":{"service":"s","http":"PUT /p"},"compensation":{"http":"DELETE /p"}},
    {"name":"sub","saga":{"name":"t.child","input":{}}}]})");
  std::string last;
  SUBCASE("before the child was started") {
    last = "p";
  }
  SUBCASE("after the child had ended") {
    last = "c";
  }
  nodes.script = [&](const engine::Call& call) {
    if (call.path == last) dying.store.holding = true;
    return answers(200);
  };
  const auto started = nodes.start(dying, "t.parent");
  REQUIRE(started.has_value());
  const std::size_t before = dying.store.appended;
  REQUIRE(
      nodes.world.run_until([&] { return !nodes.sent.empty() && nodes.sent.back().path == last; }));
  nodes.world.run_for(Duration{100});
  REQUIRE(dying.store.appended > before);
  // What it decided is committed, and it does not live to hear that.
  dying.pause(true);
  dying.store.release();
  TestNode& heir = nodes.add("b");
  const std::size_t ends = last == "p" ? 2 : 1;
  CHECK(nodes.world.run_until([&] { return heir.engine->counters().ended == ends; },
                              Duration{20'000}));
  CHECK(status_of(nodes.view(heir, started->id)) == "COMPLETED");
  CHECK(nodes.calls() == "forward /p | forward /c");
  CHECK(count(nodes.log(started->id), "Resumed") == 0);
}

TEST_CASE("a saga that three nodes in a row died of is suspended") {
  Nodes nodes;
  TestNode& first = nodes.add("a");
  nodes.define(first, three_steps());
  bool deadly = true;
  nodes.script = [&](const engine::Call& call) {
    if (call.path == "b" && deadly) nodes.nodes.back()->pause(true);
    return answers(200);
  };
  const auto started = nodes.start(first, "t.three");
  REQUIRE(started.has_value());
  nodes.world.run_for(Duration{1'000});
  for (int i = 0; i < 2; ++i) {
    nodes.add("a");
    nodes.world.run_for(Duration{30'000});
  }
  deadly = false;
  TestNode& last = nodes.add("a");
  nodes.world.run_for(Duration{30'000});
  CHECK(status_of(nodes.view(last, started->id)) == "SUSPENDED");
  // The third strike was stored, and the saga not looked into.
  CHECK(count(nodes.log(started->id), "Resumed") == 2);
}

/// Closes the node. @return how long that took
Duration close(Nodes& nodes, TestNode& node, Duration most) {
  const auto begun = nodes.world.now();
  bool closed = false;
  node.engine->close([&] { closed = true; });
  REQUIRE(nodes.world.run_until([&] { return closed; }, most));
  return std::chrono::duration_cast<Duration>(nodes.world.now() - begun);
}

TEST_CASE("a node that closes carries on what is on its way until it is quiet") {
  Nodes nodes;
  TestNode& closing = nodes.add("a");
  nodes.define(closing, three_steps());
  nodes.script = [](const engine::Call&) {
    return Reaction{engine::Response{200, {}, nullptr}, Duration{1'000}};
  };
  const auto started = nodes.start(closing, "t.three");
  REQUIRE(started.has_value());
  nodes.world.run_for(Duration{500});
  close(nodes, closing, Duration{4'000});
  TestNode& heir = nodes.add("b");
  CHECK(heir.engine->counters().shards_held == shard_count);
  CHECK(status_of(nodes.view(heir, started->id)) == "COMPLETED");
  CHECK(nodes.calls() == "forward /a | forward /b | forward /c");
}

TEST_CASE("a node that closes waits for no retry: that is the next owner's") {
  Nodes nodes;
  TestNode& closing = nodes.add("a");
  nodes.define(closing, three_steps());
  nodes.script = [](const engine::Call& call) {
    return answers(call.path == "b" && call.attempt == 1 ? 503 : 200);
  };
  const auto started = nodes.start(closing, "t.three");
  REQUIRE(started.has_value());
  REQUIRE(nodes.world.run_until([&] { return nodes.sent.size() == 2; }));
  nodes.world.run_for(Duration{50});
  CHECK(close(nodes, closing, Duration{1'000}) < Duration{100});
  CHECK(nodes.sent.size() == 2);
  TestNode& heir = nodes.add("b");
  CHECK(nodes.world.run_until([&] { return heir.engine->counters().ended == 1; }));
  CHECK(nodes.calls() == "forward /a | forward /b | forward /b | forward /c");
}

TEST_CASE("a node that closes waits no longer than it may, and the next owner calls again") {
  Nodes nodes;
  TestNode& closing = nodes.add("a");
  nodes.define(closing, three_steps());
  bool stuck = true;
  nodes.script = [&](const engine::Call&) {
    return Reaction{engine::Response{200, {}, nullptr}, Duration{stuck ? 60'000 : 10}};
  };
  const auto started = nodes.start(closing, "t.three");
  REQUIRE(started.has_value());
  nodes.world.run_for(Duration{500});
  stuck = false;
  close(nodes, closing, engine::Options{}.drain_max + Duration{2'000});
  TestNode& heir = nodes.add("b");
  CHECK(nodes.world.run_until([&] { return heir.engine->counters().ended == 1; }));
  CHECK(nodes.calls() == "forward /a | forward /a | forward /b | forward /c");
}

TEST_CASE("a node that closes hands its shards to the living one without waiting for its lease") {
  Nodes nodes;
  TestNode& closing = nodes.add("a");
  TestNode& heir = nodes.add("b");
  REQUIRE(nodes.world.run_until([&] { return heir.engine->counters().shards_held == 128; },
                                Duration{30'000}));
  CHECK(close(nodes, closing, Duration{1'000}) < Duration{200});
  CHECK(nodes.world.run_until([&] { return heir.engine->counters().shards_held == shard_count; },
                              Duration{1'000}));
}

}  // namespace
}  // namespace backstitch::test

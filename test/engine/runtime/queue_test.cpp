// Calls wait in the node's own queue, in virtual time, at participants that serve few at a time.
#include <algorithm>
#include <chrono>
#include <map>
#include <string>

#include "nodes.hpp"

namespace backstitch::test {
namespace {

using engine::Call;
using engine::Phase;

/// A definition with these steps on the service `s` with the given limits, and another one, `f`.
std::string limited(const std::string& limits, const std::string& steps) {
  return R"({"dsl":1,"name":"t.q","version":1,"services":{"s":{"baseUrl":"https://s.example","limits":)" +
         limits + R"(},"f":{"baseUrl":"https://f.example"}},"steps":[)" + steps + "]}";
}
std::string undoable(const std::string& name, const std::string& more = "") {
  return R"({"name":")" + name + R"(","action":{"service":"s","http":"PUT /)" + name +
         R"("},"compensation":{"http":"DELETE /)" + name + "\"}" + more + "}";
}

/// One request at a time, in the order in which they came, whether or not anybody still waits.
class QueueingParticipant {
 public:
  QueueingParticipant(VirtualWorld& world, Duration each) : world_(world), each_(each) {}

  Reaction serve(const Call& call) {
    ++served[call.phase];
    free_at_ = std::max(free_at_, world_.now()) + each_;
    const auto wait = std::chrono::ceil<Duration>(free_at_ - world_.now());
    const Duration timeout = call.request.attempt_timeout;
    if (wait <= timeout) return {engine::Response{200, {}, nullptr}, wait};
    ++timeouts;
    return {engine::TransportError{dsl::Transport::timeout, true, "no answer"}, timeout};
  }

  std::map<Phase, int> served;
  int timeouts = 0;

 private:
  VirtualWorld& world_;
  Duration each_;
  engine::SteadyTime free_at_{};
};

std::size_t sent_to(const Nodes& nodes, const std::string& target) {
  return static_cast<std::size_t>(
      std::count_if(nodes.sent.begin(), nodes.sent.end(),
                    [&](const Call& call) { return call.request.target == target; }));
}

TEST_CASE("two thousand sagas at a participant that serves 25 calls a second all complete") {
  constexpr int sagas = 2'000;
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, limited("{}", undoable("a") + "," + undoable("b")));
  QueueingParticipant participant(nodes.world, Duration{40});
  nodes.script = [&](const Call& call) { return participant.serve(call); };
  engine::StartRequest request;
  request.definition = "t.q";
  for (int i = 0; i < sagas; ++i) node.engine->start(0, request, [](const auto&) {});
  REQUIRE(nodes.world.run_until([&] { return node.engine->counters().ended == sagas; },
                                Duration{300'000}));
  CHECK(participant.timeouts == 0);
  CHECK(participant.served[Phase::forward] == 2 * sagas);
  CHECK(participant.served[Phase::compensate] == 0);
}

TEST_CASE(
    "a call gets the attempt timeout, cut to what is left of its step's timeout when it leaves") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(
      node,
      limited(
          "{}",
          undoable("a",
                   R"(,"timeout":"12s","retry":{"maxAttempts":2,"delay":"5s","jitter":"none"})")));
  std::vector<Duration> given;
  nodes.script = [&](const Call& call) -> Reaction {
    given.push_back(call.request.attempt_timeout);
    return {engine::TransportError{dsl::Transport::connect, false, "refused"}, Duration{0}};
  };
  engine::StartRequest request;
  request.definition = "t.q";
  node.engine->start(0, request, [](const auto&) {});
  REQUIRE(
      nodes.world.run_until([&] { return node.engine->counters().ended == 1; }, Duration{60'000}));
  REQUIRE(given.size() == 2);
  CHECK(given[0] == Duration{10'000});
  CHECK(given[1] <= Duration{7'000});
  CHECK(given[1] > Duration{6'000});
}

TEST_CASE("a service that slows down is given fewer calls and no saga fails") {
  constexpr int sagas = 600;
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, limited("{}", undoable("a") + "," + undoable("b")));
  QueueingParticipant fast(nodes.world, Duration{2});
  QueueingParticipant slow(nodes.world, Duration{200});
  nodes.script = [&](const Call& call) {
    return (fast.served[Phase::forward] < 800 ? fast : slow).serve(call);
  };
  engine::StartRequest request;
  request.definition = "t.q";
  for (int i = 0; i < sagas; ++i) node.engine->start(0, request, [](const auto&) {});
  REQUIRE(nodes.world.run_until([&] { return node.engine->counters().ended == sagas; },
                                Duration{1'200'000}));
  CHECK(fast.served[Phase::compensate] + slow.served[Phase::compensate] == 0);
}

TEST_CASE("sagas at other services do not wait for a slow one") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(
      node,
      limited(
          "{}",
          R"({"name":"which","switch":{"cases":[{"when":"${input.slow}","steps":[)" +
              undoable("a") +
              R"(]}],"otherwise":{"steps":[{"name":"b","action":{"service":"f","http":"GET /b"}}]}}})"));
  QueueingParticipant participant(nodes.world, Duration{1'000});
  nodes.script = [&](const Call& call) {
    return call.path == "which/a" ? participant.serve(call) : answers(200);
  };
  for (int i = 0; i < 100; ++i) REQUIRE(nodes.start(node, "t.q", {{"slow", true}}).has_value());
  const auto began = nodes.world.now();
  const auto started = nodes.start(node, "t.q", {{"slow", false}});
  REQUIRE(started.has_value());
  CHECK(status_of(nodes.await_end(node, started->id, Duration{10'000})) == "COMPLETED");
  CHECK(nodes.world.now() - began < Duration{100});
}

TEST_CASE("a call that is still queued when its step times out was not sent: nothing is undone") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, limited(R"({"maxInFlight":1})", undoable("a", R"(,"timeout":"12s")")));
  nodes.script = [](const Call&) {
    return Reaction{engine::Response{200, {}, nullptr}, Duration{9'000}};
  };
  const auto first = nodes.start(node, "t.q");
  const auto second = nodes.start(node, "t.q");
  const auto third = nodes.start(node, "t.q");
  REQUIRE((first && second && third));
  CHECK(status_of(nodes.await_end(node, first->id, Duration{60'000})) == "COMPLETED");
  const auto failed = nodes.await_end(node, third->id, Duration{60'000});
  CHECK(status_of(failed) == "FAILED");
  CHECK((*failed)["failure"]["code"] == "STEP_TIMEOUT");
  CHECK((*failed)["steps"][0]["status"] == "failed");
  // The second was sent, and is undone.
  CHECK(status_of(nodes.await_end(node, second->id, Duration{60'000})) == "FAILED");
  CHECK(nodes.calls() == "forward /a | forward /a | compensate /a");
}

TEST_CASE("a cancelled saga does not wait for a call that has not left the queue") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node,
               limited(R"({"maxInFlight":1})",
                       R"({"name":"p","kind":"pivot","action":{"service":"s","http":"POST /p"}})"));
  nodes.script = [](const Call&) {
    return Reaction{engine::Response{200, {}, nullptr}, Duration{9'000}};
  };
  const auto first = nodes.start(node, "t.q");
  const auto second = nodes.start(node, "t.q");
  REQUIRE((first && second));
  nodes.world.run_for(Duration{1'000});
  const auto began = nodes.world.now();
  REQUIRE(nodes.command(node, second->id, engine::Cancel{"me", "why"}).has_value());
  CHECK(status_of(nodes.await_end(node, second->id, Duration{60'000})) == "FAILED");
  CHECK(nodes.world.now() - began < Duration{1'000});
  CHECK(status_of(nodes.await_end(node, first->id, Duration{60'000})) == "COMPLETED");
  nodes.world.run_for(Duration{60'000});
  CHECK(sent_to(nodes, "/p") == 1);
}

TEST_CASE("a call that was given up keeps its slot for one attempt timeout longer") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node,
               limited(R"({"maxInFlight":1})", undoable("a", R"(,"retry":{"maxAttempts":1})")));
  nodes.script = [&](const Call& call) {
    return call.phase == Phase::forward && nodes.sent.size() == 1 ? stays_silent() : answers(200);
  };
  const auto began = nodes.world.now();
  const auto first = nodes.start(node, "t.q");
  const auto second = nodes.start(node, "t.q");
  REQUIRE((first && second));
  REQUIRE(nodes.world.run_until([&] { return nodes.sent.size() == 2; }, Duration{60'000}));
  CHECK(nodes.world.now() - began >= Duration{20'000});
  CHECK(nodes.world.now() - began < Duration{21'000});
  CHECK(status_of(nodes.await_end(node, second->id, Duration{60'000})) == "COMPLETED");
}

TEST_CASE("the attempt and its budget begin when the call leaves the queue") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(
      node,
      limited(R"({"maxInFlight":1})",
              undoable(
                  "a",
                  R"(,"retry":{"maxAttempts":9,"maxElapsed":"5s","delay":"1s","jitter":"none"})")));
  std::map<std::string, int> tries;
  nodes.script = [&](const Call& call) {
    if (nodes.sent.size() == 1)
      return Reaction{engine::Response{200, {}, nullptr}, Duration{9'000}};
    return answers(++tries[call.saga.text()] < 2 ? 429 : 200);
  };
  const auto first = nodes.start(node, "t.q");
  const auto second = nodes.start(node, "t.q");
  REQUIRE((first && second));
  const auto ended = nodes.await_end(node, second->id, Duration{60'000});
  CHECK(status_of(ended) == "COMPLETED");
  CHECK((*ended)["steps"][0]["attempts"] == 2);
  std::optional<Result<engine::HistoryPage>> history;
  node.engine->history(second->id, engine::Sequence{0}, 100,
                       [&](const auto& events) { history = events; });
  REQUIRE(nodes.world.run_until([&] { return history.has_value(); }));
  const auto failed = std::find_if((*history)->events.begin(), (*history)->events.end(),
                                   [](const auto& event) { return event.type == "AttemptFailed"; });
  REQUIRE(failed != (*history)->events.end());
  CHECK(Json::parse(failed->data).contains("sentAt"));
}

TEST_CASE("a full queue is no attempt") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, limited(R"({"maxInFlight":1,"maxQueue":0})",
                             undoable("a", R"(,"retry":{"maxAttempts":1})")));
  nodes.script = [](const Call&) {
    return Reaction{engine::Response{200, {}, nullptr}, Duration{9'000}};
  };
  const auto first = nodes.start(node, "t.q");
  const auto second = nodes.start(node, "t.q");
  REQUIRE((first && second));
  const auto ended = nodes.await_end(node, second->id, Duration{60'000});
  CHECK(status_of(ended) == "COMPLETED");
  CHECK((*ended)["steps"][0]["attempts"] == 1);
}

Reaction unsent() {
  return {engine::NotSent{engine::Lack::secret, "the secret `token` is missing"}, Duration{0}};
}

TEST_CASE("a call that the node cannot send waits, is no attempt, and is reported after a minute") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, limited("{}", undoable("a", R"(,"retry":{"maxAttempts":1})")));
  bool has_secret = false;
  nodes.script = [&](const Call&) { return has_secret ? answers(200) : unsent(); };
  const auto saga = nodes.start(node, "t.q");
  REQUIRE(saga.has_value());
  nodes.world.run_for(std::chrono::seconds(50));
  CHECK(node.observer.count("calls-not-sent") == 1);
  CHECK(node.observer.count("saga-held-up") == 0);
  const auto view = nodes.view(node, saga->id);
  REQUIRE(view);
  CHECK((*view)["why"]["code"] == "call-not-sent");
  CHECK((*view)["why"]["possiblyDone"] == false);
  CHECK((*view)["why"]["lastAnswer"]["message"] ==
        "the call was not sent: the secret `token` is missing");
  nodes.world.run_for(std::chrono::minutes(30));
  CHECK(node.observer.count("saga-held-up") == 1);
  CHECK(node.observer.count("calls-not-sent") <= 31);
  CHECK(node.engine->counters().calls == 0);
  CHECK(node.engine->counters().calls_unsent[static_cast<std::size_t>(engine::Lack::secret)] < 200);
  has_secret = true;
  const auto ended = nodes.await_end(node, saga->id, Duration{120'000});
  CHECK(status_of(ended) == "COMPLETED");
  CHECK((*ended)["steps"][0]["attempts"] == 1);
}

TEST_CASE("the step's timeout runs while its call cannot be sent, and it is known not done") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, limited("{}", undoable("a", R"(,"timeout":"30s")")));
  nodes.script = [](const Call& call) {
    return call.phase == Phase::forward ? unsent() : answers(200);
  };
  const auto saga = nodes.start(node, "t.q");
  REQUIRE(saga.has_value());
  const auto ended = nodes.await_end(node, saga->id, Duration{60'000});
  CHECK(status_of(ended) == "FAILED");
  CHECK((*ended)["steps"][0]["status"] == "failed");
  CHECK((*ended)["steps"][0]["attempts"] == 0);
}

TEST_CASE("compensations do not wait behind actions") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  nodes.define(node, limited(R"({"maxInFlight":4})",
                             undoable("a") +
                                 R"(,{"name":"stop","when":"${input.no}","fail":{"code":"NO"}})"));
  nodes.script = [](const Call&) {
    return Reaction{engine::Response{200, {}, nullptr}, Duration{5'000}};
  };
  const auto failing = nodes.start(node, "t.q", {{"no", true}});
  REQUIRE(failing.has_value());
  for (int i = 0; i < 50; ++i) REQUIRE(nodes.start(node, "t.q", {{"no", false}}).has_value());
  const auto began = nodes.world.now();
  CHECK(status_of(nodes.await_end(node, failing->id, Duration{60'000})) == "FAILED");
  CHECK(nodes.world.now() - began < Duration{11'000});
}

TEST_CASE("a node that loses its lease sends nothing of its queue") {
  Nodes nodes;
  TestNode& sleepy = nodes.add("a");
  nodes.define(sleepy, limited(R"({"maxInFlight":1})", undoable("a")));
  nodes.script = [](const Call&) {
    return Reaction{engine::Response{200, {}, nullptr}, Duration{9'000}};
  };
  std::vector<SagaId> sagas;
  for (int i = 0; i < 3; ++i) {
    const auto started = nodes.start(sleepy, "t.q");
    REQUIRE(started.has_value());
    sagas.push_back(started->id);
  }
  nodes.world.run_for(Duration{100});
  CHECK(nodes.sent.size() == 1);
  sleepy.pause(true);
  nodes.script = [](const Call&) { return answers(200); };
  TestNode& heir = nodes.add("b");
  REQUIRE(
      nodes.world.run_until([&] { return heir.engine->counters().ended == 3; }, Duration{60'000}));
  CHECK(nodes.sent.size() == 4);
  sleepy.pause(false);
  nodes.world.run_for(Duration{60'000});
  CHECK(nodes.sent.size() == 4);
  for (const auto& saga : sagas) CHECK(status_of(nodes.view(heir, saga)) == "COMPLETED");
}

/// Refuses every connection for a while.
struct Absent {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  std::size_t refused = 0;
  std::size_t served = 0;

  Absent(const std::string& steps, std::size_t sagas, Duration away) {
    nodes.define(node, limited("{}", steps));
    const auto back_at = nodes.world.now() + away;
    nodes.script = [this, back_at](const Call& call) -> Reaction {
      if (call.request.service != "s" || nodes.world.now() >= back_at) {
        if (call.request.service == "s") ++served;
        return {engine::Response{200, {}, nullptr}, Duration{5}};
      }
      ++refused;
      return {engine::TransportError{dsl::Transport::connect, false, "refused"}, Duration{1}};
    };
    engine::StartRequest request;
    request.definition = "t.q";
    for (std::size_t i = 0; i < sagas; ++i) node.engine->start(0, request, [](const auto&) {});
  }

  bool all_end(std::size_t sagas, Duration within) {
    return nodes.world.run_until([&] { return node.engine->counters().ended == sagas; }, within);
  }
};

TEST_CASE(
    "a service that refuses every connection for a minute fails no saga, and is hardly asked") {
  constexpr std::size_t sagas = 500;
  Absent scene(undoable("a"), sagas, Duration{60'000});
  REQUIRE(scene.all_end(sagas, Duration{70'000}));
  CHECK(scene.served == sagas);
  // Those that were on their way when the first was refused, then one a second.
  CHECK(scene.refused <= 75);
}

TEST_CASE(
    "a call is held for as long as its retries would take, then it goes out for the last time") {
  constexpr std::size_t sagas = 500;
  Absent scene(undoable("a"), sagas, Duration{3'600'000});
  CHECK_FALSE(scene.all_end(1, Duration{60'000}));
  REQUIRE(scene.all_end(sagas, Duration{80'000}));
  CHECK(scene.served == 0);
  CHECK(scene.refused >= sagas);
  CHECK(scene.refused <= sagas + 150);
}

TEST_CASE("a call that is not tried again is not held, and no saga fails for others' refusals") {
  for (const char* retry :
       {R"({"maxAttempts":1})", R"({"on":["unknown"]})", R"({"except":["TRANSPORT_CONNECT"]})"}) {
    CAPTURE(retry);
    constexpr std::size_t sagas = 30;
    Absent scene(undoable("a", std::string(R"(,"retry":)") + retry), sagas, Duration{3'000});
    REQUIRE(scene.all_end(sagas, Duration{2'000}));
    CHECK(scene.refused == sagas);
    scene.nodes.world.run_for(Duration{3'000});
    engine::StartRequest request;
    request.definition = "t.q";
    for (std::size_t i = 0; i < sagas; ++i)
      scene.node.engine->start(0, request, [](const auto&) {});
    REQUIRE(scene.all_end(2 * sagas, Duration{3'000}));
    CHECK(scene.served == sagas);
  }
}

TEST_CASE("what has to be done waits for a service that is away for an hour") {
  constexpr std::size_t sagas = 20;
  Absent scene(R"({"name":"p","kind":"pivot","action":{"service":"f","http":"PUT /p"}},
               {"name":"r","kind":"retryable","action":{"service":"s","http":"PUT /r"}})",
               sagas, Duration{3'600'000});
  CHECK_FALSE(scene.all_end(1, Duration{3'599'000}));
  REQUIRE(scene.all_end(sagas, Duration{600'000}));
  CHECK(scene.served == sagas);
}

}  // namespace
}  // namespace backstitch::test

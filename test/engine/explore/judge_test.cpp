/// Wrong traces by hand: the judge has to see what the machine would never do.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/parse.hpp>

#include "../../../engine/explore/judge.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace backstitch::engine::explore;

namespace {

const char* const block =
    R"({"dsl":1,"name":"t.j","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
  {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
  {"name":"both","parallel":{"compensationOrder":"ORDER","branches":{
    "l":[{"name":"x","action":{"service":"s","http":"PUT /x"},"compensation":{"http":"DELETE /x"}}],
    "r":[{"name":"y","action":{"service":"s","http":"PUT /y"},"compensation":{"http":"DELETE /y"}}]}}},
  {"name":"p","kind":"pivot","action":{"service":"s","http":"PUT /p"}}]})";

/// A position put together by hand.
class Trace {
 public:
  explicit Trace(const std::string& order = "mirror") {
    std::string text = block;
    text.replace(text.find("ORDER"), 5, order);
    program.definition = dsl::parse_definition(text).definition;
    REQUIRE(program.definition);
    positions.emplace(program, true, true);
    judge.emplace(program, *positions);
    state().failure = Failure{"BROKEN", "failure", "", "", nullptr};
    state().status = SagaStatus::compensating;
  }
  SagaState& state() { return positions->state(); }
  Trace& with(const std::string& path, Deed deed, StepStatus status = StepStatus::succeeded,
              std::uint16_t number = 0) {
    const Slot slot = positions->slot_of(path);
    positions->ledger(slot).deed = deed;
    positions->ledger(slot).number = number;
    state().steps[path].status = status;
    return *this;
  }
  /// A key of this path: `key-of-both-l-x`.
  static std::string key(std::string start, const std::string& path) {
    for (const char c : path) start += c == '/' ? '-' : c;
    return start;
  }
  std::string undo(const std::string& path, const std::string& compensates = "key-of-") {
    auto& undo = state().steps[path].undo;
    RenderedRequest request;
    request.key = key("undo-of-", path);
    request.compensates = key(compensates, path);
    undo.request = std::make_shared<const RenderedRequest>(request);
    undo.in_flight = true;
    return said(judge->judge({}, {}, {CallParticipant{path, Phase::compensate, 1}}));
  }
  std::string call(const std::string& path, const std::string& start = "key-of-") {
    RenderedRequest request;
    request.key = key(start, path);
    state().steps[path].forward.request = std::make_shared<const RenderedRequest>(request);
    return said(judge->judge({}, {}, {CallParticipant{path, Phase::forward, 1}}));
  }
  std::string end(SagaStatus status) {
    state().status = status;
    return said(judge->judge_end());
  }
  std::string probe(const std::string& path, const std::string& probes,
                    const std::string& own = "") {
    RenderedRequest request;
    request.key = own;
    request.probes = probes;
    state().steps[path].probe.request = std::make_shared<const RenderedRequest>(request);
    return said(judge->judge({}, {}, {CallParticipant{path, Phase::probe, 1}}));
  }
  static std::string said(const std::optional<Breach>& breach) {
    return breach ? breach->promise + " " + breach->what : "";
  }

  Program program;
  std::optional<Positions> positions;
  std::optional<Judge> judge;
};

}  // namespace

TEST_CASE("what came after is undone before") {
  Trace trace;
  trace.with("a", Deed::done).with("both/l/x", Deed::done).with("both/r/y", Deed::maybe);
  CHECK(trace.undo("a") == "I4 a is undone before both/l/x, which came after it");
  CHECK(trace.undo("both/r/y").empty());
  CHECK(trace.undo("both/l/x").empty());
  trace.with("both/l/x", Deed::undone, StepStatus::compensated);
  CHECK(trace.undo("a") == "I4 a is undone before both/r/y, which came after it");
  trace.with("both/r/y", Deed::undone, StepStatus::compensated);
  CHECK(trace.undo("a").empty());
}

TEST_CASE("a serial block is undone in the reverse order of completion") {
  Trace trace("serial");
  trace.with("both/l/x", Deed::done, StepStatus::succeeded, 1);
  trace.with("both/r/y", Deed::done, StepStatus::succeeded, 2);
  CHECK(trace.undo("both/l/x") ==
        "I4 both/l/x is undone before both/r/y, against the serial order of both");
  CHECK(trace.undo("both/r/y").empty());
}

TEST_CASE("nothing is undone without need, without a failure, or while calls are on their way") {
  Trace trace;
  trace.with("a", Deed::refused, StepStatus::failed);
  CHECK(trace.undo("a") == "I4 a is undone although it is known not to be done");
  trace.with("a", Deed::done).with("both/l/x", Deed::unseen, StepStatus::running);
  trace.state().steps["both/l/x"].forward.in_flight = true;
  CHECK(trace.undo("a") == "I4 a is undone while a call of the saga is still on its way");
  Trace healthy;
  healthy.with("a", Deed::done);
  healthy.state().failure.reset();
  healthy.state().status = SagaStatus::running;
  CHECK(healthy.undo("a") == "I4 a is undone although nothing failed that asks for it");
}

TEST_CASE("nothing is undone after the pivot") {
  Trace trace;
  trace.with("a", Deed::done).with("p", Deed::maybe, StepStatus::running);
  CHECK(trace.undo("a") == "I9 a is undone although the pivot took effect, or may have");
}

TEST_CASE("keys belong to one step, and an undo names the key of its call") {
  Trace trace;
  trace.state().failure.reset();
  trace.state().status = SagaStatus::running;
  trace.with("a", Deed::unseen, StepStatus::running);
  CHECK(trace.call("a").empty());
  trace.with("a", Deed::done);
  CHECK(trace.call("a") == "I3 a is called again although it is known to be done");
  trace.with("both/l/x", Deed::unseen, StepStatus::running);
  auto& request = trace.state().steps["both/l/x"].forward.request;
  CHECK(trace.call("both/l/x").empty());
  CHECK(request->key == "key-of-both-l-x");
  CHECK(trace.undo("both/l/x", "another-key-of-") ==
        "I5 the undo of both/l/x names another key than its call had");
}

TEST_CASE("a key survives a URL, and two differ even without regard to case") {
  Trace trace;
  trace.state().failure.reset();
  trace.state().status = SagaStatus::running;
  trace.with("a", Deed::unseen, StepStatus::running);
  CHECK(trace.call("a", "x/") == "I3 the key of a does not survive a URL: x/a");
  CHECK(trace.call("a", "x.").starts_with("I3 the key of a does not survive a URL"));
  CHECK(trace.call("a", std::string(128, 'x')).starts_with("I3 the key of a does not survive"));
  CHECK(trace.call("a", "x-").empty());
  trace.with("p", Deed::unseen, StepStatus::running);
  RenderedRequest same;
  same.key = "X-A";
  trace.state().steps["p"].forward.request = std::make_shared<const RenderedRequest>(same);
  CHECK(Trace::said(trace.judge->judge({}, {}, {CallParticipant{"p", Phase::forward, 1}})) ==
        "I3 p is called with the key of another step");
}

TEST_CASE("a probe has no key of its own and names that of its call") {
  Trace trace;
  trace.state().failure.reset();
  trace.state().status = SagaStatus::running;
  trace.with("a", Deed::unseen, StepStatus::running);
  trace.call("a");
  const std::string wrong = "I3 a probe of a asks for another key than its call had";
  CHECK(trace.probe("a", "key-of-a").empty());
  CHECK(trace.probe("a", "key-of-b") == wrong);
  CHECK(trace.probe("a", "key-of-a", "key-of-a") == wrong);
}

TEST_CASE("an end is judged by what participants know") {
  Trace trace;
  trace.with("a", Deed::done);
  CHECK(trace.end(SagaStatus::failed) ==
        "I1 the saga ends as failed, and a is done and not undone");
  trace.with("a", Deed::maybe, StepStatus::unknown);
  CHECK(trace.end(SagaStatus::failed) ==
        "I1 the saga ends as failed, and a may be done and not undone");
  trace.with("a", Deed::undone, StepStatus::compensated);
  CHECK(trace.end(SagaStatus::failed).empty());
  CHECK(trace.end(SagaStatus::failed_incomplete) == "I1 FAILED_INCOMPLETE, and nothing was left");
  CHECK(trace.end(SagaStatus::completed) == "I1 the saga ends as completed, and a is not done");
  CHECK(trace.end(SagaStatus::suspended) == "I1 the saga is suspended without a reason");
  CHECK(trace.end(SagaStatus::running) == "I1 the saga is RUNNING and nothing can happen any more");
}

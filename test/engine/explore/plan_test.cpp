/// What a command would set going.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/check.hpp>
#include <backstitch/engine/explore/plan.hpp>

using namespace backstitch;
using namespace backstitch::engine;

namespace {

constexpr TimePoint t0{Duration{1'790'000'000'000}};

Program plan_program(const std::string& steps) {
  auto parsed = dsl::parse_and_check(
      R"({"dsl":1,"name":"t.plan","version":1,"timeout":"1h","services":{"s":{"baseUrl":"https://s.example"}},"steps":[)" +
      steps + "]}");
  for (const auto& finding : parsed.findings) MESSAGE(finding.code << " " << finding.message);
  REQUIRE(parsed.definition);
  return {parsed.definition, std::make_shared<ServiceMap>(), nullptr};
}

/// One attempt each, so that what goes wrong once suspends the saga.
std::string retry_once(const std::string& name, const std::string& kind = "") {
  const std::string once = R"("retry":{"maxAttempts":1})";
  const std::string undo = R"("compensation":{"http":"DELETE /)" + name + R"(",)" + once + "}";
  return R"({"name":")" + name + R"(","action":{"service":"s","http":"PUT /)" + name + R"("},)" +
         once + "," + (kind.empty() ? undo : R"("kind":")" + kind + "\"") + "}";
}

/// A saga that has been moved along by hand.
struct Saga {
  explicit Saga(const std::string& steps) : program(plan_program(steps)) {
    give(Start{SagaId::make(t0, 1, 2, 3), Json::object(), {}, std::nullopt});
  }
  void give(StimulusBody body) {
    auto made = decide(program, std::move(state), {t0, 1, std::move(body)});
    REQUIRE_FALSE(made.refused);
    state = std::move(made.next);
  }
  void answer(const StepPath& path, int status, Phase phase = Phase::forward) {
    const std::uint32_t attempt = call_of(state.steps.at(path), phase).attempts;
    give(CallEnded{path, phase, attempt, Response{status, {}, Json::object()}});
  }
  std::string plan(StimulusBody command) const {
    const auto made = explore::plan_of(program, state, std::move(command), t0);
    if (!made) return made.error().reason;
    std::string text;
    for (const auto& one : made->steps)
      text += std::string(to_text(one.action)) + " " + one.path +
              (one.request.empty() ? "" : " (" + one.request + ")") + ", ";
    return text + to_text(made->end) + (made->complete ? "" : " and more");
  }
  Program program;
  SagaState state;
};

}  // namespace

TEST_CASE("the plan of a retry at a pivot is the rest of the way forward") {
  Saga saga(retry_once("a") + "," + retry_once("p", "pivot") + "," + retry_once("b", "retryable"));
  saga.answer("a", 200);
  saga.answer("p", 500);
  REQUIRE(saga.state.status == SagaStatus::suspended);
  CHECK(saga.plan(Retry{"ann", ""}) == "run p (PUT /p), run b (PUT /b), COMPLETED");
  CHECK(saga.plan(Resolve{"p", Resolution::done, Json::object()}) == "run b (PUT /b), COMPLETED");
}

TEST_CASE("the plan of a cancellation awaits what is on its way, then undoes in mirror order") {
  Saga saga(retry_once("a") + "," + retry_once("b") + "," + retry_once("c"));
  saga.answer("a", 200);
  saga.answer("b", 200);
  CHECK(saga.plan(Cancel{"ann", ""}) ==
        "await c (PUT /c), undo c (DELETE /c), undo b (DELETE /b), undo a (DELETE /a), FAILED");
}

TEST_CASE("the plan of a skipped undo goes on with the rest") {
  Saga saga(retry_once("a") + "," + retry_once("b") + "," + retry_once("c"));
  saga.answer("a", 200);
  saga.answer("b", 200);
  saga.answer("c", 409);
  saga.answer("b", 500, Phase::compensate);
  REQUIRE(saga.state.status == SagaStatus::suspended);
  CHECK(saga.plan(Skip{"b", "ann", ""}) == "undo a (DELETE /a), FAILED_INCOMPLETE");
  CHECK(saga.plan(Retry{"ann", ""}) == "undo b (DELETE /b), undo a (DELETE /a), FAILED");
}

TEST_CASE("a plan goes through waits, and a command that is not possible has none") {
  Saga saga(retry_once("a") + R"(,{"name":"w","wait":{"signal":"go","timeout":"10m"}},)" +
            retry_once("b"));
  CHECK(saga.plan(Retry{"ann", ""}) == "nothing-to-retry");
  saga.answer("a", 200);
  CHECK(saga.plan(Signal{"go", nullptr, "ann", {"*"}}) == "run b (PUT /b), COMPLETED");
}

TEST_CASE("the plan of a pivot that was not done warns of a late copy, and names the request") {
  Saga saga(retry_once("a") + "," + retry_once("p", "pivot"));
  saga.answer("a", 200);
  saga.answer("p", 500);
  const auto plan =
      explore::plan_of(saga.program, saga.state, Resolve{"p", Resolution::not_done}, t0);
  REQUIRE(plan);
  CHECK(plan->end == SagaStatus::failed);
  REQUIRE(plan->warnings.size() == 3);
  for (const std::string& part : {std::string("PUT https://s.example/p"), std::string("attempt 1"),
                                  to_rfc3339(t0), saga.state.steps.at("p").forward.request->key})
    CHECK(plan->warnings[0].find(part) != std::string::npos);
  CHECK(plan->warnings[1].find("late copy") != std::string::npos);
  CHECK(plan->warnings[2].find("afterFailed") != std::string::npos);
  const auto done = explore::plan_of(saga.program, saga.state, Resolve{"p", Resolution::done}, t0);
  REQUIRE(done);
  CHECK(done->warnings.empty());
}

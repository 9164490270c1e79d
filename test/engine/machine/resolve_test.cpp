// What an operator's word about a suspended step sets going.
#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;
using engine::Phase;
using engine::Resolution;

namespace {

/// a; hold, whose undo needs the id of its output; and b, which fails.
const std::string hold =
    R"({"name":"hold","action":{"service":"s","http":"POST /holds"},"retry":{"maxAttempts":1},
      "probe":{"http":"GET /holds","sealed":true,"retry":{"maxAttempts":1}},
      "output":{"id":"${response.body.id}"},"capture":{"token":"${response.body.token}"},
      "compensation":{"http":"DELETE /holds/${self.output.id}","headers":{"Token":"${self.captured.token}"}}})";

/// Suspended at the probe, which could not find out what became of the hold.
Play undecided() {
  Play play(saga(step("a") + "," + hold + "," + step("b")));
  play.start();
  play.answer("a", 200);
  play.lost("hold");
  play.probe("hold", 503);
  REQUIRE(play.status() == "SUSPENDED");
  return play;
}

/// The undo of `hold` was given up after it was sent.
Play hold_given_up(const std::string& more = "") {
  Play play(saga(step("a") + "," + step("hold", more) + "," + step("b")));
  play.start();
  play.answer("a", 200);
  if (more.empty())
    play.answer("hold", 200);
  else
    play.lost("hold");
  if (more.empty()) play.answer("b", 409);
  play.now += 25h;
  play.undo("hold", 500);
  REQUIRE(play.status() == "SUSPENDED");
  return play;
}

const std::string tried_once = R"(,"retry":{"maxAttempts":1})";

}  // namespace

TEST_CASE("a step that an operator found done is undone with what the operator gave") {
  auto play = undecided();
  SUBCASE("its undo must be possible with it, or nothing changes") {
    const Json before = engine::view(play.program, play.state);
    CHECK(play.resolve_as("hold", Resolution::done) == "refused compensation-not-renderable");
    CHECK(play.resolve_as("hold", Resolution::done, Json{{"id", 7}}) ==
          "refused compensation-not-renderable");
    CHECK(play.last.refused->code == ErrorCode::invalid);
    CHECK(engine::view(play.program, play.state) == before);
  }
  CHECK(play.resolve_as("hold", Resolution::done, Json{{"id", 7}}, Json{{"token", "t"}}) ==
        "OperatorActed hold resolve done, StepSucceeded hold, StepScheduled b | call b forward #1");
  play.answer("b", 409);
  CHECK(play.request("hold", Phase::compensate).target == "/holds/7");
}

TEST_CASE("a step that an operator found not done fails, and leads back") {
  auto play = undecided();
  CHECK(play.resolve_as("hold", Resolution::compensated) == "refused step-not-resolvable");
  CHECK(
      play.resolve_as("hold", Resolution::not_done) ==
      "OperatorActed hold resolve not-done, StepFailed hold RESOLVED_NOT_DONE, "
      "CompensationStarted RESOLVED_NOT_DONE, StepCompensationScheduled a | call a compensate #1");
}

TEST_CASE("a compensation that was sent is resolved as compensated, or sent again as it is") {
  auto play = hold_given_up();
  SUBCASE("compensated") {
    CHECK(play.resolve_as("hold", Resolution::compensated) ==
          "OperatorActed hold resolve compensated, StepCompensated hold, "
          "StepCompensationScheduled a | call a compensate #1");
    CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED");
  }
  SUBCASE("the action is done, so its undo is sent again with the same bytes and a new budget") {
    const auto before = play.request("hold", Phase::compensate);
    CHECK(play.resolve_as("hold", Resolution::done, Json{{"id", 7}}) ==
          "refused step-not-resolvable");
    CHECK(play.resolve_as("hold", Resolution::done) ==
          "OperatorActed hold resolve done, AttemptStarted hold compensate #2 | call hold "
          "compensate #2");
    CHECK(play.request("hold", Phase::compensate) == before);
    CHECK(play.state.steps.at("hold").undo.attempts_before == 1);
  }
  SUBCASE("a step that is known to be done cannot be found not done") {
    CHECK(play.resolve_as("hold", Resolution::not_done) == "refused step-not-resolvable");
  }
}

TEST_CASE("the compensation of a step of unknown outcome ends without a call if it was not done") {
  auto play = hold_given_up(tried_once);
  CHECK(play.resolve_as("hold", Resolution::not_done) ==
        "OperatorActed hold resolve not-done, StepCompensationSkipped hold not-done, "
        "StepCompensationScheduled a | call a compensate #1");
  CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED");
}

TEST_CASE("a compensation that cannot be rendered is rendered with what an operator gives") {
  // Only the failure that came makes it read the output.
  Play play(saga(
      R"({"name":"hold","action":{"service":"s","http":"POST /holds"},"retry":{"maxAttempts":1},
        "compensation":{"http":"DELETE /holds/${failure.class == 'unknown' ? self.output.id : 'x'}"}},)" +
      step("b")));
  play.start();
  CHECK(play.lost("hold") ==
        "AttemptFailed hold forward #1 unknown, StepUnknown hold OUTCOME_UNKNOWN, "
        "CompensationStarted OUTCOME_UNKNOWN, SagaSuspended hold EXPRESSION_FAILED");
  Play other = play;
  CHECK(other.resolve_as("hold", Resolution::not_done) ==
        "OperatorActed hold resolve not-done, StepCompensationSkipped hold not-done, SagaEnded "
        "FAILED");
  CHECK(play.resolve_as("hold", Resolution::done) == "refused compensation-not-renderable");
  CHECK(play.resolve_as("hold", Resolution::done, Json{{"id", 7}}) ==
        "OperatorActed hold resolve done, StepSucceeded hold but OUTCOME_UNKNOWN, "
        "StepCompensationScheduled hold | call hold compensate #1");
  CHECK(play.request("hold", Phase::compensate).target == "/holds/7");
}

TEST_CASE("a step that succeeded without usable output is undone with what an operator gives") {
  Play play(saga(
      R"({"name":"hold","action":{"service":"s","http":"POST /holds"},"probe":{"http":"GET /holds","sealed":true},
        "compensation":{"http":"DELETE /holds/${self.output.id}"}},)" +
      step("b")));
  play.start();
  CHECK(play.answer("hold", 200, "{}") ==
        "StepSucceeded hold but EXPRESSION_FAILED, CompensationStarted EXPRESSION_FAILED, "
        "SagaSuspended hold EXPRESSION_FAILED");
  CHECK(play.resolve_as("hold", Resolution::not_done) == "refused step-not-resolvable");
  CHECK(play.resolve_as("hold", Resolution::done, Json{{"id", 7}})
            .ends_with("call hold compensate #1"));
}

TEST_CASE("a pivot that an operator found not done leads back, however late") {
  Play play(saga(step("a") + "," + pivot("p", tried_once) + "," + retryable("r")));
  play.start();
  play.answer("a", 200);
  SUBCASE("within the saga's timeout") {
    play.lost("p");
  }
  SUBCASE("after the saga's timeout, which passed meanwhile") {
    play.tick(2h);
    play.lost("p");
  }
  REQUIRE(play.status() == "SUSPENDED");
  CHECK(play.resolve_as("p", Resolution::not_done) ==
        "OperatorActed p resolve not-done, StepFailed p RESOLVED_NOT_DONE, CompensationStarted "
        "RESOLVED_NOT_DONE, StepCompensationScheduled a | call a compensate #1");
}

TEST_CASE("a pivot that is known to be done cannot be found not done") {
  Play play(saga(step("a") + "," + pivot("p", R"(,"output":{"x":"${response.body.x}"})")));
  play.start();
  play.answer("a", 200);
  play.answer("p", 200);
  REQUIRE(play.status() == "SUSPENDED");
  CHECK(play.resolve_as("p", Resolution::not_done) == "refused step-not-resolvable");
  CHECK(play.resolve_as("p", Resolution::done, Json{{"x", 1}}) ==
        "OperatorActed p resolve done, StepSucceeded p, SagaEnded COMPLETED");
}

TEST_CASE(
    "what was done without usable output is not sent again, and goes on with an output only") {
  Play play(saga(step("a") + "," + pivot("p", R"(,"output":{"x":"${response.body.x}"})")));
  play.start();
  play.answer("a", 200);
  play.answer("p", 200);
  REQUIRE(play.status() == "SUSPENDED");
  CHECK(play.retry() == "refused output-missing");
  CHECK(play.resolve_as("p", Resolution::done) == "refused output-missing");
  CHECK(play.resolve_as("p", Resolution::done, Json()) ==
        "OperatorActed p resolve done, StepSucceeded p, SagaEnded COMPLETED");
}

TEST_CASE("a retryable step that an operator found not done is sent again with its key") {
  Play play(saga(pivot("p") + "," +
                 R"({"name":"r","kind":"retryable","retry":{"maxAttempts":2},
                   "probe":{"http":"GET /r","retry":{"maxAttempts":1}},
                   "action":{"service":"s","http":"PUT /r"}})"));
  play.start();
  play.answer("p", 200);
  play.lost("r");
  const auto before = play.request("r");
  play.wake();
  play.lost("r");
  CHECK(play.probe("r", 503) ==
        "AttemptFailed r probe #1 unknown, SagaSuspended r OUTCOME_UNKNOWN");
  CHECK(play.resolve_as("r", Resolution::not_done) ==
        "OperatorActed r resolve not-done, AttemptStarted r forward #3 | call r forward #3");
  CHECK(play.request("r") == before);
  CHECK(play.lost("r").find("again in") != std::string::npos);
}

TEST_CASE("what calls no participant can only be resolved as done") {
  Play play(saga(pivot("p") + R"(,{"name":"v","value":"${steps.p.output.id}"})"));
  play.start();
  play.answer("p", 200);
  CHECK(play.resolve_as("v", Resolution::not_done) == "refused step-not-resolvable");
  CHECK(play.resolve_as("v", Resolution::done, Json(5)) ==
        "OperatorActed v resolve done, StepSucceeded v, SagaEnded COMPLETED");
}

TEST_CASE("a name that is suspended in several iterations does not say which is meant") {
  Play play(
      saga(R"({"name":"loop","forEach":{"in":"${[1,2]}","as":"i","maxConcurrency":2,"steps":[)" +
           step("x") + "]}}," + step("b")));
  play.start();
  play.answer("loop[0]/x", 200);
  play.answer("loop[1]/x", 200);
  play.answer("b", 409);
  play.now += 25h;
  play.undo("loop[0]/x", 500);
  play.undo("loop[1]/x", 500);
  CHECK(play.resolve_as("x", Resolution::compensated) == "refused step-ambiguous");
  CHECK(play.skip("x") == "refused step-ambiguous");
  CHECK(play.resolve_as("loop[1]/x", Resolution::compensated) ==
        "OperatorActed loop[1]/x resolve compensated, StepCompensated loop[1]/x");
}

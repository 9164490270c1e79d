#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

/// After the pivot two branches: x, then x2; and y.
const std::string two_after_pivot =
    saga(pivot("p") + R"(,{"name":"both","parallel":{"branches":{"l":[)" + retryable("x") + "," +
         retryable("x2") + R"(],"r":[)" + retryable("y") + "]}}}");
/// Two steps with an undo, beside each other, and one after them.
const std::string two_undone = saga(step("a") + R"(,{"name":"both","parallel":{"branches":{"l":[)" +
                                    step("x") + R"(],"r":[)" + step("y") + "]}}}," + step("b"));

const std::string notices =
    R"(,"onSuspended":[
      {"name":"page","kind":"retryable","action":{"service":"s","http":"PUT /page",
        "body":{"why":"${failure.code}","step":"${failure.step}"}}},
      {"name":"log","kind":"retryable","action":{"service":"s","http":"PUT /log"}}])";

Play after_pivot(const std::string& definition = two_after_pivot) {
  Play play(definition);
  play.start();
  play.answer("p", 200);
  return play;
}

void give_up_undo(Play& play, const std::string& path) {
  play.now += 25h;
  play.undo(path, 500);
}

}  // namespace

TEST_CASE("while one branch is suspended the answer of another one is recorded") {
  auto play = after_pivot();
  play.answer("both/l/x", 404);
  SUBCASE("success") {
    CHECK(play.answer("both/r/y", 200) == "StepSucceeded both/r/y");
    CHECK(play.resolve("x", "1") ==
          "OperatorActed both/l/x resolve done, StepSucceeded both/l/x, StepScheduled both/l/x2 | "
          "call "
          "both/l/x2 forward #1");
  }
  SUBCASE("no answer: the next attempt waits for the operator, too") {
    CHECK(play.lost("both/r/y") == "AttemptFailed both/r/y forward #1 unknown again in 500ms");
    CHECK_FALSE(engine::next_wake(play.state));
    CHECK(play.tick(10s) == "");
    CHECK(play.skip("x") ==
          "OperatorActed both/l/x skip, StepSkipped both/l/x, StepScheduled both/l/x2 | call "
          "both/l/x2 forward #1");
    CHECK(play.tick(0ms) == "AttemptStarted both/r/y forward #2 | call both/r/y forward #2");
  }
  SUBCASE("a node that dies does not lose the other branch's call") {
    CHECK(play.take_over() == "Resumed, AttemptFailed both/r/y forward #1 unknown again in 0s");
    CHECK(play.status() == "SUSPENDED");
    CHECK(play.take_over() == "");
    CHECK(play.retry() ==
          "OperatorActed both/l/x retry, AttemptStarted both/l/x forward #2, AttemptStarted "
          "both/r/y forward #2 | call both/l/x forward #2 | call both/r/y forward #2");
  }
}

TEST_CASE("two steps may be suspended; the saga goes on when both are seen to") {
  auto play = after_pivot();
  play.answer("both/l/x", 404);
  CHECK(play.answer("both/r/y", 410) ==
        "AttemptFailed both/r/y forward #1 failure, SagaSuspended both/r/y HTTP_410");
  REQUIRE(play.state.suspensions.size() == 2);
  SUBCASE("retry tries both again") {
    CHECK(play.retry() ==
          "OperatorActed both/l/x retry, OperatorActed both/r/y retry, AttemptStarted both/l/x "
          "forward #2, AttemptStarted both/r/y forward #2 | call both/l/x forward #2 | call "
          "both/r/y forward #2");
    CHECK(play.status() == "RUNNING");
  }
  SUBCASE("skip and resolve, one after the other") {
    CHECK(play.skip("y") == "OperatorActed both/r/y skip, StepSkipped both/r/y");
    CHECK(play.status() == "SUSPENDED");
    CHECK(play.skip("y") == "refused step-not-suspended");
    CHECK(play.resolve("both/l/x", "{}") ==
          "OperatorActed both/l/x resolve done, StepSucceeded both/l/x, StepScheduled both/l/x2 | "
          "call "
          "both/l/x2 forward #1");
    CHECK(play.answer("both/l/x2", 200).ends_with("StepSucceeded both, SagaEnded COMPLETED"));
  }
  SUBCASE("skipping the first leaves the second to be tried again") {
    play.skip("x");
    CHECK(play.retry() ==
          "OperatorActed both/r/y retry, AttemptStarted both/r/y forward #2, StepScheduled "
          "both/l/x2 | call both/r/y forward #2 | call both/l/x2 forward #1");
  }
  SUBCASE("nothing else is possible meanwhile") {
    CHECK(play.skip("") == "refused step-not-suspended");
    CHECK(play.skip("both") == "refused step-not-suspended");
    CHECK(play.cancel() == "refused pivot-passed");
    CHECK(play.tick(100h) == "");
  }
}

TEST_CASE("two undos may be suspended beside each other") {
  Play play(two_undone);
  for (const char* path : {"a", "both/l/x", "both/r/y"}) {
    if (play.state.steps.empty()) play.start();
    play.answer(path, 200);
  }
  play.answer("b", 409);
  give_up_undo(play, "both/l/x");
  CHECK(play.status() == "SUSPENDED");
  SUBCASE("the one that is still on its way is recorded") {
    CHECK(play.undo("both/r/y", 200) == "StepCompensated both/r/y");
    CHECK(play.retry() ==
          "OperatorActed both/l/x retry, AttemptStarted both/l/x compensate #2 | call both/l/x "
          "compensate #2");
    CHECK(play.undo("both/l/x", 200) ==
          "StepCompensated both/l/x, StepCompensationScheduled a | call a compensate #1");
  }
  SUBCASE("skipped, and the other one resolved") {
    give_up_undo(play, "both/r/y");
    CHECK(play.skip("x") ==
          "OperatorActed both/l/x skip, StepCompensationSkipped both/l/x operator");
    CHECK(play.resolve_as("y", engine::Resolution::compensated) ==
          "OperatorActed both/r/y resolve compensated, StepCompensated both/r/y, "
          "StepCompensationScheduled a | "
          "call a compensate #1");
    CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED_INCOMPLETE");
  }
}

TEST_CASE("notices run when the saga is suspended, one after the other, and are told why") {
  auto play = after_pivot(saga(pivot("p") + "," + retryable("r"), notices));
  CHECK(play.answer("r", 404) ==
        "AttemptFailed r forward #1 failure, SagaSuspended r HTTP_404, StepScheduled "
        "onSuspended[1]/page | call onSuspended[1]/page forward #1");
  CHECK(play.request("onSuspended[1]/page").body == R"({"step":"r","why":"HTTP_404"})");
  SUBCASE("both, and the saga stays suspended") {
    CHECK(play.answer("onSuspended[1]/page", 200) ==
          "StepSucceeded onSuspended[1]/page, StepScheduled onSuspended[1]/log | call "
          "onSuspended[1]/log forward #1");
    CHECK(play.answer("onSuspended[1]/log", 200) == "StepSucceeded onSuspended[1]/log");
    CHECK(play.status() == "SUSPENDED");
    CHECK(play.tick(1h) == "");
  }
  SUBCASE("tried again while nobody answers, over a take-over, too") {
    CHECK(play.lost("onSuspended[1]/page") ==
          "AttemptFailed onSuspended[1]/page forward #1 unknown again in 500ms");
    CHECK(play.wake() ==
          "AttemptStarted onSuspended[1]/page forward #2 | call onSuspended[1]/page forward #2");
    CHECK(play.take_over().starts_with("Resumed, AttemptFailed onSuspended[1]/page forward #2"));
  }
  SUBCASE("a failure of one changes nothing but that the rest is left out") {
    CHECK(play.answer("onSuspended[1]/page", 404) == "StepFailed onSuspended[1]/page HTTP_404");
    CHECK(play.status() == "SUSPENDED");
    CHECK(play.resolve("r", "1") ==
          "OperatorActed r resolve done, StepSucceeded r, SagaEnded COMPLETED");
  }
  SUBCASE("once a suspension, with a place of their own in the log") {
    play.answer("onSuspended[1]/page", 200);
    CHECK(play.retry().find("AttemptStarted r forward #2") != std::string::npos);
    CHECK(play.answer("onSuspended[1]/log", 200) == "StepSucceeded onSuspended[1]/log");
    CHECK(play.answer("r", 404) ==
          "AttemptFailed r forward #2 failure, SagaSuspended r HTTP_404, StepScheduled "
          "onSuspended[2]/page | call onSuspended[2]/page forward #1");
  }
  SUBCASE("an end of the saga does not wait for them") {
    CHECK(play.skip("r") == "OperatorActed r skip, StepSkipped r, SagaEnded COMPLETED");
    CHECK_FALSE(engine::has_call_in_flight(play.state));
    CHECK(play.answer("onSuspended[1]/page", 200) == "");
  }
}

TEST_CASE("a second suspended step while the saga is suspended gives no second notice") {
  auto play = after_pivot(two_after_pivot.substr(0, two_after_pivot.size() - 1) + notices + "}");
  play.answer("both/l/x", 404);
  CHECK(play.answer("both/r/y", 404) ==
        "AttemptFailed both/r/y forward #1 failure, SagaSuspended both/r/y HTTP_404");
}

TEST_CASE("a notice whose probe cannot find out anything suspends nothing") {
  auto play = after_pivot(saga(
      pivot("p") + "," + retryable("r"),
      R"(,"onSuspended":[{"name":"page","kind":"retryable","retry":{"maxAttempts":1},"action":{"service":"s","http":"PUT /page"},
        "probe":{"http":"GET /page","retry":{"maxAttempts":1}}}])"));
  play.answer("r", 404);
  play.lost("onSuspended[1]/page");
  CHECK(play.probe("onSuspended[1]/page", 500) ==
        "AttemptFailed onSuspended[1]/page probe #1 unknown, StepFailed onSuspended[1]/page "
        "OUTCOME_UNKNOWN");
  CHECK(play.state.suspensions.size() == 1);
}

TEST_CASE("after the pivot nothing fails: what cannot be rendered suspends, and can be resolved") {
  auto play = after_pivot(saga(pivot("p") + R"(,{"name":"v","value":"${steps.p.output.id}"})"));
  CHECK(play.status() == "SUSPENDED");
  CHECK(play.state.suspensions.front().reason == "EXPRESSION_FAILED");
  SUBCASE("retry comes to the same") {
    CHECK(play.retry() == "OperatorActed v retry, SagaSuspended v EXPRESSION_FAILED");
  }
  SUBCASE("resolve") {
    CHECK(play.resolve("v", "5") ==
          "OperatorActed v resolve done, StepSucceeded v, SagaEnded COMPLETED");
  }
  SUBCASE("skip") {
    CHECK(play.skip("v") == "OperatorActed v skip, StepSkipped v, SagaEnded COMPLETED");
  }
}

TEST_CASE("a suspended block is not skipped or resolved while steps inside it are on their way") {
  auto play = after_pivot(saga(
      pivot("p") +
      R"(,{"name":"loop","forEach":{"in":"${[1,2]}","as":"i","maxConcurrency":2,"yield":"${i + 'x'}","steps":[)" +
      retryable("r") + "]}}"));
  CHECK(play.answer("loop[0]/r", 200) ==
        "StepSucceeded loop[0]/r, SagaSuspended loop EXPRESSION_FAILED");
  CHECK(play.skip("loop") == "refused block-still-open");
  CHECK(play.resolve("loop", "[]") == "refused block-still-open");
  CHECK(play.answer("loop[1]/r", 200) == "StepSucceeded loop[1]/r");
  CHECK(play.resolve("loop", "[]") ==
        "OperatorActed loop resolve done, StepSucceeded loop, SagaEnded COMPLETED");
}

TEST_CASE("a probe that cannot be rendered suspends, and an operator's retry tries it again") {
  Play play(
      saga(step("a", R"(,"retry":{"maxAttempts":1},"probe":{"http":"GET /a/${input.gone}"})")));
  play.start();
  CHECK(play.lost("a") == "AttemptFailed a forward #1 unknown, SagaSuspended a EXPRESSION_FAILED");
  CHECK(play.retry() == "OperatorActed a retry, SagaSuspended a EXPRESSION_FAILED");
  CHECK(play.cancel() ==
        "CancelRequested, OperatorActed a cancel, StepUnknown a EXPRESSION_FAILED, "
        "CompensationStarted CANCELLED, StepCompensationScheduled a | call a compensate #1");
}

TEST_CASE("a cancel gives up what a probe could not decide, and undoes it by its key") {
  Play play(saga(
      step("a") + R"(,{"name":"both","parallel":{"branches":{"l":[)" +
      step("x",
           R"(,"retry":{"maxAttempts":1},"probe":{"http":"GET /x","retry":{"maxAttempts":1}})") +
      R"(],"r":[)" + step("y") + "," + step("z") + "]}}}"));
  play.start();
  play.answer("a", 200);
  play.lost("both/l/x");
  CHECK(play.probe("both/l/x", 500) ==
        "AttemptFailed both/l/x probe #1 unknown, SagaSuspended both/l/x OUTCOME_UNKNOWN");
  SUBCASE("beside a call that is still on its way") {
    CHECK(play.cancel() ==
          "CancelRequested, OperatorActed both/l/x cancel, StepUnknown both/l/x OUTCOME_UNKNOWN");
    CHECK(play.answer("both/r/y", 200) ==
          "StepSucceeded both/r/y, StepFailed both OUTCOME_UNKNOWN, CompensationStarted CANCELLED, "
          "StepCompensationScheduled both/l/x, StepCompensationScheduled both/r/y | call both/l/x "
          "compensate #1 | call both/r/y compensate #1");
  }
  SUBCASE("beside one that failed while it was suspended: a retry still asks the probe") {
    CHECK(play.answer("both/r/y", 409) == "StepFailed both/r/y HTTP_409");
    CHECK(play.retry() ==
          "OperatorActed both/l/x retry, AttemptStarted both/l/x probe #2 | call both/l/x probe "
          "#2");
    CHECK(play.probe("both/l/x", 200) ==
          "StepSucceeded both/l/x, StepFailed both HTTP_409, CompensationStarted HTTP_409, "
          "StepCompensationScheduled both/l/x | call both/l/x compensate #1");
  }
}

TEST_CASE("a cancel asks a sealed probe again, because the undo may need what only it can tell") {
  Play play(saga(
      R"({"name":"a","action":{"service":"s","http":"POST /a"},"retry":{"maxAttempts":1},
        "probe":{"http":"GET /a","sealed":true,"retry":{"maxAttempts":1},
          "outcomes":[{"status":404,"is":"failure","code":"NOT_SEEN"}]},
        "output":{"id":"${response.body.id}"},
        "compensation":{"http":"POST /a/${self.output.id}/void"}})"));
  play.start();
  play.lost("a");
  CHECK(play.probe("a", 503) ==
        "AttemptFailed a probe #1 unknown, SagaSuspended a OUTCOME_UNKNOWN");
  CHECK(play.cancel() ==
        "CancelRequested, OperatorActed a retry, AttemptStarted a probe #2 | call a probe #2");
  SUBCASE("it was done: undone by its id") {
    CHECK(play.probe("a", 200, R"({"id":7})") ==
          "StepSucceeded a, CompensationStarted CANCELLED, StepCompensationScheduled a | call a "
          "compensate #1");
    CHECK(play.request("a", engine::Phase::compensate).target == "/a/7/void");
  }
  SUBCASE("it was not done: nothing to undo") {
    CHECK(play.probe("a", 404) ==
          "AttemptFailed a probe #2 failure, StepFailed a NOT_SEEN, CompensationStarted CANCELLED, "
          "SagaEnded FAILED");
  }
}

TEST_CASE("a pivot whose answer cannot be used was done all the same: nothing is undone") {
  Play play(saga(step("a") + "," + pivot("p", R"(,"output":{"x":"${response.body.x}"})")));
  play.start();
  play.answer("a", 200);
  play.answer("p", 200);
  CHECK(play.state.status == engine::SagaStatus::suspended);
  CHECK(play.state.pivot_passed);
  CHECK(play.state.suspensions.front().reason == "EXPRESSION_FAILED");
  CHECK(play.state.steps.at("a").status == engine::StepStatus::succeeded);
}

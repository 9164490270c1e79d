#include <algorithm>

#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

/// before; save { a, b | catches }; after
std::string save(const std::string& catches, const std::string& body = step("a") + "," + step("b"),
                 const std::string& service = "") {
  return saga(step("before") + R"(,{"name":"save","try":{"steps":[)" + body +
                  R"(],"output":"body","catch":[)" + catches + "]}}," + step("after"),
              R"(,"output":"${steps.save.output}")", service);
}
/// A catch that runs a step of this name.
std::string catches(const std::string& when, const std::string& name) {
  return "{" + when + R"("steps":[)" + step(name) + R"(],"output":")" + name + "\"}";
}

Play at_b(const std::string& definition) {
  Play play(definition);
  play.start();
  play.answer("before", 200);
  play.answer("save/a", 200);
  return play;
}

const std::string plain = save(catches("", "other"));

}  // namespace

TEST_CASE("a body that succeeds is the try's output, and no catch runs") {
  auto play = at_b(plain);
  CHECK(play.answer("save/b", 200) ==
        "StepSucceeded save/b, StepSucceeded save, StepScheduled after | call after forward #1");
  SUBCASE("to the end") {
    play.answer("after", 200);
    CHECK(play.state.output == "body");
  }
  SUBCASE("undone from behind like any other steps") {
    CHECK(play.answer("after", 409) ==
          "StepFailed after HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled "
          "save/b | call save/b compensate #1");
    play.undo("save/b", 200);
    CHECK(play.undo("save/a", 200) ==
          "StepCompensated save/a, StepCompensationScheduled before | call before compensate #1");
  }
}

TEST_CASE("a failure undoes the body to the save-point, and no further; then the catch runs") {
  auto play = at_b(plain);
  CHECK(play.answer("save/b", 409) ==
        "StepFailed save/b HTTP_409, TryFailed save HTTP_409, StepCompensationScheduled save/a | "
        "call save/a compensate #1");
  CHECK(play.status() == "RUNNING");
  CHECK(play.undo("save/a", 200) ==
        "StepCompensated save/a, CatchStarted save #0, StepScheduled save/other | call save/other "
        "forward #1");
  SUBCASE("the catch succeeds: its output, and the saga goes on") {
    CHECK(play.answer("save/other", 200) ==
          "StepSucceeded save/other, StepSucceeded save, StepScheduled after | call after forward "
          "#1");
    SUBCASE("to the end") {
      CHECK(play.answer("after", 200) == "StepSucceeded after, SagaEnded COMPLETED");
      CHECK(play.state.output == "other");
      CHECK_FALSE(play.state.failure);
    }
    SUBCASE("or back: what the catch did is undone, the body is not touched again") {
      CHECK(play.answer("after", 410) ==
            "StepFailed after HTTP_410, CompensationStarted HTTP_410, StepCompensationScheduled "
            "save/other | call save/other compensate #1");
      CHECK(play.undo("save/other", 200) ==
            "StepCompensated save/other, StepCompensationScheduled before | call before compensate "
            "#1");
    }
  }
  SUBCASE("the catch fails: its failure goes on outward") {
    CHECK(play.answer("save/other", 410) ==
          "StepFailed save/other HTTP_410, StepFailed save HTTP_410, CompensationStarted HTTP_410, "
          "StepCompensationScheduled before | call before compensate #1");
  }
}

TEST_CASE("an unknown step of the body is undone by its key before the catch runs") {
  auto play = at_b(save(catches("", "other"), step("a") + "," + step("b"),
                        R"(,"idempotency":"none","quietPeriod":"30s")"));
  CHECK(play.lost("save/b") ==
        "AttemptFailed save/b forward #1 unknown, StepUnknown save/b OUTCOME_UNKNOWN, TryFailed "
        "save OUTCOME_UNKNOWN");
  CHECK(play.tick(29s) == "");
  CHECK(play.wake() == "StepCompensationScheduled save/b | call save/b compensate #1");
  CHECK(play.undo("save/b", 200) ==
        "StepCompensated save/b, StepCompensationScheduled save/a | call save/a compensate #1");
  CHECK(play.undo("save/a", 200).starts_with("StepCompensated save/a, CatchStarted save #0"));
}

TEST_CASE("the first catch that fits by code, class and condition is taken") {
  const auto three = save(
      catches(R"("codes":["GONE","TAKEN"],)", "byCode") + "," +
          catches(R"("classes":["unknown","transient"],)", "byClass") + "," +
          catches(R"("when":"${failure.details.n > 3}",)", "byWhen"),
      step(
          "a",
          R"(,"retry":{"maxAttempts":1},"outcomes":[{"status":409,"is":"failure","code":"TAKEN"}])"));
  const auto at_a = [&] {
    Play play(three);
    play.start();
    play.answer("before", 200);
    return play;
  };
  SUBCASE("code") {
    auto play = at_a();
    CHECK(play.answer("save/a", 409) ==
          "StepFailed save/a TAKEN, TryFailed save TAKEN, CatchStarted save #0, StepScheduled "
          "save/byCode | call save/byCode forward #1");
  }
  SUBCASE("class") {
    auto play = at_a();
    CHECK(play.refused_connection("save/a") ==
          "AttemptFailed save/a forward #1 transient, StepFailed save/a RETRIES_EXHAUSTED, "
          "TryFailed save RETRIES_EXHAUSTED, CatchStarted save #1, StepScheduled save/byClass | "
          "call save/byClass forward #1");
  }
  SUBCASE("condition") {
    auto play = at_a();
    CHECK(play.answer("save/a", 400, R"({"n":4})").find("CatchStarted save #2") !=
          std::string::npos);
  }
  SUBCASE("none: the failure goes on outward, the body undone already") {
    auto play = at_a();
    CHECK(play.answer("save/a", 400, R"({"n":3})") ==
          "StepFailed save/a HTTP_400, TryFailed save HTTP_400, StepFailed save HTTP_400, "
          "CompensationStarted HTTP_400, StepCompensationScheduled before | call before compensate "
          "#1");
  }
}

TEST_CASE("a catch whose condition cannot be evaluated does not match and hides no other catch") {
  const std::string broken = catches(R"("when":"${failure.details.n > 3}",)", "byWhen");
  SUBCASE("the next one runs") {
    Play play(save(broken + "," + catches("", "other")));
    play.start();
    play.answer("before", 200);
    CHECK(play.answer("save/a", 400, R"({"n":"x"})") ==
          "StepFailed save/a HTTP_400, TryFailed save HTTP_400, CatchPassedOver save #0, "
          "CatchStarted save #1, StepScheduled save/other | call save/other forward #1");
    const auto noted = std::find_if(play.log.begin(), play.log.end(), [](const auto& record) {
      return record.type == "CatchPassedOver";
    });
    CHECK(Json::parse(noted->data)["message"].get<std::string>().find("failure.details.n") !=
          std::string::npos);
  }
  SUBCASE("without another one the failure goes on outward as it was") {
    Play play(save(broken));
    play.start();
    play.answer("before", 200);
    CHECK(play.answer("save/a", 400, R"({"n":"x"})") ==
          "StepFailed save/a HTTP_400, TryFailed save HTTP_400, CatchPassedOver save #0, "
          "StepFailed save HTTP_400, CompensationStarted HTTP_400, StepCompensationScheduled "
          "before | call before compensate #1");
  }
}

TEST_CASE("the catch, and the undo of the body, see the failure") {
  const std::string body =
      R"({"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a/${failure.code}"}},)" +
      step("b");
  auto play = at_b(save(
      R"({"steps":[{"name":"other","action":{"service":"s","http":"PUT /o/${failure.code}","body":"${failure.step}"},
        "compensation":{"http":"DELETE /o/${failure.code}"}}],"output":"${failure.code}"})",
      body));
  play.answer("save/b", 409);
  CHECK(play.request("save/a", engine::Phase::compensate).target == "/a/HTTP_409");
  play.undo("save/a", 200);
  CHECK(play.request("save/other").target == "/o/HTTP_409");
  CHECK(play.request("save/other").body == "\"save/b\"");
  play.answer("save/other", 200);
  CHECK(play.state.steps.at("save").output == "HTTP_409");
  play.answer("after", 410);
  CHECK(play.request("save/other", engine::Phase::compensate).target == "/o/HTTP_410");
}

TEST_CASE("so does a loop in a catch, and what it yields") {
  auto play = at_b(save(
      R"({"steps":[{"name":"l","forEach":{"in":"${[1]}","as":"x","steps":[{"name":"v","value":"${failure.step}"}],
        "yield":"${failure.code}"}}],"output":"${steps.l.output}"})",
      step("a") + "," + step("b")));
  play.answer("save/b", 409);
  play.undo("save/a", 200);
  CHECK(play.state.steps.at("save").output == Json::parse(R"(["HTTP_409"])"));
}

TEST_CASE("a cancel is never caught") {
  SUBCASE("during the body: everything is undone") {
    auto play = at_b(plain);
    play.cancel();
    CHECK(play.answer("save/b", 409) ==
          "StepFailed save/b HTTP_409, StepFailed save HTTP_409, CompensationStarted CANCELLED, "
          "StepCompensationScheduled save/a | call save/a compensate #1");
  }
  SUBCASE("while the body is being undone: no catch runs") {
    auto play = at_b(plain);
    play.answer("save/b", 409);
    CHECK(play.cancel() == "CancelRequested");
    CHECK(play.undo("save/a", 200) ==
          "StepCompensated save/a, StepFailed save CANCELLED, CompensationStarted CANCELLED, "
          "StepCompensationScheduled before | call before compensate #1");
  }
  SUBCASE("during the catch: it is undone") {
    auto play = at_b(plain);
    play.answer("save/b", 409);
    play.undo("save/a", 200);
    play.cancel();
    CHECK(play.answer("save/other", 200) ==
          "StepSucceeded save/other, StepSucceeded save, CompensationStarted CANCELLED, "
          "StepCompensationScheduled save/other | call save/other compensate #1");
  }
}

TEST_CASE("the saga's timeout is never caught") {
  auto play = at_b(plain);
  CHECK(play.tick(1h) == "DeadlinePassed");
  CHECK(play.answer("save/b", 409).find("CompensationStarted SAGA_TIMEOUT") != std::string::npos);
}

TEST_CASE("a body that could not be undone completely is no ground to go on from") {
  const std::string stubborn =
      R"({"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a","retry":{"maxAttempts":1},"onExhausted":")";
  SUBCASE("given up by itself: the failure goes on outward, and the saga ends incomplete") {
    auto play = at_b(save(catches("", "other"), stubborn + R"(continue"}},)" + step("b")));
    play.answer("save/b", 409);
    CHECK(play.undo("save/a", 500) ==
          "AttemptFailed save/a compensate #1 unknown, StepCompensationFailed save/a "
          "COMPENSATION_FAILED, StepFailed save HTTP_409, CompensationStarted HTTP_409, "
          "StepCompensationScheduled before | call before compensate #1");
    CHECK(play.undo("before", 200) == "StepCompensated before, SagaEnded FAILED_INCOMPLETE");
  }
  auto play = at_b(save(catches("", "other"), stubborn + R"(suspend"}},)" + step("b")));
  play.answer("save/b", 409);
  CHECK(play.undo("save/a", 500) ==
        "AttemptFailed save/a compensate #1 unknown, SagaSuspended save/a COMPENSATION_FAILED");
  SUBCASE("tried again by an operator, and done: the catch runs") {
    CHECK(play.retry() ==
          "OperatorActed save/a retry, AttemptStarted save/a compensate #2 | call save/a "
          "compensate #2");
    CHECK(play.undo("save/a", 200).find("CatchStarted save #0") != std::string::npos);
  }
  SUBCASE("skipped by an operator: no catch") {
    CHECK(play.skip("a") ==
          "OperatorActed save/a skip, StepCompensationSkipped save/a operator, StepFailed save "
          "HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled before | call before "
          "compensate #1");
    CHECK(play.undo("before", 200) == "StepCompensated before, SagaEnded FAILED_INCOMPLETE");
  }
  SUBCASE("cancelled meanwhile: the undo is still needed, and no catch runs after it") {
    CHECK(play.cancel() == "CancelRequested");
    CHECK(play.status() == "SUSPENDED");
    CHECK(play.retry() ==
          "OperatorActed save/a retry, AttemptStarted save/a compensate #2 | call save/a "
          "compensate #2");
    CHECK(play.undo("save/a", 200).find("CompensationStarted CANCELLED") != std::string::npos);
  }
}

TEST_CASE("a fail in the body is caught, one in the catch goes outward") {
  const auto failing = [](const std::string& code) {
    return R"({"name":")" + std::string(code == "INNER" ? "stop" : "give") +
           R"(","fail":{"code":")" + code + "\"}}";
  };
  Play play(saga(R"({"name":"save","try":{"steps":[)" + step("a") + "," + failing("INNER") +
                 R"(],"catch":[{"codes":["INNER"],"steps":[)" + failing("OUTER") + "]}]}}"));
  play.start();
  CHECK(play.answer("save/a", 200) ==
        "StepSucceeded save/a, StepFailed save/stop INNER, TryFailed save INNER, "
        "StepCompensationScheduled save/a | call save/a compensate #1");
  CHECK(play.undo("save/a", 200) ==
        "StepCompensated save/a, CatchStarted save #0, StepFailed save/give OUTER, StepFailed save "
        "OUTER, CompensationStarted OUTER, SagaEnded FAILED");
}

TEST_CASE("an outer try catches what no inner catch matches") {
  Play play(saga(
      R"({"name":"out","try":{"steps":[)" + step("x") + R"(,{"name":"in","try":{"steps":[)" +
      step("y") +
      R"(],"catch":[{"codes":["NEVER"],"steps":[{"name":"n","value":1}]}]}}],"catch":[{"steps":[)" +
      step("z") + "]}]}}"));
  play.start();
  play.answer("out/x", 200);
  CHECK(play.answer("out/in/y", 409) ==
        "StepFailed out/in/y HTTP_409, TryFailed out/in HTTP_409, StepFailed out/in HTTP_409, "
        "TryFailed out HTTP_409, StepCompensationScheduled out/x | call out/x compensate #1");
  CHECK(play.undo("out/x", 200) ==
        "StepCompensated out/x, CatchStarted out #0, StepScheduled out/z | call out/z forward #1");
}

TEST_CASE("a parallel in the body is undone concurrently before the catch") {
  Play play(saga(R"({"name":"save","try":{"steps":[{"name":"p","parallel":{"branches":{"l":[)" +
                 step("x") + R"(],"r":[)" + step("y") + "]}}}," + step("b") +
                 R"(],"catch":[{"steps":[)" + step("z") + "]}]}}"));
  play.start();
  play.answer("save/p/l/x", 200);
  play.answer("save/p/r/y", 200);
  CHECK(play.answer("save/b", 409) ==
        "StepFailed save/b HTTP_409, TryFailed save HTTP_409, StepCompensationScheduled "
        "save/p/l/x, StepCompensationScheduled save/p/r/y | call save/p/l/x compensate #1 | call "
        "save/p/r/y compensate #1");
  CHECK(play.undo("save/p/r/y", 200) == "StepCompensated save/p/r/y");
  CHECK(play.undo("save/p/l/x", 200).find("CatchStarted save #0") != std::string::npos);
}

TEST_CASE("a try in an iteration in a branch catches for itself alone") {
  Play play(saga(
      R"({"name":"both","parallel":{"branches":{"left":[{"name":"loop","forEach":{"in":"${[1,2]}","as":"i","maxConcurrency":2,
        "steps":[{"name":"save","try":{"steps":[)" +
      step("a") + "," + step("b") + R"(],"catch":[{"steps":[)" + step("c") +
      R"(]}]}}]}}],"right":[)" + step("d") + "]}}}"));
  play.start();
  play.answer("both/left/loop[0]/save/a", 200);
  play.answer("both/left/loop[1]/save/a", 200);
  CHECK(play.answer("both/left/loop[1]/save/b", 409) ==
        "StepFailed both/left/loop[1]/save/b HTTP_409, TryFailed both/left/loop[1]/save HTTP_409, "
        "StepCompensationScheduled both/left/loop[1]/save/a | call both/left/loop[1]/save/a "
        "compensate #1");
  SUBCASE("and the others go on") {
    CHECK(play.undo("both/left/loop[1]/save/a", 200) ==
          "StepCompensated both/left/loop[1]/save/a, CatchStarted both/left/loop[1]/save #0, "
          "StepScheduled both/left/loop[1]/save/c | call both/left/loop[1]/save/c forward #1");
    play.answer("both/left/loop[1]/save/c", 200);
    play.answer("both/left/loop[0]/save/b", 200);
    CHECK(play.answer("both/right/d", 200).ends_with("SagaEnded COMPLETED"));
  }
  SUBCASE("a branch beside it that fails stops it after its own undo, without a catch") {
    CHECK(play.answer("both/right/d", 410) == "StepFailed both/right/d HTTP_410");
    CHECK(play.undo("both/left/loop[1]/save/a", 200) ==
          "StepCompensated both/left/loop[1]/save/a, StepFailed both/left/loop[1]/save CANCELLED, "
          "IterationEnded both/left/loop #1");
    CHECK(play.answer("both/left/loop[0]/save/b", 200) ==
          "StepSucceeded both/left/loop[0]/save/b, StepSucceeded both/left/loop[0]/save, "
          "IterationEnded both/left/loop #0, StepFailed both/left/loop CANCELLED, StepFailed both "
          "HTTP_410, CompensationStarted HTTP_410, StepCompensationScheduled "
          "both/left/loop[0]/save/b | call both/left/loop[0]/save/b compensate #1");
    CHECK(play.state.failure->details.is_null());
  }
}

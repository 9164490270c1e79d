#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

/// before; both { left: a, b | right: c, d }; after. `more`: members of the parallel.
std::string both(const std::string& more = "") {
  return saga(step("before") + R"(,{"name":"both","parallel":{)" + more +
              R"("branches":{"left":[)" + step("a") + "," + step("b") + R"(],"right":[)" +
              step("c") + "," + step("d") + "]}}}," + step("after"));
}

Play in_both(const std::string& more = "") {
  Play play(both(more));
  play.start();
  play.answer("before", 200);
  return play;
}

}  // namespace

TEST_CASE("branches run beside each other, and what follows waits for all of them") {
  Play play(both());
  play.start();
  CHECK(play.answer("before", 200) ==
        "StepSucceeded before, BlockStarted both, StepScheduled both/left/a, StepScheduled "
        "both/right/c | call both/left/a forward #1 | call both/right/c forward #1");
  CHECK(play.answer("both/right/c", 200) ==
        "StepSucceeded both/right/c, StepScheduled both/right/d | call both/right/d forward #1");
  CHECK(play.answer("both/right/d", 200) == "StepSucceeded both/right/d");
  play.answer("both/left/a", 200);
  CHECK(play.answer("both/left/b", 200) ==
        "StepSucceeded both/left/b, StepSucceeded both, StepScheduled after | call after forward "
        "#1");
  CHECK(play.answer("after", 200) == "StepSucceeded after, SagaEnded COMPLETED");
}

TEST_CASE("a failed branch awaits the calls of the others and begins nothing new") {
  auto play = in_both();
  CHECK(play.answer("both/left/a", 409) == "StepFailed both/left/a HTTP_409");
  SUBCASE("done: undone with the rest") {
    CHECK(play.answer("both/right/c", 200) ==
          "StepSucceeded both/right/c, StepFailed both HTTP_409, CompensationStarted HTTP_409, "
          "StepCompensationScheduled both/right/c | call both/right/c compensate #1");
    CHECK(play.undo("both/right/c", 200) ==
          "StepCompensated both/right/c, StepCompensationScheduled before | call before compensate "
          "#1");
    CHECK(play.undo("before", 200) == "StepCompensated before, SagaEnded FAILED");
    CHECK(play.state.failure->step == "both/left/a");
  }
  SUBCASE("lost: not tried again, and undone by its key") {
    CHECK(play.lost("both/right/c") ==
          "AttemptFailed both/right/c forward #1 unknown, StepUnknown both/right/c "
          "OUTCOME_UNKNOWN, StepFailed both HTTP_409, CompensationStarted HTTP_409, "
          "StepCompensationScheduled both/right/c | call both/right/c compensate #1");
  }
  SUBCASE("not done: not tried again, and left alone") {
    CHECK(play.refused_connection("both/right/c") ==
          "AttemptFailed both/right/c forward #1 transient, StepFailed both/right/c CANCELLED, "
          "StepFailed both HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled "
          "before | call before compensate #1");
    CHECK(play.state.failure->details.is_null());
  }
  SUBCASE("failed, too: listed with the first in time") {
    CHECK(play.answer("both/right/c", 410) ==
          "StepFailed both/right/c HTTP_410, StepFailed both HTTP_409, CompensationStarted "
          "HTTP_409, StepCompensationScheduled before | call before compensate #1");
    const Json& others = play.state.failure->details["others"];
    REQUIRE(others.size() == 1);
    CHECK(others[0]["code"] == "HTTP_410");
    CHECK(others[0]["step"] == "both/right/c");
  }
  SUBCASE("a node that dies meanwhile does not send the call again") {
    CHECK(play.take_over() ==
          "Resumed, AttemptFailed both/right/c forward #1 unknown, StepUnknown both/right/c "
          "OUTCOME_UNKNOWN, StepFailed both HTTP_409, CompensationStarted HTTP_409, "
          "StepCompensationScheduled both/right/c | call both/right/c compensate #1");
  }
}

TEST_CASE("the failure that came first is the failure, whatever branch it is in") {
  auto play = in_both();
  play.answer("both/right/c", 410);
  play.answer("both/left/a", 409);
  CHECK(play.state.failure->code == "HTTP_410");
  CHECK(play.state.failure->details["others"][0]["code"] == "HTTP_409");
}

TEST_CASE("a branch that waits for its next attempt is given up as soon as another one fails") {
  auto play = in_both();
  play.refused_connection("both/left/a");
  CHECK(play.answer("both/right/c", 409) ==
        "StepFailed both/right/c HTTP_409, StepFailed both/left/a CANCELLED, StepFailed both "
        "HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled before | call before "
        "compensate #1");
}

TEST_CASE("a branch whose attempt was lost is unknown when it is given up, and undone") {
  auto play = in_both();
  play.lost("both/left/a");
  CHECK(play.answer("both/right/c", 409) ==
        "StepFailed both/right/c HTTP_409, StepUnknown both/left/a OUTCOME_UNKNOWN, StepFailed "
        "both HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled both/left/a | call "
        "both/left/a compensate #1");
}

TEST_CASE("with onFailure finish the other branches run to their end before the undo") {
  auto play = in_both(R"("onFailure":"finish",)");
  CHECK(play.answer("both/left/a", 409) == "StepFailed both/left/a HTTP_409");
  CHECK(play.refused_connection("both/right/c") ==
        "AttemptFailed both/right/c forward #1 transient again in 187ms");
  play.wake();
  CHECK(play.answer("both/right/c", 200) ==
        "StepSucceeded both/right/c, StepScheduled both/right/d | call both/right/d forward #1");
  CHECK(play.answer("both/right/d", 200) ==
        "StepSucceeded both/right/d, StepFailed both HTTP_409, CompensationStarted HTTP_409, "
        "StepCompensationScheduled both/right/d | call both/right/d compensate #1");
  CHECK(play.undo("both/right/d", 200) ==
        "StepCompensated both/right/d, StepCompensationScheduled both/right/c | call both/right/c "
        "compensate #1");
}

TEST_CASE("a cancel is followed even where the branches would be run to their end") {
  auto play = in_both(R"("onFailure":"finish",)");
  play.cancel();
  CHECK(play.answer("both/left/a", 200) == "StepSucceeded both/left/a");
  CHECK(play.answer("both/right/c", 409) ==
        "StepFailed both/right/c HTTP_409, StepFailed both HTTP_409, CompensationStarted "
        "CANCELLED, StepCompensationScheduled both/left/a | call both/left/a compensate #1");
  CHECK(play.state.failure->code == "CANCELLED");
}

TEST_CASE("no more branches than maxConcurrency run at a time") {
  Play play(saga(R"({"name":"p","parallel":{"maxConcurrency":2,"branches":{"a":[)" + step("x") +
                 R"(],"b":[)" + step("y") + R"(],"c":[)" + step("z") + R"(],"d":[)" + step("w") +
                 "]}}}"));
  CHECK(play.start() ==
        "SagaStarted, BlockStarted p, StepScheduled p/a/x, StepScheduled p/b/y | call p/a/x "
        "forward #1 | call p/b/y forward #1");
  CHECK(play.answer("p/b/y", 200) ==
        "StepSucceeded p/b/y, StepScheduled p/c/z | call p/c/z forward #1");
  SUBCASE("to the end") {
    CHECK(play.answer("p/a/x", 200) ==
          "StepSucceeded p/a/x, StepScheduled p/d/w | call p/d/w forward #1");
    play.answer("p/c/z", 200);
    CHECK(play.answer("p/d/w", 200) == "StepSucceeded p/d/w, StepSucceeded p, SagaEnded COMPLETED");
  }
  SUBCASE("a failure keeps the rest from beginning") {
    play.answer("p/c/z", 409);
    CHECK(play.answer("p/a/x", 200) ==
          "StepSucceeded p/a/x, StepFailed p HTTP_409, CompensationStarted HTTP_409, "
          "StepCompensationScheduled p/a/x, StepCompensationScheduled p/b/y | call p/a/x "
          "compensate #1 | call p/b/y compensate #1");
  }
}

TEST_CASE("sixty-four branches may be open in a saga; others wait for their turn") {
  std::string branches;
  for (int i = 0; i < 32; ++i) {
    const std::string n = std::to_string(i);
    branches += (i > 0 ? "," : "") + std::string("\"b") + n + R"(":[{"name":"l)" + n +
                R"(","forEach":{"in":"${[1,2,3]}","as":"i","maxConcurrency":3,"steps":[)" +
                step("s" + n) + "]}}]";
  }
  Play play(saga(R"({"name":"p","parallel":{"branches":{)" + branches + "}}}"));
  play.start();
  std::size_t most = 0;
  std::size_t answered = 0;
  while (play.status() == "RUNNING") {
    most = std::max(most, play.state.open.size());
    play.answer(*play.state.open.begin(), 200);
    ++answered;
  }
  CHECK(play.status() == "COMPLETED");
  CHECK(most == 64);
  CHECK(answered == 96);
}

TEST_CASE("sleeps and waits in a branch end when another one fails") {
  Play play(saga(R"({"name":"p","parallel":{"branches":{"a":[)" + step("x") +
                 R"(],"b":[{"name":"nap","sleep":{"for":"10m"}},)" + step("y") +
                 R"(],"c":[{"name":"sign","wait":{"signal":"go","timeout":"10m"}}]}}})"));
  play.start();
  CHECK(play.answer("p/a/x", 409) ==
        "StepFailed p/a/x HTTP_409, StepFailed p/b/nap CANCELLED, StepFailed p/c/sign CANCELLED, "
        "StepFailed p HTTP_409, CompensationStarted HTTP_409, SagaEnded FAILED");
  CHECK(play.state.failure->details.is_null());
}

TEST_CASE("mirror: branches are undone concurrently, each backwards, and the step before last") {
  auto play = in_both();
  for (const char* path : {"both/left/a", "both/right/c", "both/left/b", "both/right/d"})
    play.answer(path, 200);
  CHECK(play.answer("after", 409) ==
        "StepFailed after HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled "
        "both/left/b, StepCompensationScheduled both/right/d | call both/left/b compensate #1 | "
        "call both/right/d compensate #1");
  CHECK(play.undo("both/right/d", 200) ==
        "StepCompensated both/right/d, StepCompensationScheduled both/right/c | call both/right/c "
        "compensate #1");
  CHECK(play.undo("both/right/c", 200) == "StepCompensated both/right/c");
  CHECK(play.undo("both/left/b", 200) ==
        "StepCompensated both/left/b, StepCompensationScheduled both/left/a | call both/left/a "
        "compensate #1");
  CHECK(play.undo("both/left/a", 200) ==
        "StepCompensated both/left/a, StepCompensationScheduled before | call before compensate "
        "#1");
}

TEST_CASE("serial: one undo at a time, the step that ended last first, across the branches") {
  auto play = in_both(R"("compensationOrder":"serial",)");
  for (const char* path : {"both/left/a", "both/right/c", "both/left/b", "both/right/d"})
    play.answer(path, 200);
  CHECK(play.answer("after", 409) ==
        "StepFailed after HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled "
        "both/right/d | call both/right/d compensate #1");
  CHECK(play.undo("both/right/d", 200) ==
        "StepCompensated both/right/d, StepCompensationScheduled both/left/b | call both/left/b "
        "compensate #1");
  CHECK(play.take_over() ==
        "Resumed, AttemptFailed both/left/b compensate #1 unknown again in 0s, AttemptStarted "
        "both/left/b compensate #2 | call both/left/b compensate #2");
  CHECK(play.undo("both/left/b", 200) ==
        "StepCompensated both/left/b, StepCompensationScheduled both/right/c | call both/right/c "
        "compensate #1");
  CHECK(play.undo("both/right/c", 200) ==
        "StepCompensated both/right/c, StepCompensationScheduled both/left/a | call both/left/a "
        "compensate #1");
  CHECK(play.undo("both/left/a", 200) ==
        "StepCompensated both/left/a, StepCompensationScheduled before | call before compensate "
        "#1");
}

TEST_CASE("an unknown step in a quiet period holds up its own branch only") {
  Play play(saga(R"({"name":"p","parallel":{"branches":{"a":[)" + step("x") + R"(],"b":[)" +
                     step("y") + "," + step("z") + "]}}}",
                 "", R"(,"idempotency":"none","quietPeriod":"30s")"));
  play.start();
  play.answer("p/b/y", 200);
  play.lost("p/a/x");
  CHECK(play.answer("p/b/z", 200) ==
        "StepSucceeded p/b/z, StepFailed p OUTCOME_UNKNOWN, CompensationStarted OUTCOME_UNKNOWN, "
        "StepCompensationScheduled p/b/z | call p/b/z compensate #1");
  play.undo("p/b/z", 200);
  CHECK(play.undo("p/b/y", 200) == "StepCompensated p/b/y");
  CHECK(play.tick(29s) == "");
  CHECK(play.tick(1s) == "StepCompensationScheduled p/a/x | call p/a/x compensate #1");
  CHECK(play.undo("p/a/x", 200) == "StepCompensated p/a/x, SagaEnded FAILED");
}

TEST_CASE("a parallel in a parallel fails as one branch of it") {
  Play play(saga(
      R"({"name":"out","parallel":{"branches":{"a":[{"name":"in","parallel":{"branches":{"p":[)" +
      step("x") + R"(],"q":[)" + step("y") + R"(]}}},)" + step("u") + R"(],"b":[)" + step("z") +
      "]}}}"));
  play.start();
  CHECK(play.answer("out/a/in/p/x", 409) == "StepFailed out/a/in/p/x HTTP_409");
  CHECK(play.answer("out/a/in/q/y", 200) ==
        "StepSucceeded out/a/in/q/y, StepFailed out/a/in HTTP_409");
  CHECK(play.answer("out/b/z", 200) ==
        "StepSucceeded out/b/z, StepFailed out HTTP_409, CompensationStarted HTTP_409, "
        "StepCompensationScheduled out/a/in/q/y, StepCompensationScheduled out/b/z | call "
        "out/a/in/q/y compensate #1 | call out/b/z compensate #1");
}

TEST_CASE("branches after the pivot never fail; what is refused suspends, the others go on") {
  Play play(saga(pivot("go") + R"(,{"name":"p","parallel":{"branches":{"a":[)" + retryable("x") +
                 "," + retryable("y") + R"(],"b":[)" + retryable("z") + R"(]}}})"));
  play.start();
  play.answer("go", 200);
  CHECK(play.answer("p/a/x", 404) ==
        "AttemptFailed p/a/x forward #1 failure, SagaSuspended p/a/x HTTP_404");
  CHECK(play.answer("p/b/z", 200) == "StepSucceeded p/b/z");
  CHECK(play.status() == "SUSPENDED");
  CHECK(play.resolve("x", "1") ==
        "OperatorActed p/a/x resolve done, StepSucceeded p/a/x, StepScheduled p/a/y | call p/a/y "
        "forward #1");
  CHECK(play.answer("p/a/y", 200) == "StepSucceeded p/a/y, StepSucceeded p, SagaEnded COMPLETED");
}

TEST_CASE("skipped steps and values in a branch take no turn") {
  Play play(
      saga(R"({"name":"p","parallel":{"maxConcurrency":1,"branches":{"a":[{"name":"v","value":1}],
    "b":[{"name":"w","when":"${1 > 2}","value":2}],"c":[)" +
           step("x") + R"(]}}},
    {"name":"sum","value":"${steps.v.output}"})"));
  CHECK(play.start() ==
        "SagaStarted, BlockStarted p, StepSucceeded p/a/v, StepSkipped p/b/w, StepScheduled p/c/x "
        "| call p/c/x forward #1");
  CHECK(play.answer("p/c/x", 200) ==
        "StepSucceeded p/c/x, StepSucceeded p, StepSucceeded sum, SagaEnded COMPLETED");
  CHECK(play.state.steps.at("sum").output == 1);
}

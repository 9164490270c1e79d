#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

std::string choice(const std::string& after = step("after")) {
  return saga(R"({"name":"way","switch":{"cases":[
    {"when":"${input.n > 10}","steps":[)" +
                  step("big") + R"(],"output":"${'big'}"},
    {"when":"${input.n > 1}","steps":[)" +
                  step("mid") + "," + step("mid2") + R"(],"output":{"was":"${steps.mid.output}"}}],
    "otherwise":{"steps":[],"output":"none"}}},)" +
                  after,
              R"(,"output":"${steps.way.output}")");
}

}  // namespace

TEST_CASE("the first case that holds is taken, stored, and gives the output") {
  struct Row {
    const char* input;
    const char* started;
    const char* output;
  };
  const Row rows[] = {
      {R"({"n":11})",
       "SagaStarted, BlockStarted way, StepScheduled way/big | call way/big forward #1", "\"big\""},
      {R"({"n":5})",
       "SagaStarted, BlockStarted way #1, StepScheduled way/mid | call way/mid forward #1",
       R"({"was":7})"},
      {R"({"n":1})",
       "SagaStarted, BlockStarted way #2, StepSucceeded way, StepScheduled after | call after "
       "forward #1",
       "\"none\""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.input);
    Play play(choice(), row.input);
    CHECK(play.start() == row.started);
    while (play.status() == "RUNNING") play.answer(*play.state.open.begin(), 200, "7");
    CHECK(play.status() == "COMPLETED");
    CHECK(play.state.output == Json::parse(row.output));
  }
}

TEST_CASE("only the taken case is undone, backwards") {
  Play play(choice(), R"({"n":5})");
  play.start();
  play.answer("way/mid", 200);
  CHECK(play.answer("way/mid2", 200) ==
        "StepSucceeded way/mid2, StepSucceeded way, StepScheduled after | call after forward #1");
  CHECK(play.answer("after", 409) ==
        "StepFailed after HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled "
        "way/mid2 | call way/mid2 compensate #1");
  CHECK(play.undo("way/mid2", 200) ==
        "StepCompensated way/mid2, StepCompensationScheduled way/mid | call way/mid compensate #1");
  CHECK(play.undo("way/mid", 200) == "StepCompensated way/mid, SagaEnded FAILED");
}

TEST_CASE("a failure in the taken case fails the switch") {
  Play play(choice(), R"({"n":5})");
  play.start();
  play.answer("way/mid", 200);
  CHECK(play.answer("way/mid2", 409) ==
        "StepFailed way/mid2 HTTP_409, StepFailed way HTTP_409, CompensationStarted HTTP_409, "
        "StepCompensationScheduled way/mid | call way/mid compensate #1");
}

TEST_CASE("a condition that cannot be evaluated fails the switch before anything begins") {
  Play play(choice(), R"({"n":"text"})");
  CHECK(play.start() ==
        "SagaStarted, StepFailed way EXPRESSION_FAILED, CompensationStarted EXPRESSION_FAILED, "
        "SagaEnded FAILED");
}

TEST_CASE("an output that cannot be rendered fails the switch and undoes its case") {
  Play play(saga(R"({"name":"way","switch":{"cases":[{"when":"${true}","steps":[)" + step("x") +
                 R"(],"output":"${steps.x.output.id}"}],"otherwise":{"steps":[]}}})"));
  play.start();
  CHECK(play.answer("way/x", 200, "{}") ==
        "StepSucceeded way/x, StepFailed way EXPRESSION_FAILED, CompensationStarted "
        "EXPRESSION_FAILED, StepCompensationScheduled way/x | call way/x compensate #1");
}

TEST_CASE("a pivot in a case is the saga's pivot") {
  const auto definition =
      saga(step("a") + R"(,{"name":"way","switch":{"cases":[{"when":"${true}","steps":[)" +
           step("b") + "," + pivot("p") + "," + retryable("r") +
           R"(]}],"otherwise":{"steps":[{"name":"no","fail":{"code":"NO"}}]}}},)" + retryable("z"));
  Play play(definition);
  play.start();
  play.answer("a", 200);
  CHECK(play.cancel() == "CancelRequested");
  play = Play(definition);
  play.start();
  play.answer("a", 200);
  play.answer("way/b", 200);
  CHECK(play.cancel() == "refused pivot-passed");
  SUBCASE("done: nothing can fail any more") {
    play.answer("way/p", 200);
    CHECK(play.state.pivot_passed);
    CHECK(play.answer("way/r", 409) ==
          "AttemptFailed way/r forward #1 failure, SagaSuspended way/r HTTP_409");
    CHECK(play.skip("r") ==
          "OperatorActed way/r skip, StepSkipped way/r, StepSucceeded way, StepScheduled z | call "
          "z forward #1");
    CHECK(play.answer("z", 200) == "StepSucceeded z, SagaEnded COMPLETED");
  }
  SUBCASE("refused: everything before it is undone, through the switch") {
    CHECK(play.answer("way/p", 422) ==
          "StepFailed way/p HTTP_422, StepFailed way HTTP_422, CompensationStarted HTTP_422, "
          "StepCompensationScheduled way/b | call way/b compensate #1");
    CHECK(play.undo("way/b", 200) ==
          "StepCompensated way/b, StepCompensationScheduled a | call a compensate #1");
  }
  SUBCASE("lost: resolved by the same key") {
    CHECK(play.lost("way/p").find("again in") != std::string::npos);
    play.wake();
    play.answer("way/p", 200);
    CHECK(play.state.pivot_passed);
  }
}

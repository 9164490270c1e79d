#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

const std::string handler = R"(,"onFailure":[)" + retryable("tell") + "]";

}  // namespace

TEST_CASE("a saga with too many events fails its next step, and is still undone") {
  Play play(
      saga(
          step("a") +
              R"(,{"name":"loop","forEach":{"in":"${input.list}","as":"i","maxItems":10000,"steps":[
    {"name":"v1","value":1},{"name":"v2","value":1},{"name":"v3","value":1},{"name":"v4","value":1},{"name":"v5","value":1},
    {"name":"v6","value":1},{"name":"v7","value":1},{"name":"v8","value":1},{"name":"v9","value":1},{"name":"v10","value":1}]}})",
          handler),
      R"({"list":)" + Json(std::vector<int>(10'000, 1)).dump() + "}");
  play.checks_fold = false;
  play.start();
  CHECK(play.answer("a", 200).ends_with(
      "StepFailed loop LIMIT_EXCEEDED, CompensationStarted LIMIT_EXCEEDED, "
      "StepCompensationScheduled a | call a compensate #1"));
  CHECK(play.log.size() > 100'000);
  CHECK(play.log.size() < 100'100);
  CHECK(play.undo("a", 200) ==
        "StepCompensated a, HandlersStarted, StepScheduled onFailure/tell | call onFailure/tell "
        "forward #1");
  CHECK(play.answer("onFailure/tell", 200) == "StepSucceeded onFailure/tell, SagaEnded FAILED");
}

TEST_CASE("a saga whose data gets too large fails, and is still undone") {
  std::string steps;
  for (int i = 0; i < 40; ++i) steps += (i > 0 ? "," : "") + step("s" + std::to_string(i));
  Play play(saga(steps, handler));
  play.checks_fold = false;
  play.start();
  const std::string body = "\"" + std::string(250'000, 'x') + "\"";
  int answered = 0;
  while (play.status() == "RUNNING" && answered < 40)
    play.answer("s" + std::to_string(answered++), 200, body);
  CHECK(answered == 34);
  CHECK(play.state.failure->code == "LIMIT_EXCEEDED");
  while (!play.state.handlers_started) play.undo(*play.state.open.begin(), 200);
  play.answer("onFailure/tell", 200, body);
  CHECK(play.status() == "FAILED");
}

TEST_CASE("an answer that is too large counts as done and is undone") {
  Play play(saga(step("a") + "," + step("b")));
  play.start();
  CHECK(play.answer("a", 200, "\"" + std::string(300'000, 'x') + "\"") ==
        "StepSucceeded a but LIMIT_EXCEEDED, CompensationStarted LIMIT_EXCEEDED, "
        "StepCompensationScheduled a | call a compensate #1");
}

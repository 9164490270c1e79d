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
    {"name":"inner","forEach":{"in":"${[1,2,3,4,5,6,7,8,9,10]}","as":"j","steps":[{"name":"v","value":1}]}}]}})",
          handler),
      R"({"list":)" + Json(std::vector<int>(5'000, 1)).dump() + "}");
  play.checks_fold = false;
  play.start();
  CHECK(play.answer("a", 200).ends_with(
      "StepFailed loop LIMIT_EXCEEDED, CompensationStarted LIMIT_EXCEEDED, "
      "StepCompensationScheduled a | call a compensate #1"));
  CHECK(play.log.size() > 99'900);
  CHECK(play.log.size() < 100'100);
  CHECK(play.undo("a", 200) ==
        "StepCompensated a, HandlersStarted, StepScheduled onFailure/tell | call onFailure/tell "
        "forward #1");
  CHECK(play.answer("onFailure/tell", 200) == "StepSucceeded onFailure/tell, SagaEnded FAILED");
}

TEST_CASE("a list whose items cannot fit fails before its first item") {
  const std::string loop =
      R"(,{"name":"loop","forEach":{"in":"${input.list}","as":"i","maxItems":10000,"steps":[
    {"name":"v1","value":1},{"name":"v2","value":1},{"name":"v3","value":1},{"name":"v4","value":1},{"name":"v5","value":1},
    {"name":"v6","value":1},{"name":"v7","value":1},{"name":"v8","value":1},{"name":"v9","value":1},{"name":"v10","value":1}]}})";
  Play play(saga(step("a") + loop), R"({"list":)" + Json(std::vector<int>(9'500, 1)).dump() + "}");
  play.checks_fold = false;
  play.start();
  CHECK(play.answer("a", 200) ==
        "StepSucceeded a, StepFailed loop LIMIT_EXCEEDED, CompensationStarted LIMIT_EXCEEDED, "
        "StepCompensationScheduled a | call a compensate #1");
  CHECK(play.state.failure->message.find("add at least 104500 events") != std::string::npos);
}

TEST_CASE("repeated attempts are not what a definition does: they leave its events alone") {
  Play play(saga(R"({"name":"p","action":{"service":"s","http":"PUT /p"},"kind":"pivot"},)" +
                 retryable("r")));
  play.checks_fold = false;
  play.start();
  play.answer("p", 200);
  for (int i = 0; i < 200; ++i) {
    play.answer("r", 503);
    play.wake();
  }
  CHECK(play.state.events == 5);  // DeadlinePassed among them
  CHECK(play.log.size() > 400);
  for (const auto& event : play.log) {
    if (event.type == "AttemptFailed" || event.type == "AttemptStarted")
      CHECK(event.data.size() + event.path.size() < 512);
  }
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

TEST_CASE("the details of a failure have a bound, and what is larger is noted with its beginning") {
  const std::string large = "\"" + std::string(900'000, 'x') + "\"";
  Play one(saga(step("a") + "," + step("b")));
  one.start();
  one.answer("a", 200);
  one.answer("b", 409, large);
  const Json& details = one.state.failure->details;
  CHECK(details["truncated"] == true);
  CHECK(details["bytes"] == 900'002);
  CHECK(details["beginning"] == "\"" + std::string(1023, 'x'));
  CHECK(one.log.back().data.size() < 4'000);

  Play small(saga(step("a")));
  small.start();
  small.answer("a", 409, R"({"reason":"sold out"})");
  CHECK(small.state.failure->details == Json{{"reason", "sold out"}});
}

TEST_CASE("a loop whose every item fails with a large answer keeps a megabyte of details") {
  constexpr int items = 200;
  Play play(saga(R"({"name":"loop","forEach":{"in":"${input.list}","as":"i","maxItems":200,)"
                 R"("onFailure":"finish","steps":[)" +
                 step("a") + "]}}"),
            R"({"list":)" + Json(std::vector<int>(items, 1)).dump() + "}");
  play.checks_fold = false;
  play.start();
  const std::string body = "\"" + std::string(50'000, 'x') + "\"";
  for (int i = 0; i < items; ++i) play.answer("loop[" + std::to_string(i) + "]/a", 409, body);
  CHECK(play.status() == "FAILED");
  CHECK(play.state.details_bytes < 1'500'000);
  const Json& others = play.state.failure->details["others"];
  CHECK(others.size() == 20);
  CHECK(others[0] == Json{{"code", "HTTP_409"},
                          {"class", "failure"},
                          {"message", others[0]["message"]},
                          {"step", "loop[1]/a"}});
  std::size_t bytes = 0;
  for (const auto& record : play.log) bytes += record.data.size();
  CHECK(bytes < 5'000'000);
}

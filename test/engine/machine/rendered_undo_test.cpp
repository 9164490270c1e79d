// A compensation can always be rendered and sent, whatever data arrives after its step succeeded.
#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

/// The step `a` with this undo; `more` are further members, each with a comma behind it.
std::string calls_a(const std::string& more, const std::string& undo) {
  return R"({"name":"a","action":{"service":"s","http":"PUT /a"},)" + more + R"("compensation":{)" +
         undo + "}}";
}

}  // namespace

TEST_CASE("an undo that cannot be rendered for an unknown outcome fails its step before the call") {
  Play play(saga(step("z") + "," +
                 calls_a(R"("capture":{"id":"${response.body.id}"},)",
                         R"("http":"DELETE /a/${self.captured.id}")")));
  play.start();
  CHECK(play.answer("z", 200) ==
        "StepSucceeded z, StepFailed a EXPRESSION_FAILED, CompensationStarted EXPRESSION_FAILED, "
        "StepCompensationScheduled z | call z compensate #1");
}

TEST_CASE("where a sealed probe decides, the undo is tried when its step succeeded") {
  Play play(saga(calls_a(R"("probe":{"http":"GET /a","sealed":true},)",
                         R"("http":"DELETE /a/${self.output.id}")")));
  CHECK(play.start() == "SagaStarted, StepScheduled a | call a forward #1");
  CHECK(play.answer("a", 200, "{}") ==
        "StepSucceeded a but EXPRESSION_FAILED, CompensationStarted EXPRESSION_FAILED, "
        "SagaSuspended a EXPRESSION_FAILED");
}

TEST_CASE("what was captured is kept for the undo although the output could not be computed") {
  Play play(
      saga(calls_a(R"("output":{"id":"${response.body.id}"},"capture":{"c":"${response.body.c}"},)",
                   R"("http":"DELETE /a/${self.captured?.c ?? self.key}")")));
  play.start();
  CHECK(play.answer("a", 200, R"({"c":"hold-7"})")
            .starts_with("StepSucceeded a but EXPRESSION_FAILED"));
  CHECK(play.request("a", engine::Phase::compensate).target == "/a/hold-7");
}

TEST_CASE("an undo whose condition does not hold without an output needs none") {
  Play play(saga(calls_a(
      "", R"("when":"${self.outcome == 'succeeded'}","http":"DELETE /a/${self.output.id}")")));
  CHECK(play.start() == "SagaStarted, StepScheduled a | call a forward #1");
  CHECK(play.answer("a", 200, "{}").starts_with("StepSucceeded a but EXPRESSION_FAILED"));
}

TEST_CASE("an undo's condition that cannot be evaluated suspends and never skips the undo") {
  Play play(saga(calls_a("", R"("when":"${failure.details == null || failure.details.n > 1}",)"
                             R"("http":"DELETE /a")") +
                 "," + step("b")));
  play.start();
  play.answer("a", 200);
  CHECK(play.answer("b", 409, R"("text")") ==
        "StepFailed b HTTP_409, CompensationStarted HTTP_409, SagaSuspended a EXPRESSION_FAILED");
}

TEST_CASE("whatever the failure brings, an undo that reads it with ?. is sent") {
  const char* const bodies[] = {"null", R"("<html>\r\n</html>")", "7",
                                "[1]",  R"({"reason":{"a":1}})",  R"({"reason":"sold out"})",
                                "true", R"([{"reason":2}])"};
  for (const char* body : bodies) {
    CAPTURE(body);
    Play play(saga(calls_a("", R"("http":"DELETE /a","query":{"step":"${failure.step}"},
          "headers":{"X-Why":"${failure.message}"},"body":{"why":"${failure.details?.reason ?? 'none'}",
          "first":"${failure.details?[0]?.reason}","named":"${failure.details?['reason']}"})") +
                   "," + step("b")));
    play.start();
    play.answer("a", 200);
    CHECK(play.answer("b", 409, body).ends_with("call a compensate #1"));
  }
}

TEST_CASE("a line break in a message does not end a header") {
  Play play(saga(calls_a("", R"("http":"DELETE /a","headers":{"X-Why":"${failure.message}"})") +
                 R"(,{"name":"f","fail":{"code":"STOP","message":"${input.text}"}})"),
            R"({"text":"one\r\ntwo\u0001\t\u007f."})");
  play.start();
  play.answer("a", 200);
  CHECK(play.request("a", engine::Phase::compensate).headers.front().second == "one  two \t .");
}

TEST_CASE("the message of a failure is cut at 4 KiB between two characters") {
  std::string text(4'095, 'x');
  Play play(saga(R"({"name":"f","fail":{"code":"STOP","message":"${input.text}"}})"),
            Json{{"text", text + "é and more"}}.dump());
  play.start();
  CHECK(play.state.failure->message == text);
}

#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

Play two_waits() {
  const auto wait = [](const std::string& name) {
    return R"({"name":")" + name + R"(","wait":{"signal":"go","timeout":"10m"}})";
  };
  Play play(saga(wait("w") + "," + wait("w2")));
  play.start();
  play.key = "k-1";
  return play;
}

}  // namespace

TEST_CASE("a signal that comes again under its key is taken once, over a take-over, too") {
  auto play = two_waits();
  CHECK(play.signal("go", "1").starts_with("SignalReceived go, SignalConsumed w"));
  CHECK(play.signal("go", "1") == "repeated");
  play.take_over();
  CHECK(play.signal("go", "1") == "repeated");
  play.key = "k-2";
  CHECK(play.signal("go", "1").ends_with("SagaEnded COMPLETED"));
  CHECK(play.signal("go", "1") == "repeated");
}

TEST_CASE("another signal or command under a key that was used is refused") {
  auto play = two_waits();
  play.signal("go", "1");
  CHECK(play.signal("go", "2") == "refused idempotency-key-reused");
  CHECK(play.cancel() == "refused idempotency-key-reused");
  CHECK(play.state.steps.at("w2").status == engine::StepStatus::waiting);
}

TEST_CASE("what was refused is not remembered under its key") {
  auto play = two_waits();
  CHECK(play.signal("stop") == "refused signal-unknown");
  CHECK(play.signal("go", "1").starts_with("SignalReceived go"));
}

TEST_CASE("a repeated skip does not meet the step that the saga is suspended at next") {
  const std::string once = R"({"name":"a","action":{"service":"s","http":"PUT /a"},)"
                           R"("compensation":{"http":"DELETE /a","retry":{"maxAttempts":1}}})";
  Play play(saga(once + "," + step("b")));
  play.start();
  play.answer("a", 200);
  play.answer("b", 409);
  play.undo("a", 500);
  REQUIRE(play.status() == "SUSPENDED");
  play.key = "k-1";
  CHECK(play.skip("a") != "repeated");
  CHECK(play.skip("a") == "repeated");
}

TEST_CASE("a callback with the answer that was taken is repeated, with another one refused") {
  Play play(saga(R"({"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":"none",)"
                 R"("completion":{"callback":true,"timeout":"1h"}})"));
  play.start();
  play.answer("a", 202);
  CHECK(play.callback("a", 200, "1").ends_with("SagaEnded COMPLETED"));
  CHECK(play.callback("a", 200, "1") == "repeated");
  CHECK(play.callback("a", 200, "2") == "refused callback-used");
}

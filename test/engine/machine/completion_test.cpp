#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

const char* const callback = R"("completion":{"callback":true,"timeout":"5m"})";
const char* const polled =
    R"("completion":{"callback":true,"timeout":"5m","poll":{"http":"GET /a/${self.key}","every":"20s","outcomes":[
      {"when":"${response.body?.state == 'PENDING'}","is":"pending"},{"when":"${response.body?.state == 'NO'}","is":"failure","code":"NO"}]}})";
const char* const probe =
    R"(,"probe":{"http":"GET /a/probe","sealed":true,"outcomes":[{"status":404,"is":"failure","code":"NOT_SEEN"}]})";

/// a, asynchronous, and b after it. `kind`: "" for one that can be undone.
std::string answered_later(const std::string& completion, const std::string& kind = "",
                           const std::string& more = "") {
  const std::string undo = kind.empty() ? R"("compensation":{"http":"DELETE /a"},)" : "";
  const std::string before = kind == "retryable" ? pivot("p") + "," : "";
  return saga(
      before + R"({"name":"a",)" + (kind.empty() ? "" : "\"kind\":\"" + kind + "\",") +
          R"("action":{"service":"s","http":"PUT /a","body":{"to":"${self.callbackUrl}"}},)" +
          undo + completion + more + "}," + (kind.empty() ? step("b") : retryable("b")),
      R"(,"output":"${steps.a.output}")");
}

Play accepted(const std::string& completion = callback, const std::string& kind = "",
              const std::string& more = "") {
  Play play(answered_later(completion, kind, more));
  play.program.callback_base = std::make_shared<std::string>("https://saga.example");
  play.start();
  if (kind == "retryable") play.answer("p", 200);
  play.answer("a", 202);
  return play;
}

}  // namespace

TEST_CASE("202 makes a step with a completion wait; its callback answers") {
  Play play(answered_later(callback));
  play.program.callback_base = std::make_shared<std::string>("https://saga.example");
  play.start();
  const std::string url = play.request("a").callback;
  CHECK(url == "https://saga.example/v1/callbacks/" + play.state.steps.at("a").callback_token);
  CHECK(play.request("a").body == R"({"to":")" + url + "\"}");
  CHECK(engine::saga_of_callback(play.state.steps.at("a").callback_token) == play.state.id);
  CHECK(play.answer("a", 202) == "StepWaiting a for 5m");
  CHECK(play.callback("a", 200, R"({"id":7})") ==
        "CallbackReceived a, StepSucceeded a, StepScheduled b | call b forward #1");
  CHECK(play.callback("a", 200) == "refused callback-used");
  play.answer("b", 200);
  CHECK(play.state.output == Json{{"id", 7}});
}

TEST_CASE("a step without a completion takes 202 for done, and a rule may say pending") {
  Play plain(saga(step("a")));
  plain.start();
  CHECK(plain.answer("a", 202) == "StepSucceeded a, SagaEnded COMPLETED");
  Play play(answered_later(
      std::string(callback) +
      R"(,"outcomes":[{"status":200,"when":"${response.body?.later == true}","is":"pending"},{"status":202,"is":"success"}])"));
  play.start();
  Play second = play;
  CHECK(play.answer("a", 200, R"({"later":true})") == "StepWaiting a for 5m");
  CHECK(second.answer("a", 202).starts_with("StepSucceeded a"));
}

TEST_CASE("a callback that is faster than the 202 counts, and the 202 changes nothing") {
  Play play(answered_later(callback));
  play.start();
  CHECK(play.callback("a", 200, "1") ==
        "CallbackReceived a, StepSucceeded a, StepScheduled b | call b forward #1");
  CHECK(play.on(engine::CallEnded{"a", engine::Phase::forward, 1,
                                  engine::Response{202, {}, nullptr}}) == "");
}

TEST_CASE("a callback is classified like an answer") {
  auto play = accepted();
  SUBCASE("failure: not done") {
    CHECK(play.callback("a", 409) ==
          "CallbackReceived a, StepFailed a HTTP_409, CompensationStarted HTTP_409, SagaEnded "
          "FAILED");
    CHECK(play.callback("a", 200) == "refused callback-used");
  }
  SUBCASE("pending by a rule of the poll: still waiting, and may come again") {
    play = accepted(polled);
    CHECK(play.callback("a", 200, R"({"state":"PENDING"})") == "");
    CHECK(play.callback("a", 200, R"({"state":"YES"})").starts_with("CallbackReceived a"));
  }
  SUBCASE("unknown: sent again, and the new attempt may be answered by callback again") {
    CHECK(play.callback("a", 500) ==
          "CallbackReceived a, AttemptFailed a forward #1 unknown again in 187ms");
    CHECK(play.wake() == "AttemptStarted a forward #2 | call a forward #2");
    play.answer("a", 202);
    CHECK(play.callback("a", 200).starts_with("CallbackReceived a, StepSucceeded a"));
  }
  SUBCASE("with an address that nobody gave out: refused") {
    CHECK(play.on(engine::Callback{"nonsense", {200, {}, nullptr}}) == "refused callback-unknown");
    CHECK(play.on(engine::Callback{"", {200, {}, nullptr}}) == "refused callback-unknown");
  }
}

TEST_CASE("a callback to a step that was given up is too late") {
  auto play = accepted();
  play.tick(5min);
  CHECK(play.callback("a", 200) == "refused callback-too-late, CallbackRefused a");
  play.undo("a", 200);
  CHECK(play.callback("a", 200) == "refused callback-too-late");
}

TEST_CASE("a pending answer is polled for until it comes, whichever way is first") {
  auto play = accepted(polled);
  CHECK(play.tick(20s - 1ms) == "");
  CHECK(play.tick(1ms) == " | call a poll #1");
  CHECK(play.request("a", engine::Phase::poll).target == "/a/" + play.key_for("a-f"));
  const auto poll = [&](int status, const std::string& body) {
    return play.answer("a", status, body, engine::Phase::poll);
  };
  CHECK(poll(200, R"({"state":"PENDING"})") == "AttemptFailed a poll #1 pending");
  play.wake();
  CHECK(poll(503, "null") == "AttemptFailed a poll #2 pending");
  play.wake();
  SUBCASE("success") {
    CHECK(poll(200, R"({"state":"YES"})") ==
          "StepSucceeded a, StepScheduled b | call b forward #1");
    CHECK(play.callback("a", 200) == "refused callback-too-late, CallbackRefused a");
  }
  SUBCASE("failure") {
    CHECK(poll(200, R"({"state":"NO"})") ==
          "AttemptFailed a poll #3 failure, StepFailed a NO, CompensationStarted NO, SagaEnded "
          "FAILED");
  }
  SUBCASE("a callback while the poll is on its way") {
    CHECK(play.callback("a", 200, R"({"state":"YES"})") ==
          "CallbackReceived a, StepSucceeded a, StepScheduled b | call b forward #1");
    CHECK(poll(200, R"({"state":"NO"})") == "");
  }
  SUBCASE("a node that dies polls again, in its time") {
    CHECK(play.take_over() == "Resumed | call a poll #1");
  }
}

TEST_CASE("restarts while an answer is polled for are no reason to suspend") {
  auto play = accepted(polled);
  CHECK(play.wake() == " | call a poll #1");
  for (int i = 0; i < 5; ++i) {
    // Each time it shows that the node lived.
    CHECK(play.answer("a", 200, R"({"state":"PENDING"})", engine::Phase::poll) ==
          "AttemptFailed a poll #1 pending");
    CHECK(play.take_over() == "Resumed | call a poll #1");
  }
  CHECK(play.status() == "RUNNING");
}

TEST_CASE("polls that change nothing leave nothing, at times that follow from the wait's begin") {
  auto play = accepted(polled);
  const TimePoint began = play.now;
  play.wake();
  play.answer("a", 200, R"({"state":"PENDING"})", engine::Phase::poll);
  const std::size_t known = play.log.size();
  for (int i = 2; i < 12; ++i) {
    CHECK(play.wake().starts_with(" | call a poll"));
    CHECK(play.now == began + i * Duration{20'000});
    play.now += Duration{3'000};  // the answer takes its time
    CHECK(play.answer("a", 200, R"({"state":"PENDING"})", engine::Phase::poll) == "");
  }
  CHECK(play.log.size() == known);
}

TEST_CASE("an answer too long for the log says the same again") {
  std::string wordy = polled;
  wordy.insert(wordy.find(R"({"when")"),
               R"({"status":503,"is":"pending","message":")" + std::string(200, 'm') + R"("},)");
  auto play = accepted(wordy);
  play.wake();
  CHECK(play.answer("a", 503, "null", engine::Phase::poll) != "");
  play.wake();
  CHECK(play.answer("a", 503, "null", engine::Phase::poll) == "");
}

TEST_CASE("answers that differ are noted, at most twenty of a step") {
  auto play = accepted(polled);
  int noted = 0;
  for (int i = 0; i < 14; ++i) {
    play.wake();
    noted += play.answer("a", 500 + i % 2, "null", engine::Phase::poll) != "" ? 1 : 0;
  }
  CHECK(noted == 14);
  std::string hour = polled;
  hour.replace(hour.find("5m"), 2, "1h");
  auto longer = accepted(hour);
  noted = 0;
  for (int i = 0; i < 40; ++i) {
    longer.wake();
    noted += longer.answer("a", 500 + i % 2, "null", engine::Phase::poll) != "" ? 1 : 0;
  }
  CHECK(noted == 20);
}

TEST_CASE("an answer that does not come in time: what that means for each kind of step") {
  SUBCASE("compensatable: unknown, undone by key") {
    auto play = accepted();
    CHECK(play.tick(5min) ==
          "AttemptFailed a forward #1 unknown, StepUnknown a OUTCOME_UNKNOWN, CompensationStarted "
          "OUTCOME_UNKNOWN, StepCompensationScheduled a | call a compensate #1");
  }
  SUBCASE("compensatable with a probe: asked first") {
    auto play = accepted(callback, "", probe);
    CHECK(play.tick(5min) ==
          "AttemptFailed a forward #1 unknown, ProbeScheduled a | call a probe #1");
    Play seen = play;
    CHECK(seen.probe("a", 200, "5") == "StepSucceeded a, StepScheduled b | call b forward #1");
    Play called = play;
    CHECK(called.callback("a", 200).starts_with("CallbackReceived a, StepSucceeded a"));
    CHECK(play.probe("a", 404) ==
          "AttemptFailed a probe #1 failure, StepFailed a NOT_SEEN, CompensationStarted NOT_SEEN, "
          "SagaEnded FAILED");
  }
  SUBCASE("pivot: sent again, never rolled back") {
    auto play = accepted(callback, "pivot");
    CHECK(play.tick(5min) == "AttemptFailed a forward #1 unknown again in 500ms");
    CHECK(play.tick(1ms) == "");
    CHECK(play.wake() == "AttemptStarted a forward #2 | call a forward #2");
    CHECK(play.answer("a", 202) == "StepWaiting a for 5m");
    CHECK(play.callback("a", 200) ==
          "CallbackReceived a, StepSucceeded a, StepScheduled b | call b forward #1");
  }
  SUBCASE("pivot: the answer may still come while it waits to be sent again") {
    auto play = accepted(callback, "pivot");
    play.tick(5min);
    CHECK(play.callback("a", 200) ==
          "CallbackReceived a, StepSucceeded a, StepScheduled b | call b forward #1");
  }
  SUBCASE("pivot: suspended when its budget ends, and sent again by an operator's retry") {
    auto play = accepted(callback, "pivot");
    play.now += 80h;
    CHECK(play.tick(0ms) ==
          "DeadlinePassed, AttemptFailed a forward #1 unknown, SagaSuspended a OUTCOME_UNKNOWN");
    CHECK(play.retry() == "OperatorActed a retry, AttemptStarted a forward #2 | call a forward #2");
  }
  SUBCASE("pivot with a probe: asked, and sent again only if it was not seen") {
    auto play = accepted(callback, "pivot", probe);
    CHECK(play.tick(5min) ==
          "AttemptFailed a forward #1 unknown, ProbeScheduled a | call a probe #1");
    CHECK(play.probe("a", 404) ==
          "AttemptFailed a probe #1 failure, StepFailed a NOT_SEEN, CompensationStarted NOT_SEEN, "
          "SagaEnded FAILED");
  }
  SUBCASE("retryable: sent again") {
    auto play = accepted(callback, "retryable");
    CHECK(play.tick(5min) == "AttemptFailed a forward #1 unknown again in 500ms");
    CHECK(play.wake() == "AttemptStarted a forward #2 | call a forward #2");
  }
  SUBCASE("retryable with a probe") {
    auto play = accepted(callback, "retryable", probe);
    CHECK(play.tick(5min) ==
          "AttemptFailed a forward #1 unknown, ProbeScheduled a | call a probe #1");
    CHECK(play.probe("a", 200) == "StepSucceeded a, StepScheduled b | call b forward #1");
  }
}

TEST_CASE("a callback that comes while its step is suspended takes the saga on") {
  auto play = accepted(callback, "pivot");
  play.now += 80h;
  play.tick(0ms);
  REQUIRE(play.status() == "SUSPENDED");
  SUBCASE("success") {
    CHECK(play.callback("a", 200) ==
          "CallbackReceived a, OperatorActed a callback, StepSucceeded a, StepScheduled b | call b "
          "forward #1");
    CHECK(play.status() == "RUNNING");
  }
  SUBCASE("refused") {
    CHECK(play.callback("a", 422) ==
          "CallbackReceived a, OperatorActed a callback, StepFailed a HTTP_422, "
          "CompensationStarted SAGA_TIMEOUT, SagaEnded FAILED");
  }
  SUBCASE("neither: still for the operator") {
    play.callback("a", 500);
    CHECK(play.status() == "SUSPENDED");
  }
}

TEST_CASE("the step's timeout bounds the wait for the answer, too") {
  SUBCASE("without a probe") {
    auto play = accepted(callback, "", R"(,"timeout":"1m")");
    CHECK(play.tick(1min) ==
          "AttemptFailed a forward #1 unknown, StepUnknown a OUTCOME_UNKNOWN, CompensationStarted "
          "OUTCOME_UNKNOWN, StepCompensationScheduled a | call a compensate #1");
  }
  SUBCASE("a probe has its own budget") {
    auto play = accepted(callback, "", std::string(R"(,"timeout":"1m")") + probe);
    CHECK(play.tick(1min) ==
          "AttemptFailed a forward #1 unknown, ProbeScheduled a | call a probe #1");
    CHECK(play.tick(1min) == "");
    CHECK(play.probe("a", 200) == "StepSucceeded a, StepScheduled b | call b forward #1");
  }
}

TEST_CASE("a node that dies while the answer is waited for changes nothing") {
  auto play = accepted();
  CHECK(play.take_over() == "Resumed");
  CHECK(play.callback("a", 200).starts_with("CallbackReceived a, StepSucceeded a"));
}

TEST_CASE("a node that dies before the 202 sends again, with the same address to call back") {
  Play play(answered_later(callback));
  play.start();
  const auto before = play.request("a");
  CHECK(play.take_over() ==
        "Resumed, AttemptFailed a forward #1 unknown again in 0s, AttemptStarted a forward #2 | "
        "call a forward #2");
  CHECK(play.request("a") == before);
  CHECK(play.callback("a", 200).starts_with("CallbackReceived a, StepSucceeded a"));
}

TEST_CASE("a callback that a rule cannot read is noted once, and may be sent again") {
  auto play = accepted(
      R"("completion":{"callback":true,"timeout":"5m"},"outcomes":[{"when":"${response.body.state == 'NO'}","is":"failure","code":"NO"}])");
  CHECK(play.callback("a", 200, "{}") == "CallbackReceived a");
  CHECK(play.callback("a", 200, "7") == "");
  CHECK(play.callback("a", 200, R"({"state":"NO"})") ==
        "CallbackReceived a, StepFailed a NO, CompensationStarted NO, SagaEnded FAILED");
}

TEST_CASE("captured data is for the undo alone") {
  Play play(saga(
      R"({"name":"a","action":{"service":"s","http":"PUT /a"},"capture":{"token":"${response.body.t}"},"output":null,
       "compensation":{"http":"DELETE /a/${self.captured?.token ?? self.key}"}},)" +
      step("b")));
  play.start();
  play.answer("a", 200, R"({"t":"x9"})");
  CHECK(play.state.steps.at("a").output.is_null());
  play.take_over();
  play.answer("b", 422);
  CHECK(play.request("a", engine::Phase::compensate).target == "/a/x9");
}

TEST_CASE("captured data that is too large fails the step, which is undone") {
  Play play(saga(
      R"({"name":"a","action":{"service":"s","http":"PUT /a"},"capture":"${response.body}","output":null,"compensation":{"http":"DELETE /a"}})"));
  play.start();
  CHECK(play.answer("a", 200, "\"" + std::string(70'000, 'x') + "\"") ==
        "StepSucceeded a but LIMIT_EXCEEDED, CompensationStarted LIMIT_EXCEEDED, "
        "StepCompensationScheduled a | call a compensate #1");
}

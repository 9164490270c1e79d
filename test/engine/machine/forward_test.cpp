#include "play.hpp"

using backstitch::test::Play;
using backstitch::test::three_steps;
using namespace backstitch;
using namespace std::chrono_literals;

TEST_CASE("a saga of three plain steps takes four transitions, each with the next request in it") {
  Play play(three_steps());
  CHECK(play.start() == "SagaStarted, StepScheduled a | call a forward #1");
  CHECK(play.answer("a", 200, R"({"id":7})") ==
        "StepSucceeded a, StepScheduled b | call b forward #1");
  CHECK(play.request("b").body == R"({"from":{"id":7}})");
  CHECK(play.answer("b", 201) == "StepSucceeded b, StepScheduled c | call c forward #1");
  CHECK(play.answer("c", 204) == "StepSucceeded c, SagaEnded COMPLETED");
}

TEST_CASE("a request carries its key, its encoded path and its bytes") {
  Play play(R"({"dsl":1,"name":"t.r","version":1,"services":{"s":{"baseUrl":"https://s.example"}},
    "input":{"type":"object","required":["id"],"properties":{"id":{"type":"string"}}},
    "steps":[{"name":"a","action":{"service":"s","http":"PUT /things/${input.id}","query":{"q":"${input.id}"},"headers":{"X-A":"${input.id}"},
      "body":{"key":"${self.key}"}},"compensation":{"http":"DELETE /things","body":{"k":"${self.key}","o":"${self.outcome}"}}},
      {"name":"f","fail":{"code":"STOP"}}]})",
            R"({"id":"a b+c?"})");
  play.start();
  const auto request = play.request("a");
  CHECK(request.target == "/things/a%20b%2Bc%3F?q=a%20b%2Bc%3F");
  CHECK(request.key == play.key_for("a-f"));
  CHECK(request.body == R"({"key":")" + request.key + "\"}");
  CHECK(request.headers == std::vector<std::pair<std::string, std::string>>{
                               {"X-A", "a b+c?"}, {"Content-Type", "application/json"}});
  play.answer("a", 200);
  const auto& undo = play.request("a", engine::Phase::compensate);
  CHECK(undo.compensates == request.key);
  CHECK(undo.key == play.key_for("a-c"));
  CHECK(undo.body == R"({"k":")" + request.key + R"(","o":"succeeded"})");
}

TEST_CASE("values, skipped steps and business failures cost no transition of their own") {
  Play play(
      R"({"dsl":1,"name":"t.v","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"v","value":{"n":"${1 + 2}"}},
    {"name":"w","when":"${steps.v.output.n > 5}","value":1},
    {"name":"a","action":{"service":"s","http":"PUT /a/${steps.v.output.n}"},"compensation":"none"}],"output":"${steps.v.output.n}"})");
  CHECK(play.start() ==
        "SagaStarted, StepSucceeded v, StepSkipped w, StepScheduled a | call a forward #1");
  CHECK(play.answer("a", 200) == "StepSucceeded a, SagaEnded COMPLETED");
  CHECK(play.state.output == 3);
}

TEST_CASE("what an answer means by default") {
  struct Row {
    int status;
    const char* sentence;
  };
  const Row rows[] = {
      {200, "StepSucceeded c, SagaEnded COMPLETED"},
      {302, "AttemptFailed c forward #1 unknown again in 187ms"},
      {307,
       "StepFailed c HTTP_307, CompensationStarted HTTP_307, StepCompensationScheduled b | call b "
       "compensate #1"},
      {409,
       "StepFailed c HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled b | call b "
       "compensate #1"},
      {408, "AttemptFailed c forward #1 transient again in 187ms"},
      {425, "AttemptFailed c forward #1 transient again in 187ms"},
      {429, "AttemptFailed c forward #1 transient again in 187ms"},
      {500, "AttemptFailed c forward #1 unknown again in 187ms"},
      {503, "AttemptFailed c forward #1 unknown again in 187ms"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.status);
    Play play(three_steps());
    play.start();
    play.answer("a", 200);
    play.answer("b", 200);
    CHECK(play.answer("c", row.status) == row.sentence);
  }
}

TEST_CASE("rules of the step come before those of the service, and both before the table") {
  Play play(three_steps(
      R"(,"outcomes":[{"status":409,"is":"transient"},{"status":503,"is":"transient","code":"NOT_PROCESSED"}])",
      R"("compensation":"none","outcomes":[{"status":409,"is":"failure","code":"TAKEN"},{"when":"${response.body?.late == true}","is":"unknown"}])"));
  play.start();
  play.answer("a", 200);
  CHECK(play.answer("b", 409) == "AttemptFailed b forward #1 transient again in 187ms");
  play.wake();
  play.answer("b", 200);
  CHECK(play.answer("c", 503) == "AttemptFailed c forward #1 transient again in 187ms");
  play.wake();
  CHECK(play.answer("c", 200, R"({"late":true})") ==
        "AttemptFailed c forward #2 unknown again in 375ms");
  play.wake();
  CHECK(play.answer("c", 409) ==
        "StepFailed c TAKEN, CompensationStarted TAKEN, StepCompensationScheduled b | call b "
        "compensate #1");
}

TEST_CASE("transient attempts are counted, spaced and never sent early") {
  Play play(three_steps());
  play.start();
  const TimePoint began = play.now;
  CHECK(play.refused_connection("a") == "AttemptFailed a forward #1 transient again in 187ms");
  CHECK(play.tick(186ms) == "");
  CHECK(play.tick(1ms) == "AttemptStarted a forward #2 | call a forward #2");
  CHECK(play.refused_connection("a") == "AttemptFailed a forward #2 transient again in 375ms");
  CHECK(play.wake() == "AttemptStarted a forward #3 | call a forward #3");
  CHECK(play.refused_connection("a") == "AttemptFailed a forward #3 transient again in 750ms");
  for (int attempt = 4; attempt < 18; ++attempt) {
    play.wake();
    play.refused_connection("a");
  }
  CHECK(play.now - began >= 63s);
  play.wake();
  CHECK(play.refused_connection("a") ==
        "AttemptFailed a forward #18 transient, StepFailed a RETRIES_EXHAUSTED, "
        "CompensationStarted RETRIES_EXHAUSTED, SagaEnded FAILED");
}

TEST_CASE("a step that stays unknown is undone by its key, and what was done before after it") {
  Play play(three_steps());
  play.start();
  play.answer("a", 200);
  for (int i = 1; i < 4; ++i) {
    play.lost("b");
    play.wake();
  }
  CHECK(play.lost("b") ==
        "AttemptFailed b forward #4 unknown, StepUnknown b OUTCOME_UNKNOWN, CompensationStarted "
        "OUTCOME_UNKNOWN, "
        "StepCompensationScheduled b | call b compensate #1");
  CHECK(play.undo("b", 200) ==
        "StepCompensated b, StepCompensationScheduled a | call a compensate #1");
  CHECK(play.undo("a", 204) == "StepCompensated a, SagaEnded FAILED");
}

TEST_CASE("a failure after an unknown attempt is believed only where answers are replayed") {
  for (const auto& row : {std::pair{"key", true}, std::pair{"natural", false}}) {
    const std::string idempotency = row.first;
    const bool believed = row.second;
    CAPTURE(idempotency);
    Play play(three_steps(std::string(R"(,"idempotency":")") + idempotency + "\""));
    play.start();
    play.lost("a");
    play.wake();
    const std::string sentence = play.answer("a", 422);
    if (believed)
      CHECK(sentence == "StepFailed a HTTP_422, CompensationStarted HTTP_422, SagaEnded FAILED");
    else
      CHECK(sentence == "AttemptFailed a forward #2 unknown again in 375ms");
  }
}

TEST_CASE("an unknown attempt is never repeated on a service that is not idempotent") {
  Play play(three_steps(R"(,"idempotency":"none")"));
  play.start();
  CHECK(play.lost("a") ==
        "AttemptFailed a forward #1 unknown, StepUnknown a OUTCOME_UNKNOWN, CompensationStarted "
        "OUTCOME_UNKNOWN, "
        "StepCompensationScheduled a | call a compensate #1");
}

TEST_CASE("answers to attempts that were settled change nothing") {
  Play play(three_steps());
  play.start();
  play.answer("a", 200);
  CHECK(play.on(engine::CallEnded{"a", engine::Phase::forward, 1,
                                  engine::Response{500, {}, nullptr}}) == "");
  CHECK(play.on(engine::CallEnded{"b", engine::Phase::forward, 2,
                                  engine::Response{200, {}, nullptr}}) == "");
  CHECK(play.on(engine::CallEnded{"none", engine::Phase::forward, 1,
                                  engine::Response{200, {}, nullptr}}) == "");
}

TEST_CASE("a broken output counts the call as done and undoes it") {
  Play play(
      R"({"dsl":1,"name":"t.o","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"output":"${response.body.id}","compensation":{"http":"DELETE /a"}}]})");
  play.start();
  CHECK(play.answer("a", 200, "{}") ==
        "StepSucceeded a but EXPRESSION_FAILED, CompensationStarted EXPRESSION_FAILED, "
        "StepCompensationScheduled a | call a compensate #1");
  CHECK(play.state.failure->details["response"]["body"] == Json::object());
}

TEST_CASE("an unreadable body changes no outcome and is noted in the history") {
  const auto unreadable = [](int status) {
    return engine::Response{status, {}, "<html>", "not JSON: the media type is another one"};
  };
  const auto last_data = [](const Play& play) { return Json::parse(play.log.back().data); };
  Play refused(test::saga(test::step("a") + "," + test::step("b")));
  refused.start();
  CHECK(refused.on(engine::CallEnded{"a", engine::Phase::forward, 1, unreadable(409)}) ==
        "StepFailed a HTTP_409, CompensationStarted HTTP_409, SagaEnded FAILED");
  CHECK(refused.state.failure->message.find("its body is unreadable: not JSON") !=
        std::string::npos);
  CHECK(refused.state.failure->details == "<html>");
  Play done(test::saga(test::step("a")));
  done.start();
  CHECK(done.on(engine::CallEnded{"a", engine::Phase::forward, 1, unreadable(200)}) ==
        "StepSucceeded a, SagaEnded COMPLETED");
  CHECK(Json::parse(done.log[2].data)["unreadable"] == "not JSON: the media type is another one");
  CHECK(last_data(done).contains("unreadable") == false);
  Play lost(test::saga(test::step("a")));
  lost.start();
  CHECK(lost.on(engine::CallEnded{"a", engine::Phase::forward, 1, unreadable(500)})
            .starts_with("AttemptFailed a forward #1 unknown"));
  CHECK(last_data(lost).contains("unreadable"));
}

TEST_CASE("a rule can tell an unreadable body, and an output that needs the body names it") {
  Play ruled(test::saga(
      test::step("a", R"(,"outcomes":[{"when":"${response.unreadable}","is":"unknown"}])")));
  ruled.start();
  const engine::Response page{200, {}, "<html>", "not JSON"};
  CHECK(ruled.on(engine::CallEnded{"a", engine::Phase::forward, 1, page})
            .starts_with("AttemptFailed a forward #1 unknown"));
  Play output(test::saga(test::step("a", R"(,"output":"${response.body.id}")")));
  output.start();
  CHECK(output.on(engine::CallEnded{"a", engine::Phase::forward, 1, page})
            .starts_with("StepSucceeded a but EXPRESSION_FAILED"));
  CHECK(output.state.failure->message.find("the answer's body is unreadable: not JSON") !=
        std::string::npos);
}

TEST_CASE("an attempt is cut to what is left of its step's timeout") {
  Play play(three_steps("", R"("timeout":"12s","compensation":{"http":"DELETE /c"})"));
  play.start();
  play.answer("a", 200);
  play.answer("b", 200);
  const auto time = [&](Duration later) {
    return engine::attempt_time(play.state.steps.at("c"), engine::Phase::forward, play.now + later);
  };
  CHECK(time(0s) == 10s);
  CHECK(time(2s) == 10s);
  CHECK(time(5s) == 7s);
  // Sent at the last moment it has no time, but is still sent as an attempt.
  CHECK(time(12s) == 1ms);
  CHECK(time(1h) == 1ms);

  play.refused_connection("c");
  CHECK(play.tick(11s) == "AttemptStarted c forward #2 | call c forward #2");
  CHECK(engine::awaited(play.state, {}).front().until == play.now + 1s);
}

TEST_CASE("a compensation has its whole attempt timeout, however long its step took") {
  Play play(three_steps("", R"("timeout":"2s","compensation":{"http":"DELETE /c"})"));
  play.start();
  play.answer("a", 200);
  play.answer("b", 200);
  play.tick(2s);
  CHECK(engine::attempt_time(play.state.steps.at("c"), engine::Phase::compensate, play.now) == 10s);
}

TEST_CASE("a readonly step that gets no answer exhausts its retries: it has no unknown effect") {
  const auto reading = [](const std::string& more) {
    return R"({"dsl":1,"name":"t.r","version":1,"services":{"s":{"baseUrl":"https://s.example"}},
      "steps":[{"name":"r","action":{"service":"s","http":"GET /r"},"retry":{"maxAttempts":2})" +
           more + "}]}";
  };
  Play play(reading(""));
  play.start();
  CHECK(play.answer("r", 500) == "AttemptFailed r forward #1 unknown again in 187ms");
  play.wake();
  CHECK(play.answer("r", 500) ==
        "AttemptFailed r forward #2 unknown, StepFailed r RETRIES_EXHAUSTED, CompensationStarted "
        "RETRIES_EXHAUSTED, SagaEnded FAILED");
  CHECK(play.state.failure->failure_class == "transient");
  CHECK(play.state.failure->message ==
        "given up after 2 attempt(s); the last: HTTP_500, the answer was 500");

  Play late(reading(R"(,"timeout":"3s")"));
  late.start();
  CHECK(late.tick(3s) ==
        "AttemptFailed r forward #1 unknown, StepFailed r STEP_TIMEOUT, CompensationStarted "
        "STEP_TIMEOUT, SagaEnded FAILED");

  Play stopped(reading(""));
  stopped.start();
  stopped.cancel();
  CHECK(stopped.lost("r") ==
        "AttemptFailed r forward #1 unknown, StepFailed r CANCELLED, CompensationStarted "
        "CANCELLED, SagaEnded FAILED");
}

TEST_CASE("after the pivot a readonly step that gets no answer waits for an operator") {
  Play play(
      R"({"dsl":1,"name":"t.r","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"p","kind":"pivot","action":{"service":"s","http":"PUT /p"}},
    {"name":"r","action":{"service":"s","http":"GET /r"},"retry":{"maxAttempts":1}}]})");
  play.start();
  play.answer("p", 200);
  CHECK(play.answer("r", 500) ==
        "AttemptFailed r forward #1 unknown, SagaSuspended r RETRIES_EXHAUSTED");
}

TEST_CASE("a step's timeout makes an attempt in flight unknown") {
  Play play(three_steps("", R"("timeout":"2s","compensation":{"http":"DELETE /c"})"));
  play.start();
  play.answer("a", 200);
  play.answer("b", 200);
  CHECK(play.tick(2s) ==
        "AttemptFailed c forward #1 unknown, StepUnknown c OUTCOME_UNKNOWN, CompensationStarted "
        "OUTCOME_UNKNOWN, "
        "StepCompensationScheduled c | call c compensate #1");
}

TEST_CASE("a pivot that an unsealed probe never sees is sent again for 72 hours, and suspended") {
  Play play(
      R"({"dsl":1,"name":"t.q","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"p","kind":"pivot","retry":{"maxAttempts":1},"action":{"service":"s","http":"POST /p"},
     "probe":{"http":"GET /p","outcomes":[{"status":404,"is":"failure"}]}}]})");
  play.start();
  const TimePoint began = play.now;
  for (int i = 0; i < 2'000 && play.status() == "RUNNING"; ++i) {
    play.lost("p");
    play.probe("p", 404);
    while (play.status() == "RUNNING" && !engine::has_call_in_flight(play.state)) play.wake();
  }
  CHECK(play.status() == "SUSPENDED");
  CHECK(play.now - began > 71h);
  CHECK(play.state.suspensions.front().reason == "OUTCOME_UNKNOWN");
  CHECK(play.attempt("p", engine::Phase::forward) < 2'000);
  CHECK(play.retry().starts_with("OperatorActed p retry, AttemptStarted p forward #"));
}

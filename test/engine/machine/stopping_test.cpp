// A saga or a block that is to stop: what is settled at once, what is awaited, what goes on.
#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

const char* const answered_by_callback = R"(,"completion":{"callback":true,"timeout":"14d"})";
const char* const answered_by_poll =
    R"(,"completion":{"callback":true,"timeout":"4h","poll":{"http":"GET /q","every":"20s","outcomes":[
      {"when":"${response.body?.state == 'PENDING'}","is":"pending"}]}})";
const char* const sealed_probe_of_q =
    R"(,"probe":{"http":"GET /q","sealed":true,"retry":{"maxAttempts":2,"delay":"1s","jitter":"none"},
      "outcomes":[{"status":404,"when":"${response.body.seen == false}","is":"failure","code":"NOT_SEEN"}]})";

/// a, then q, which was accepted and will be answered later.
Play waits_for_answer(const std::string& completion = answered_by_callback,
                      const std::string& more = "",
                      const std::string& rest = R"(,"timeout":"15d")") {
  Play play(saga(step("a") + "," + step("q", completion + more), rest));
  play.program.callback_base = std::make_shared<std::string>("https://saga.example");
  play.start();
  play.answer("a", 200);
  play.answer("q", 202);
  return play;
}

/// q with an undo that needs what only a certain outcome can tell.
Play needs_its_output() {
  Play play(saga(
      step("a") +
          R"(,{"name":"q","action":{"service":"s","http":"POST /q"},"output":{"id":"${response.body.id}"},
            "compensation":{"http":"DELETE /q/${self.output.id}"})" +
          answered_by_callback + sealed_probe_of_q + "}",
      R"(,"timeout":"15d")"));
  play.start();
  play.answer("a", 200);
  play.answer("q", 202);
  return play;
}

/// A step whose compensation is tried once.
std::string undone_once(const std::string& name) {
  return R"({"name":")" + name + R"(","action":{"service":"s","http":"PUT /)" + name +
         R"("},"compensation":{"http":"DELETE /)" + name + R"(","retry":{"maxAttempts":1}}})";
}

/// Two chains beside each other, x then x2 and y then y2, and b, which fails.
const std::string two_chains = step("a") + R"(,{"name":"both","parallel":{"branches":{"l":[)" +
                               step("x") + "," + undone_once("x2") + R"(],"r":[)" + step("y") +
                               "," + step("y2") + "]}}}," + step("b");

Play both_go_back(const std::string& rest = "") {
  Play play(saga(two_chains, rest));
  play.start();
  for (const char* path : {"a", "both/l/x", "both/l/x2", "both/r/y", "both/r/y2"})
    play.answer(path, 200);
  play.answer("b", 409);
  return play;
}

}  // namespace

TEST_CASE("a cancel settles an open completion at once, by the key of the call") {
  auto play = waits_for_answer();
  CHECK(play.cancel() ==
        "CancelRequested, AttemptFailed q forward #1 unknown, StepUnknown q OUTCOME_UNKNOWN, "
        "CompensationStarted CANCELLED, StepCompensationScheduled q | call q compensate #1");
  CHECK(play.request("q", engine::Phase::compensate).compensates == play.key_for("q-f"));
}

TEST_CASE("the saga's timeout settles an open completion at once") {
  auto play = waits_for_answer(answered_by_callback, "", R"(,"timeout":"1h")");
  CHECK(play.tick(1h) ==
        "DeadlinePassed, AttemptFailed q forward #1 unknown, StepUnknown q OUTCOME_UNKNOWN, "
        "CompensationStarted SAGA_TIMEOUT, StepCompensationScheduled q | call q compensate #1");
}

TEST_CASE("a 202 that comes after the stop is not waited for") {
  Play play(saga(step("q", answered_by_callback)));
  play.start();
  CHECK(play.cancel() == "CancelRequested");
  CHECK(play.answer("q", 202).starts_with(
      "StepWaiting q for 14d, AttemptFailed q forward #1 unknown, StepUnknown q"));
}

TEST_CASE("a question that a take-over lost is not asked again when the saga is to stop") {
  auto play = waits_for_answer(answered_by_poll);
  play.wake();
  play.cancel();
  CHECK(play.take_over().starts_with("Resumed, AttemptFailed q forward #1 unknown, StepUnknown q"));
}

TEST_CASE("a poll in flight is awaited when the saga is to stop, the next one is not sent") {
  auto play = waits_for_answer(answered_by_poll);
  play.wake();
  CHECK(play.cancel() == "CancelRequested");
  SUBCASE("still pending: settled") {
    CHECK(play.answer("q", 200, R"({"state":"PENDING"})", engine::Phase::poll)
              .starts_with("AttemptFailed q poll #1 pending, AttemptFailed q forward "
                           "#1 unknown, StepUnknown q OUTCOME_UNKNOWN"));
    CHECK_FALSE(play.state.steps.at("q").poll.retry_at);
  }
  SUBCASE("done: the answer counts") {
    CHECK(play.answer("q", 200, R"({"state":"YES"})", engine::Phase::poll)
              .starts_with("StepSucceeded q, CompensationStarted CANCELLED"));
  }
}

TEST_CASE("a probe is asked before an open completion is undone") {
  auto play = waits_for_answer(answered_by_callback, sealed_probe_of_q);
  CHECK(play.cancel() ==
        "CancelRequested, AttemptFailed q forward #1 unknown, ProbeScheduled q | call q probe #1");
  SUBCASE("not done: nothing to undo") {
    CHECK(play.probe("q", 404, R"({"seen":false})") ==
          "AttemptFailed q probe #1 failure, StepFailed q NOT_SEEN, CompensationStarted CANCELLED, "
          "StepCompensationScheduled a | call a compensate #1");
  }
  SUBCASE("undecided in its budget: undone by key") {
    CHECK(play.probe("q", 503) == "AttemptFailed q probe #1 unknown again in 1s");
    play.wake();
    CHECK(play.probe("q", 503) ==
          "AttemptFailed q probe #2 unknown, StepUnknown q OUTCOME_UNKNOWN, CompensationStarted "
          "CANCELLED, StepCompensationScheduled q | call q compensate #1");
  }
  SUBCASE("the callback may still answer while the probe is asked") {
    CHECK(play.callback("q", 200).starts_with("CallbackReceived q, StepSucceeded q"));
  }
}

TEST_CASE("where the undo reads the output, only an operator can settle what the probe could not") {
  auto play = needs_its_output();
  play.cancel();
  play.probe("q", 503);
  play.wake();
  CHECK(play.probe("q", 503) ==
        "AttemptFailed q probe #2 unknown, SagaSuspended q OUTCOME_UNKNOWN");
  CHECK(play.retry() == "OperatorActed q retry, AttemptStarted q probe #3 | call q probe #3");
}

TEST_CASE("a probe that cannot be rendered does not hold up a saga that is to stop") {
  auto play = waits_for_answer(answered_by_callback, R"(,"probe":{"http":"GET /q/${input.gone}"})");
  CHECK(play.cancel() ==
        "CancelRequested, AttemptFailed q forward #1 unknown, StepUnknown q EXPRESSION_FAILED, "
        "CompensationStarted CANCELLED, StepCompensationScheduled q | call q compensate #1");
}

TEST_CASE("a neighbour that fails settles the open completion of another branch at once") {
  Play play(saga(R"({"name":"both","parallel":{"branches":{"l":[)" +
                 step("q", answered_by_callback) + R"(],"r":[)" + step("y") + "]}}}"));
  play.start();
  play.answer("both/l/q", 202);
  CHECK(play.answer("both/r/y", 409) ==
        "StepFailed both/r/y HTTP_409, AttemptFailed both/l/q forward #1 unknown, StepUnknown "
        "both/l/q OUTCOME_UNKNOWN, StepFailed both HTTP_409, CompensationStarted HTTP_409, "
        "StepCompensationScheduled both/l/q | call both/l/q compensate #1");
}

TEST_CASE("a callback to a step that was given up is refused, and on record once a step") {
  auto play = waits_for_answer();
  play.cancel();
  CHECK(play.callback("q", 200) == "refused callback-too-late, CallbackRefused q");
  CHECK(play.callback("q", 200) == "refused callback-too-late");
  play.undo("q", 200);
  CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED");
  CHECK(play.callback("q", 200) == "refused callback-too-late");
}

TEST_CASE("a callback that comes after the saga has ended is on record, too") {
  auto play = waits_for_answer();
  play.cancel();
  play.undo("q", 200);
  play.undo("a", 200);
  CHECK(play.callback("q", 200) == "refused callback-too-late, CallbackRefused q");
  CHECK(play.status() == "FAILED");
}

TEST_CASE("at the pivot a cancel is refused, and says what is awaited and until when") {
  Play play(saga(pivot("p", R"(,"completion":{"callback":true,"timeout":"4h"})")));
  play.start();
  const auto said = [&] {
    play.cancel();
    return play.last.refused->message;
  };
  CHECK(said().find("`p` awaits the answer to attempt 1 until " + to_rfc3339(play.now + 10s)) !=
        std::string::npos);
  const auto queued = engine::view(play.program, play.state, {{"p", engine::Phase::forward}});
  CHECK(queued["awaits"][0]["what"] == "its turn among the calls to its service, for attempt 1");
  CHECK(queued["awaits"][0]["until"] == nullptr);
  play.answer("p", 202);
  const std::string until = to_rfc3339(play.now + 4h);
  CHECK(said().find("`p` awaits its participant's answer until " + until) != std::string::npos);
  const Json awaits = engine::view(play.program, play.state)["awaits"];
  CHECK(awaits ==
        Json::array({{{"step", "p"}, {"what", "its participant's answer"}, {"until", until}}}));
}

TEST_CASE(
    "one stuck compensation suspends the saga at once, and the other chain goes on to its end") {
  auto play = both_go_back();
  play.undo("both/l/x2", 500);
  CHECK(play.status() == "SUSPENDED");
  CHECK(play.undo("both/r/y2", 503) ==
        "AttemptFailed both/r/y2 compensate #1 unknown again in 500ms");
  CHECK(play.wake() == "AttemptStarted both/r/y2 compensate #2 | call both/r/y2 compensate #2");
  CHECK(play.undo("both/r/y2", 200) ==
        "StepCompensated both/r/y2, StepCompensationScheduled both/r/y | call both/r/y compensate "
        "#1");
  CHECK(play.undo("both/r/y", 200) == "StepCompensated both/r/y");
  CHECK_FALSE(engine::is_active(play.state));
  CHECK_FALSE(engine::next_wake(play.state));
  CHECK(play.retry() ==
        "OperatorActed both/l/x2 retry, AttemptStarted both/l/x2 compensate #2 | call both/l/x2 "
        "compensate #2");
  CHECK(play.undo("both/l/x2", 200) ==
        "StepCompensated both/l/x2, StepCompensationScheduled both/l/x | call both/l/x compensate "
        "#1");
}

TEST_CASE("two stuck chains give one notice") {
  auto play = both_go_back(R"(,"onSuspended":[{"name":"page","kind":"retryable",
    "action":{"service":"s","http":"PUT /page"}}])");
  CHECK(play.undo("both/l/x2", 500).ends_with("call onSuspended[1]/page forward #1"));
  play.now += 25h;
  CHECK(play.undo("both/r/y2", 500) ==
        "AttemptFailed both/r/y2 compensate #1 unknown, SagaSuspended both/r/y2 "
        "COMPENSATION_FAILED");
}

TEST_CASE("a node that takes over a suspended saga sends again what goes on under it") {
  auto play = both_go_back();
  play.undo("both/l/x2", 500);
  CHECK(play.take_over() ==
        "Resumed, AttemptFailed both/r/y2 compensate #1 unknown again in 0s, AttemptStarted "
        "both/r/y2 compensate #2 | call both/r/y2 compensate #2");
}

TEST_CASE("the body of another try goes on back while the saga is suspended") {
  const auto attempt = [](const std::string& name, const std::string& one, const std::string& two) {
    return R"({"name":")" + name + R"(","try":{"steps":[)" + undone_once(one) + "," + step(two) +
           R"(],"catch":[{"steps":[]}]}})";
  };
  Play play(saga(R"({"name":"both","parallel":{"branches":{"l":[)" + attempt("t", "x", "x2") +
                 R"(],"r":[{"name":"u","try":{"steps":[)" + step("y") + "," + step("y2") +
                 R"(],"catch":[{"steps":[]}]}}]}}})"));
  play.start();
  play.answer("both/l/t/x", 200);
  play.answer("both/r/u/y", 200);
  play.answer("both/l/t/x2", 409);
  play.answer("both/r/u/y2", 409);
  CHECK(play.undo("both/l/t/x", 500) ==
        "AttemptFailed both/l/t/x compensate #1 unknown, SagaSuspended both/l/t/x "
        "COMPENSATION_FAILED");
  CHECK(play.undo("both/r/u/y", 503) ==
        "AttemptFailed both/r/u/y compensate #1 unknown again in 500ms");
  CHECK(play.wake() == "AttemptStarted both/r/u/y compensate #2 | call both/r/u/y compensate #2");
  CHECK(play.undo("both/r/u/y", 200) == "StepCompensated both/r/u/y");
  CHECK(play.resolve_as("x", engine::Resolution::compensated) ==
        "OperatorActed both/l/t/x resolve compensated, StepCompensated both/l/t/x, CatchStarted "
        "both/l/t #0, StepSucceeded both/l/t, CatchStarted both/r/u #0, StepSucceeded both/r/u, "
        "StepSucceeded both, SagaEnded COMPLETED");
}

TEST_CASE("a quiet period that is over does not wake a saga whose other compensations come first") {
  const std::string serial =
      R"({"name":"both","parallel":{"compensationOrder":"serial","branches":{"l":[)" + step("x") +
      R"(],"r":[)" + step("y") + "]}}}";
  Play play(saga(serial, "", R"(,"idempotency":"none","quietPeriod":"30s")"));
  play.start();
  play.lost("both/l/x");
  play.answer("both/r/y", 200);
  CHECK(play.tick(30s) == "QuietPeriodEnded both/l/x");
  CHECK_FALSE(engine::next_wake(play.state));
  CHECK(play.undo("both/r/y", 200) ==
        "StepCompensated both/r/y, StepCompensationScheduled both/l/x | call both/l/x compensate "
        "#1");
}

TEST_CASE("retry sends a waiting attempt now, once, within its budget") {
  Play play(saga(step("a")));
  play.start();
  play.refused_connection("a");
  CHECK(play.retry() ==
        "OperatorActed a retry-now, AttemptStarted a forward #2 | call a forward #2");
  CHECK(play.retry() == "refused nothing-to-retry");
  for (int attempt = 2; attempt < 18; ++attempt) {
    play.refused_connection("a");
    play.retry();
  }
  CHECK(play.refused_connection("a") ==
        "AttemptFailed a forward #18 transient, StepFailed a RETRIES_EXHAUSTED, "
        "CompensationStarted RETRIES_EXHAUSTED, SagaEnded FAILED");
  CHECK(play.retry() == "refused nothing-to-retry");
}

TEST_CASE("retry sends a waiting compensation and a waiting poll now") {
  auto back = both_go_back();
  back.undo("both/r/y2", 503);
  CHECK(back.retry() ==
        "OperatorActed both/r/y2 retry-now, AttemptStarted both/r/y2 compensate #2 | call "
        "both/r/y2 compensate #2");
  auto polled = waits_for_answer(answered_by_poll);
  CHECK(polled.retry() == "OperatorActed q retry-now | call q poll #1");
}

TEST_CASE("suspend ends the wait for the next attempt, and retry gives a new budget") {
  const std::string notice =
      R"(,"onSuspended":[{"name":"page","kind":"retryable","action":{"service":"s","http":"PUT /page"}}])";
  Play play(saga(pivot("p") + "," + retryable("r"), notice));
  play.start();
  play.answer("p", 200);
  CHECK(play.suspend("r") == "refused nothing-waiting");
  play.lost("r");
  CHECK(play.suspend("p") == "refused nothing-waiting");
  CHECK(play.suspend("r") == "OperatorActed r suspend, SagaSuspended r OPERATOR");
  CHECK(play.state.suspensions.front().by_operator);
  CHECK_FALSE(engine::next_wake(play.state));
  CHECK_FALSE(engine::is_active(play.state));
  CHECK(play.retry() == "OperatorActed r retry, AttemptStarted r forward #2 | call r forward #2");
  CHECK(play.state.steps.at("r").forward.attempts_before == 1);
}

TEST_CASE(
    "suspend works in every direction, whatever the definition says about the end of a budget") {
  const std::string goes_on =
      R"({"name":"a","action":{"service":"s","http":"PUT /a"},
        "compensation":{"http":"DELETE /a","onExhausted":"continue"}},)" +
      step("b");
  Play play(saga(goes_on));
  play.start();
  play.answer("a", 200);
  SUBCASE("before the pivot a cancel leads back from there") {
    play.lost("b");
    CHECK(play.suspend() == "OperatorActed b suspend, SagaSuspended b OPERATOR");
    CHECK(play.cancel() ==
          "CancelRequested, OperatorActed b cancel, StepUnknown b OUTCOME_UNKNOWN, "
          "CompensationStarted CANCELLED, StepCompensationScheduled b | call b compensate #1");
  }
  SUBCASE("backward") {
    play.answer("b", 409);
    play.undo("a", 503);
    CHECK(play.suspend("a") == "OperatorActed a suspend, SagaSuspended a OPERATOR");
    CHECK(play.skip("a") ==
          "OperatorActed a skip, StepCompensationSkipped a operator, SagaEnded FAILED_INCOMPLETE");
  }
}

TEST_CASE("a chain that is stuck beside one that an operator suspended gives the notice") {
  auto play = both_go_back(R"(,"onSuspended":[{"name":"page","kind":"retryable",
    "action":{"service":"s","http":"PUT /page","body":{"step":"${failure.step}"}}}])");
  play.undo("both/r/y2", 503);
  CHECK(play.suspend("y2") == "OperatorActed both/r/y2 suspend, SagaSuspended both/r/y2 OPERATOR");
  CHECK(play.undo("both/l/x2", 500).ends_with("call onSuspended[1]/page forward #1"));
  CHECK(play.request("onSuspended[1]/page").body == R"({"step":"both/l/x2"})");
}

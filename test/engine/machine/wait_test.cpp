#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

std::string wait(const std::string& name, const std::string& more = "",
                 const std::string& signal = "\"go\"") {
  return R"({"name":")" + name + R"(","wait":{"signal":)" + signal + R"(,"timeout":"10m")" + more +
         "}}";
}

Play waiting(const std::string& more = "", const std::string& signal = "\"go\"") {
  Play play(saga(wait("w", more, signal) + "," + step("b"), R"(,"output":"${steps.w.output}")"));
  play.start();
  return play;
}

const std::string schema =
    R"(,"schema":{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}})";

}  // namespace

TEST_CASE("a wait takes the signal, and gives who sent it, what and when") {
  Play play(saga(wait("w") + "," + step("b"), R"(,"output":"${steps.w.output}")"));
  CHECK(play.start() == "SagaStarted, StepWaiting w for 10m");
  CHECK(play.signal("go", R"({"n":1})") ==
        "SignalReceived go, SignalConsumed w, StepSucceeded w, StepScheduled b | call b forward "
        "#1");
  play.answer("b", 200);
  CHECK(play.state.output["signal"] == "go");
  CHECK(play.state.output["payload"] == Json{{"n", 1}});
  CHECK(play.state.output["by"] == "someone");
  CHECK(play.state.output["at"] == to_rfc3339(play.now));
}

TEST_CASE("an early signal is kept, over a take-over, too, and consumed once") {
  Play play(saga(step("a") + "," + wait("w") + "," + wait("w2")));
  play.start();
  CHECK(play.signal("go", "1") == "SignalReceived go");
  play.take_over();
  CHECK(play.answer("a", 200) ==
        "StepSucceeded a, SignalConsumed w, StepSucceeded w, StepWaiting w2 for 10m");
  CHECK(play.state.signals.empty());
  CHECK(play.signal("go", "2") ==
        "SignalReceived go, SignalConsumed w2, StepSucceeded w2, SagaEnded COMPLETED");
  CHECK(play.state.steps.at("w").output["payload"] == 1);
  CHECK(play.state.steps.at("w2").output["payload"] == 2);
}

TEST_CASE("signals are taken in the order they came in") {
  Play play(saga(step("a") + "," + wait("w") + "," + wait("w2")));
  play.start();
  play.signal("go", "1");
  play.signal("go", "2");
  CHECK(play.answer("a", 200) ==
        "StepSucceeded a, SignalConsumed w, StepSucceeded w, SignalConsumed w2, StepSucceeded w2, "
        "SagaEnded COMPLETED");
  CHECK(play.state.steps.at("w").output["payload"] == 1);
}

TEST_CASE("what a wait refuses is answered with an error and not kept") {
  struct Row {
    const char* more;
    const char* payload;
    std::vector<std::string> roles;
    const char* refused;
  };
  const std::string accept = R"(,"accept":"${signal.payload.n > 3}")";
  const std::string allow = R"(,"allow":["role:treasury"])";
  const Row rows[] = {
      {schema.c_str(), R"({"n":"x"})", {}, "refused signal-refused"},
      {schema.c_str(), "null", {}, "refused signal-refused"},
      {accept.c_str(), R"({"n":3})", {}, "refused signal-refused"},
      {accept.c_str(), R"({})", {}, "refused EXPRESSION_FAILED"},
      {allow.c_str(), R"({"n":4})", {}, "refused signal-forbidden"},
      {allow.c_str(), R"({"n":4})", {"role:sales"}, "refused signal-forbidden"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.more);
    CAPTURE(row.payload);
    auto play = waiting(row.more);
    CHECK(play.signal("go", row.payload, row.roles) == row.refused);
    CHECK(play.state.signals.empty());
    CHECK(play.signal("go", R"({"n":4})", {"role:sales", "role:treasury"})
              .starts_with("SignalReceived go, SignalConsumed w"));
  }
}

TEST_CASE("an early signal that no wait could take is refused at once") {
  Play play(saga(step("a") + "," + wait("w", schema)));
  play.start();
  CHECK(play.signal("go", R"({"n":"x"})") == "refused signal-refused");
  CHECK(play.signal("go", R"({"n":1})") == "SignalReceived go");
}

TEST_CASE("a name that no wait listens to is refused, a list of names is not") {
  auto play = waiting("", R"(["go","halt"])");
  CHECK(play.signal("stop") == "refused signal-unknown");
  CHECK(play.signal("halt", "1").starts_with("SignalReceived halt, SignalConsumed w"));
  CHECK(play.state.steps.at("w").output["signal"] == "halt");
}

TEST_CASE("two waits for the same name take one signal each") {
  Play play(saga(R"({"name":"p","parallel":{"branches":{"l":[)" + wait("w") + R"(],"r":[)" +
                 wait("w2", schema) + "]}}}"));
  play.start();
  CHECK(play.signal("go", R"({"n":1})") ==
        "SignalReceived go, SignalConsumed p/l/w, StepSucceeded p/l/w");
  CHECK(play.signal("go", "1") == "refused signal-refused");
  CHECK(play.signal("go", R"({"n":2})").ends_with("SagaEnded COMPLETED"));
}

TEST_CASE("of two waits the one that accepts a signal gets it") {
  Play play(saga(R"({"name":"p","parallel":{"branches":{"l":[)" +
                 wait("w", R"(,"accept":"${signal.payload == 1}")") + R"(],"r":[)" +
                 wait("w2", R"(,"accept":"${signal.payload == 2}")") + "]}}}"));
  play.start();
  CHECK(play.signal("go", "2") == "SignalReceived go, SignalConsumed p/r/w2, StepSucceeded p/r/w2");
  CHECK(play.signal("go", "3") == "refused signal-refused");
}

TEST_CASE("an early signal that every wait would refuse whatever comes is refused at once") {
  const auto refuses = [](const std::string& accept, const std::string& payload) {
    Play play(saga(step("a") + "," + wait("w", R"(,"accept":")" + accept + "\"") + "," +
                   wait("w2", R"(,"accept":")" + accept + "\"")));
    play.start();
    return play.signal("go", payload);
  };
  CHECK(refuses("${signal.payload.ok}", R"({"ok":false})") == "refused signal-refused");
  CHECK(refuses("${signal.payload.ok}", R"({"ok":true})") == "SignalReceived go");
  CHECK(refuses("${signal.payload.ok}", "1") == "refused EXPRESSION_FAILED");
  // What it reads will only be there later.
  CHECK(refuses("${signal.payload.n == steps.a.output}", R"({"n":1})") == "SignalReceived go");
}

TEST_CASE("a wait that begins drops the kept signals that it refuses and no later one may take") {
  const std::string picky = R"(,"accept":"${signal.payload == steps.a.output}")";
  SUBCASE("it is the last one") {
    Play play(saga(step("a") + "," + wait("w", picky)));
    play.start();
    play.signal("go", "1");
    play.signal("go", "2");
    CHECK(play.answer("a", 200, "2") ==
          "StepSucceeded a, SignalConsumed w, StepSucceeded w, SagaEnded COMPLETED");
  }
  SUBCASE("none fits") {
    Play play(saga(step("a") + "," + wait("w", picky)));
    play.start();
    play.signal("go", "1");
    CHECK(play.answer("a", 200, "2") ==
          "StepSucceeded a, SignalDropped w signal-refused, StepWaiting w for 10m");
    CHECK(play.state.signals.empty());
  }
  SUBCASE("a later one may take it") {
    Play play(saga(step("a") + "," + wait("w", picky) + "," + wait("w2")));
    play.start();
    play.signal("go", "1");
    CHECK(play.answer("a", 200, "2") == "StepSucceeded a, StepWaiting w for 10m");
    CHECK(play.signal("go", "2") ==
          "SignalReceived go, SignalConsumed w, StepSucceeded w, SignalConsumed w2, "
          "StepSucceeded w2, SagaEnded COMPLETED");
  }
}

TEST_CASE("a signal is refused once its waits are over") {
  Play play(saga(wait("w") + "," + step("a")));
  play.start();
  play.signal("go");
  CHECK(play.signal("go") == "refused signal-too-late");
}

TEST_CASE("no more than a hundred signals of a name are kept, and none that is too large") {
  Play play(saga(step("a") + "," + wait("w")));
  play.start();
  CHECK(play.signal("go", "\"" + std::string(70'000, 'x') + "\"") == "refused signal-too-large");
  for (int i = 0; i < 100; ++i) REQUIRE(play.signal("go") == "SignalReceived go");
  CHECK(play.signal("go") == "refused signals-overflow");
}

TEST_CASE("a signal is refused once the saga is on its way back, or has ended") {
  Play play(saga(step("a") + "," + step("b") + "," + wait("w")));
  play.start();
  play.answer("a", 200);
  play.answer("b", 409);
  CHECK(play.signal("go") == "refused signal-too-late");
  play.undo("a", 200);
  CHECK(play.signal("go") == "refused saga-ended");
}

TEST_CASE("a wait that times out fails, or goes on with its default") {
  SUBCASE("fail") {
    Play play(saga(step("a") + "," + wait("w")));
    play.start();
    play.answer("a", 200);
    CHECK(play.tick(10min - 1ms) == "");
    CHECK(play.tick(1ms) ==
          "StepFailed w WAIT_TIMEOUT, CompensationStarted WAIT_TIMEOUT, StepCompensationScheduled "
          "a | call a compensate #1");
    CHECK(play.state.failure->failure_class == "timeout");
  }
  SUBCASE("continue") {
    auto play = waiting(R"(,"onTimeout":"continue","default":{"n":"${1 + 1}"})");
    CHECK(play.wake() == "StepSucceeded w, StepScheduled b | call b forward #1");
    CHECK(play.state.steps.at("w").output["signal"].is_null());
    CHECK(play.state.steps.at("w").output["payload"] == Json{{"n", 2}});
    CHECK(play.signal("go") == "refused signal-too-late");
  }
  SUBCASE("continue without a default") {
    auto play = waiting(R"(,"onTimeout":"continue")");
    play.wake();
    CHECK(play.state.steps.at("w").output["payload"].is_null());
  }
}

TEST_CASE("a cancel and the saga's timeout end a wait and a sleep") {
  for (const char* body : {R"({"name":"w","wait":{"signal":"go","timeout":"50m"}})",
                           R"({"name":"w","sleep":{"for":"50m"}})"}) {
    CAPTURE(body);
    Play play(saga(body, R"(,"timeout":"20m")"));
    play.start();
    Play timed = play;
    CHECK(play.cancel() ==
          "CancelRequested, StepFailed w CANCELLED, CompensationStarted CANCELLED, SagaEnded "
          "FAILED");
    CHECK(timed.wake() ==
          "DeadlinePassed, StepFailed w SAGA_TIMEOUT, CompensationStarted SAGA_TIMEOUT, SagaEnded "
          "FAILED");
  }
}

TEST_CASE("a wait for a long time is not taken for a saga that brings its node down") {
  auto play = waiting();
  for (int i = 0; i < 9; ++i) CHECK(play.take_over() == "Resumed");
  CHECK(play.signal("go").starts_with("SignalReceived go, SignalConsumed w"));
}

TEST_CASE("a sleep lasts as long as it says, and ends over a take-over, too") {
  Play play(saga(R"({"name":"nap","sleep":{"for":"${input.long}"}},)" + step("b")),
            R"({"long":"90s"})");
  CHECK(play.start() == "SagaStarted, StepWaiting nap for 1m30s");
  CHECK(play.tick(60s) == "");
  play.take_over();
  CHECK(play.tick(29s) == "");
  CHECK(play.tick(1s) == "StepSucceeded nap, StepScheduled b | call b forward #1");
  CHECK(play.state.steps.at("nap").output.is_null());
}

TEST_CASE("a sleep until a time that has passed does not wait, and one until nonsense fails") {
  const auto until = [](const std::string& time) {
    Play play(saga(R"({"name":"nap","sleep":{"until":"${input.at}"}},)" + step("b")),
              R"({"at":")" + time + "\"}");
    return play.start();
  };
  CHECK(until("2025-12-31T23:59:59Z") ==
        "SagaStarted, StepSucceeded nap, StepScheduled b | call b forward #1");
  CHECK(until("2026-01-01T00:00:00Z") ==
        "SagaStarted, StepSucceeded nap, StepScheduled b | call b forward #1");
  CHECK(until("2026-01-01T02:00:10+02:00") == "SagaStarted, StepWaiting nap for 10s");
  CHECK(until("tomorrow") ==
        "SagaStarted, StepFailed nap EXPRESSION_FAILED, CompensationStarted EXPRESSION_FAILED, "
        "SagaEnded FAILED");
}

TEST_CASE("a suspended saga receives signals, and takes none of its steps further") {
  Play play(saga(pivot("go") + R"(,{"name":"p","parallel":{"branches":{"l":[)" + wait("w") + "," +
                 retryable("x") + R"(],"r":[)" + retryable("y") + "]}}}"));
  play.start();
  play.answer("go", 200);
  play.answer("p/r/y", 404);
  CHECK(play.signal("go") == "SignalReceived go, SignalConsumed p/l/w, StepSucceeded p/l/w");
  CHECK(play.tick(20min) == "");
  CHECK(play.skip("y") ==
        "OperatorActed p/r/y skip, StepSkipped p/r/y, StepScheduled p/l/x | call p/l/x forward #1");
}

#include "play.hpp"

using backstitch::test::Play;
using backstitch::test::three_steps;
using namespace backstitch;
using namespace std::chrono_literals;

namespace {

const char* const with_pivot =
    R"({"dsl":1,"name":"t.p","version":1,"timeout":"10m","services":{"s":{"baseUrl":"https://s.example"}},"steps":[
  {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
  {"name":"p","kind":"pivot","action":{"service":"s","http":"POST /p"}},
  {"name":"r","kind":"retryable","action":{"service":"s","http":"PUT /r"},
   "outcomes":[{"status":[404,409],"is":"failure"}]}],
  "onFailure":[{"name":"tell","kind":"retryable","action":{"service":"s","http":"POST /tell","body":"${failure.code}"}}]})";

std::string probed(const char* sealed) {
  return three_steps(
      "",
      std::string(R"("retry":{"maxAttempts":1},"probe":{"http":"GET /c/${self.key}","sealed":)") +
          sealed +
          R"(,"outcomes":[{"status":404,"is":"failure","code":"NOT_SEEN"},{"status":202,"is":"pending"}]},"compensation":{"http":"DELETE /c"})");
}

Play at_third(const std::string& definition) {
  Play play(definition);
  play.start();
  play.answer("a", 200);
  play.answer("b", 200);
  return play;
}

}  // namespace

TEST_CASE("a known failure of the pivot leads back, and the handlers run after the undo") {
  Play play(with_pivot);
  play.start();
  play.answer("a", 200);
  CHECK(play.answer("p", 422) ==
        "StepFailed p HTTP_422, CompensationStarted HTTP_422, StepCompensationScheduled a | call a "
        "compensate #1");
  CHECK(play.undo("a", 200) ==
        "StepCompensated a, HandlersStarted, StepScheduled onFailure/tell | call onFailure/tell "
        "forward #1");
  CHECK(play.request("onFailure/tell").body == "\"HTTP_422\"");
  CHECK(play.answer("onFailure/tell", 200) == "StepSucceeded onFailure/tell, SagaEnded FAILED");
}

TEST_CASE("an unknown pivot is resolved by the same key, however long, and never rolled back") {
  Play play(with_pivot);
  play.start();
  play.answer("a", 200);
  for (int i = 0; i < 40; ++i) {
    REQUIRE(play.lost("p").find("again in") != std::string::npos);
    play.wake();
    while (!engine::has_call_in_flight(play.state)) play.wake();
  }
  CHECK(play.status() == "RUNNING");
  play.now += 73h;
  CHECK(play.lost("p") == "AttemptFailed p forward #41 unknown, SagaSuspended p OUTCOME_UNKNOWN");
  CHECK(play.retry() == "OperatorActed p retry, AttemptStarted p forward #42 | call p forward #42");
  CHECK(play.answer("p", 200) == "StepSucceeded p, StepScheduled r | call r forward #1");
  CHECK(play.state.pivot_passed);
}

TEST_CASE("after the pivot a failure suspends, and the operator decides") {
  Play play(with_pivot);
  play.start();
  play.answer("a", 200);
  play.answer("p", 200);
  CHECK(play.answer("r", 404) == "AttemptFailed r forward #1 failure, SagaSuspended r HTTP_404");
  SUBCASE("retry sends it again with the same key") {
    CHECK(play.retry() == "OperatorActed r retry, AttemptStarted r forward #2 | call r forward #2");
    CHECK(play.answer("r", 200) == "StepSucceeded r, SagaEnded COMPLETED");
  }
  SUBCASE("skip goes on without it") {
    CHECK(play.skip("r") == "OperatorActed r skip, StepSkipped r, SagaEnded COMPLETED");
  }
  SUBCASE("resolve gives its output") {
    CHECK(play.resolve("r", R"({"x":1})") ==
          "OperatorActed r resolve done, StepSucceeded r, SagaEnded COMPLETED");
    CHECK(play.state.steps.at("r").output == Json{{"x", 1}});
  }
  SUBCASE("what does not fit is refused and changes nothing") {
    CHECK(play.skip("a") == "refused step-not-suspended");
    CHECK(play.cancel() == "refused pivot-passed");
    CHECK(play.status() == "SUSPENDED");
  }
}

TEST_CASE("after the pivot a refusal that no rule names is tried again, and at the end suspends") {
  Play play(
      R"({"dsl":1,"name":"t.g","version":1,"services":{"s":{"baseUrl":"https://s.example"}},
    "steps":[{"name":"p","kind":"pivot","action":{"service":"s","http":"PUT /p"}},
      {"name":"r","kind":"retryable","action":{"service":"s","http":"PUT /r"},
       "outcomes":[{"status":409,"is":"failure"}]},
      {"name":"q","action":{"service":"s","http":"GET /q"},"retry":{"maxAttempts":2}}]})");
  play.start();
  play.answer("p", 200);
  std::uint32_t attempt = 0;
  for (const int status : {401, 403, 404, 307, 410}) {
    CAPTURE(status);
    const std::string began = "AttemptFailed r forward #" + std::to_string(++attempt);
    CHECK(play.answer("r", status).starts_with(began + " transient again in "));
    play.wake();
  }
  SUBCASE("until it succeeds") {
    CHECK(play.answer("r", 200).starts_with("StepSucceeded r, StepScheduled q"));
    play.answer("q", 404);
    play.wake();
    CHECK(play.answer("q", 404) ==
          "AttemptFailed q forward #2 transient, SagaSuspended q RETRIES_EXHAUSTED");
  }
  SUBCASE("or is refused by a rule") {
    CHECK(play.answer("r", 409) == "AttemptFailed r forward #6 failure, SagaSuspended r HTTP_409");
  }
  SUBCASE("or its time is over") {
    play.now += 73h;
    CHECK(play.answer("r", 404) ==
          "AttemptFailed r forward #6 transient, SagaSuspended r RETRIES_EXHAUSTED");
  }
}

TEST_CASE("attempts of unknown outcome are counted apart from those known not done") {
  auto play = at_third(three_steps("", R"("compensation":{"http":"DELETE /c"})"));
  for (int i = 0; i < 6; ++i) {
    CHECK(play.answer("c", 429).find("transient again") != std::string::npos);
    play.wake();
  }
  for (int i = 0; i < 3; ++i) {
    CHECK(play.lost("c").find("unknown again") != std::string::npos);
    play.wake();
    CHECK(play.answer("c", 429).find("transient again") != std::string::npos);
    play.wake();
  }
  CHECK(play.lost("c").find("AttemptFailed c forward #13 unknown, StepUnknown c") == 0);
}

TEST_CASE("transient attempts of the pivot end it as known not done") {
  Play play(with_pivot);
  play.start();
  play.answer("a", 200);
  for (int i = 1; i < 18; ++i) {
    play.refused_connection("p");
    play.wake();
  }
  CHECK(
      play.refused_connection("p") ==
      "AttemptFailed p forward #18 transient, StepFailed p RETRIES_EXHAUSTED, "
      "CompensationStarted RETRIES_EXHAUSTED, StepCompensationScheduled a | call a compensate #1");
}

TEST_CASE("a probe settles an unknown step") {
  SUBCASE("seen: the step succeeded") {
    auto play = at_third(probed("true"));
    CHECK(play.lost("c") ==
          "AttemptFailed c forward #1 unknown, ProbeScheduled c | call c probe #1");
    CHECK(play.probe("c", 200, R"({"id":1})") == "StepSucceeded c, SagaEnded COMPLETED");
  }
  SUBCASE("not seen and sealed: known not done, and left alone") {
    auto play = at_third(probed("true"));
    play.lost("c");
    CHECK(play.probe("c", 404) ==
          "AttemptFailed c probe #1 failure, StepFailed c NOT_SEEN, CompensationStarted NOT_SEEN, "
          "StepCompensationScheduled b | call b compensate #1");
  }
  SUBCASE("not seen and unsealed: stays unknown, and is undone by key") {
    auto play = at_third(probed("false"));
    play.lost("c");
    CHECK(play.probe("c", 404) ==
          "AttemptFailed c probe #1 failure, StepUnknown c OUTCOME_UNKNOWN, CompensationStarted "
          "OUTCOME_UNKNOWN, "
          "StepCompensationScheduled c | call c compensate #1");
  }
  SUBCASE("pending: asked again; undecided in its budget: a person is needed") {
    auto play = at_third(probed("true"));
    play.lost("c");
    CHECK(play.probe("c", 202) == "AttemptFailed c probe #1 pending again in 187ms");
    for (int i = 2; i < 4; ++i) {
      play.wake();
      play.probe("c", 500);
    }
    play.wake();
    CHECK(play.probe("c", 500) ==
          "AttemptFailed c probe #4 unknown, SagaSuspended c OUTCOME_UNKNOWN");
    CHECK(play.resolve("c", "{}") ==
          "OperatorActed c resolve done, StepSucceeded c, SagaEnded COMPLETED");
  }
}

TEST_CASE("an unsealed negative probe of the pivot sends the same request again") {
  Play play(
      R"({"dsl":1,"name":"t.q","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"p","kind":"pivot","retry":{"maxAttempts":1},"action":{"service":"s","http":"POST /p"},
     "probe":{"http":"GET /p","outcomes":[{"status":404,"is":"failure","code":"NOT_SEEN"}]}}]})");
  play.start();
  play.lost("p");
  CHECK(play.probe("p", 404) ==
        "AttemptFailed p probe #1 failure, AttemptFailed p forward #1 unknown again in 500ms");
  CHECK(play.wake() == "AttemptStarted p forward #2 | call p forward #2");
  CHECK(play.lost("p") == "AttemptFailed p forward #2 unknown, ProbeScheduled p | call p probe #2");
  CHECK(play.probe("p", 200) == "StepSucceeded p, SagaEnded COMPLETED");
}

TEST_CASE(
    "an undo is tried again whatever was answered, never under 200 ms apart, and then suspends") {
  auto play = at_third(three_steps());
  play.answer("c", 409);
  play.random = 0;
  CHECK(play.undo("b", 409) == "AttemptFailed b compensate #1 failure again in 200ms");
  play.wake();
  CHECK(play.lost("b", engine::Phase::compensate) ==
        "AttemptFailed b compensate #2 unknown again in 200ms");
  play.wake();
  play.now += 25h;
  CHECK(play.undo("b", 500) ==
        "AttemptFailed b compensate #3 unknown, SagaSuspended b COMPENSATION_FAILED");
  SUBCASE("skipped by an operator the saga ends incomplete") {
    CHECK(play.skip("b") ==
          "OperatorActed b skip, StepCompensationSkipped b operator, StepCompensationScheduled a | "
          "call a compensate #1");
    CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED_INCOMPLETE");
  }
  SUBCASE("resolved by an operator it counts as undone") {
    play.resolve_as("b", engine::Resolution::compensated);
    CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED");
  }
}

TEST_CASE("an undo that may be given up is recorded and the rest is undone") {
  auto play = at_third(
      R"({"dsl":1,"name":"t.c","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
    {"name":"b","action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b","retry":{"maxAttempts":1},"onExhausted":"continue"}},
    {"name":"c","action":{"service":"s","http":"PUT /c"},"compensation":"none"}]})");
  play.answer("c", 409);
  CHECK(play.undo("b", 500) ==
        "AttemptFailed b compensate #1 unknown, StepCompensationFailed b COMPENSATION_FAILED, "
        "StepCompensationScheduled a | call a compensate #1");
  CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED_INCOMPLETE");
}

TEST_CASE("a cancelled saga waits for the call in flight and does not repeat it") {
  auto play = at_third(three_steps());
  CHECK(play.cancel() == "CancelRequested");
  SUBCASE("done: undone with the rest") {
    CHECK(play.answer("c", 200) ==
          "StepSucceeded c, CompensationStarted CANCELLED, StepCompensationScheduled c | call c "
          "compensate #1");
  }
  SUBCASE("unknown: undone by key") {
    CHECK(play.lost("c") ==
          "AttemptFailed c forward #1 unknown, StepUnknown c OUTCOME_UNKNOWN, CompensationStarted "
          "CANCELLED, "
          "StepCompensationScheduled c | call c compensate #1");
  }
  SUBCASE("not done: left alone") {
    CHECK(play.refused_connection("c") ==
          "AttemptFailed c forward #1 transient, StepFailed c CANCELLED, CompensationStarted "
          "CANCELLED, "
          "StepCompensationScheduled b | call b compensate #1");
  }
}

TEST_CASE("a cancel in the middle leads back at the next step") {
  Play play(three_steps());
  play.start();
  play.cancel();
  CHECK(play.answer("a", 200) ==
        "StepSucceeded a, CompensationStarted CANCELLED, StepCompensationScheduled a | call a "
        "compensate #1");
  CHECK(play.cancel() == "");
  CHECK(play.undo("a", 200) == "StepCompensated a, SagaEnded FAILED");
  CHECK(play.cancel() == "refused saga-ended");
}

TEST_CASE("a cancel during a wait for the next attempt gives that attempt up") {
  Play play(three_steps());
  play.start();
  play.refused_connection("a");
  CHECK(play.cancel() ==
        "CancelRequested, StepFailed a CANCELLED, CompensationStarted CANCELLED, SagaEnded FAILED");
}

TEST_CASE("the saga's timeout leads back before the pivot and is only noted after it") {
  SUBCASE("before") {
    Play play(with_pivot);
    play.start();
    CHECK(play.tick(10min) == "DeadlinePassed");
    CHECK(play.answer("a", 200) ==
          "StepSucceeded a, CompensationStarted SAGA_TIMEOUT, StepCompensationScheduled a | call a "
          "compensate #1");
  }
  SUBCASE("a pivot in flight is resolved first") {
    Play play(with_pivot);
    play.start();
    play.answer("a", 200);
    CHECK(play.tick(10min) == "DeadlinePassed");
    CHECK(play.lost("p").find("again in") != std::string::npos);
    play.wake();
    CHECK(play.answer("p", 200) == "StepSucceeded p, StepScheduled r | call r forward #1");
  }
  SUBCASE("after") {
    Play play(with_pivot);
    play.start();
    play.answer("a", 200);
    play.answer("p", 200);
    CHECK(play.tick(10min) == "DeadlinePassed");
    CHECK(play.answer("r", 200) == "StepSucceeded r, SagaEnded COMPLETED");
  }
}

TEST_CASE("a node that takes over sends what was in flight again, with the same bytes and key") {
  auto play = at_third(three_steps());
  const auto before = play.request("c");
  CHECK(play.take_over() ==
        "Resumed, AttemptFailed c forward #1 unknown again in 0s, AttemptStarted c forward #2 | "
        "call c forward #2");
  CHECK(play.request("c") == before);
  CHECK(play.answer("c", 200) == "StepSucceeded c, SagaEnded COMPLETED");
}

TEST_CASE("a saga that was taken over three times without progress is suspended") {
  auto play = at_third(three_steps());
  play.take_over();
  play.take_over();
  CHECK(play.take_over() ==
        "Resumed, AttemptFailed c forward #3 unknown again in 0s, SagaSuspended "
        "TAKEN_OVER_REPEATEDLY");
  CHECK(play.retry() == "OperatorActed retry, AttemptStarted c forward #4 | call c forward #4");
  CHECK(play.answer("c", 200) == "StepSucceeded c, SagaEnded COMPLETED");
}

TEST_CASE("an undo in flight when its node died is sent again") {
  auto play = at_third(three_steps());
  play.answer("c", 409);
  CHECK(play.take_over() ==
        "Resumed, AttemptFailed b compensate #1 unknown again in 0s, AttemptStarted b compensate "
        "#2 | call b compensate #2");
}

TEST_CASE("a quiet period delays the undo of an unknown step") {
  Play play(three_steps(R"(,"idempotency":"none","quietPeriod":"30s")"));
  play.start();
  CHECK(play.lost("a") ==
        "AttemptFailed a forward #1 unknown, StepUnknown a OUTCOME_UNKNOWN, CompensationStarted "
        "OUTCOME_UNKNOWN");
  CHECK(play.tick(29s) == "");
  CHECK(play.tick(1s) == "StepCompensationScheduled a | call a compensate #1");
}

TEST_CASE("a saga that only recovers forward is suspended instead of undone") {
  Play play(
      R"({"dsl":1,"name":"t.f","version":1,"recovery":"forward","services":{"s":{"baseUrl":"https://s.example"}},
    "steps":[{"name":"a","kind":"retryable","action":{"service":"s","http":"PUT /a"},
      "outcomes":[{"status":409,"is":"failure"}]}]})");
  play.start();
  SUBCASE("when a step is refused") {
    CHECK(play.answer("a", 409) == "AttemptFailed a forward #1 failure, SagaSuspended a HTTP_409");
    CHECK(play.cancel() == "refused pivot-passed");
  }
  SUBCASE("and its deadline is only noted: what was done would stay, and be told as undone") {
    CHECK(play.tick(2h) == "DeadlinePassed");
    CHECK(play.answer("a", 200) == "StepSucceeded a, SagaEnded COMPLETED");
  }
}

TEST_CASE("a take-over that a strike was stored for does not count towards the suspension") {
  Play play(three_steps());
  play.start();
  for (int i = 0; i < 3; ++i) {
    play.state = play.folded_log();
    play.on(engine::TakenOver{"node-b", true});
    CHECK(play.status() == "RUNNING");
  }
  CHECK(play.folded_log().resumes_without_progress == 0);
}

namespace {

/// Whoever takes the saga over works on a store that was set back.
std::string set_back(Play& play, std::int64_t lineage = 2) {
  play.state = play.folded_log();
  return play.on(engine::TakenOver{"node-b", false, lineage});
}

/// Two steps, and what the definition says of refusals.
std::string two_steps(const std::string& outcomes = "[]") {
  const auto step = [&](const std::string& name) {
    return R"({"name":")" + name + R"(","action":{"service":"s","http":"PUT /)" + name +
           R"("},"compensation":{"http":"DELETE /)" + name + R"("},"outcomes":)" + outcomes + "}";
  };
  return R"({"dsl":1,"name":"t.o","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[)" +
         step("a") + "," + step("b") + "]}";
}

/// A saga whose first step was in flight when its store was set back.
Play set_back_at_first(const std::string& outcomes = "[]") {
  Play play(two_steps(outcomes));
  play.start();
  set_back(play);
  return play;
}

bool is_unknown(const std::string& transition) {
  return transition.find(" unknown") != std::string::npos &&
         transition.find("StepFailed") == std::string::npos;
}

}  // namespace

TEST_CASE("after the store was set back, 402, 409 and 422 are believed only if a rule names them") {
  for (const int status : {402, 409, 422}) {
    CAPTURE(status);
    CHECK(is_unknown(set_back_at_first().answer("a", status)));
    // A step that begins afterwards may have been sent before, too.
    Play later = set_back_at_first();
    later.answer("a", 200);
    CHECK(is_unknown(later.answer("b", status)));

    const std::string named = R"([{"status":)" + std::to_string(status) + R"(,"is":"failure"}])";
    CHECK(set_back_at_first(named).answer("a", status).find("StepFailed a") != std::string::npos);
    CHECK(
        is_unknown(set_back_at_first(R"([{"status":"4xx","is":"failure"}])").answer("a", status)));
  }
}

TEST_CASE("a saga that was started after the store was set back believes its participants") {
  Play play(two_steps());
  engine::Start start{SagaId::make(play.now, 1, 2, 3), play.input(), {}, std::nullopt};
  start.lineage = 2;
  play.on(start);
  set_back(play);
  play.answer("a", 200);
  CHECK(play.answer("b", 422).find("StepFailed b") != std::string::npos);
}

TEST_CASE("what was settled before the store was set back stays as it is") {
  Play play(two_steps());
  play.start();
  play.answer("a", 200);
  set_back(play);
  CHECK(play.state.is_set_back);
  CHECK_FALSE(play.state.steps.at("a").forward.unknown_seen);
  CHECK(play.state.steps.at("b").forward.unknown_seen);
  // Once is enough.
  const auto lineage_of = [&] {
    return std::get<engine::Resumed>(play.last.events.front().body).lineage;
  };
  CHECK(lineage_of() == 2);
  set_back(play);
  CHECK_FALSE(lineage_of());
  CHECK(play.folded_log().lineage == 2);
}

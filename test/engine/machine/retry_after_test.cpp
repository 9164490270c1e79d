// How long an attempt waits when its participant says how long it wants to be left alone.
#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;
using engine::Phase;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A saga whose first step has to be undone, with that retry policy of the undo.
Play undoing(const std::string& retry) {
  Play play(saga(
      R"({"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a","retry":)" +
      retry + R"(}},{"name":"stop","fail":{"code":"STOP"}})"));
  play.start();
  play.answer("a", 200);
  return play;
}

/// How long a step waits whose budget has no end in time.
std::string wait_after(const Headers& headers) {
  Play play(saga(step("a", R"(,"retry":{"maxAttempts":2,"delay":"1s","jitter":"none"})")));
  play.start();
  const std::string said = play.answer_with("a", Phase::forward, 429, headers);
  const std::string before = "AttemptFailed a forward #1 transient again in ";
  return said.starts_with(before) ? said.substr(before.size()) : said;
}

}  // namespace

TEST_CASE("a wish to wait is seconds, or a date less the date of the answer") {
  const std::string date = "Sun, 06 Nov 1994 08:49:37 GMT";
  struct Row {
    Headers headers;
    const char* wait;
  };
  const Row rows[] = {
      {{{"retry-after", "90"}}, "1m30s"},
      {{{"retry-after", " 90 "}}, "1m30s"},
      {{{"retry-after", "0"}}, "1s"},
      {{{"date", date}, {"retry-after", "Sun, 06 Nov 1994 08:59:37 GMT"}}, "10m"},
      {{{"date", date}, {"retry-after", "Sunday, 06-Nov-94 08:59:37 GMT"}}, "10m"},
      {{{"date", date}, {"retry-after", "Sun Nov  6 08:59:37 1994"}}, "10m"},
      {{{"retry-after", "Sun, 06 Nov 1994 08:59:37 GMT"}}, "1s"},
      {{{"date", date}, {"retry-after", "Sun, 06 Nov 1994 08:39:37 GMT"}}, "1s"},
      {{{"retry-after", "30"}, {"retry-after", "120"}, {"retry-after", "60"}}, "2m"},
      {{{"retry-after", "30, 120, 60"}}, "2m"},
      {{{"retry-after", "-30"}}, "1s"},
      {{{"retry-after", "30.5"}}, "1s"},
      {{{"retry-after", "soon"}}, "1s"},
      {{{"retry-after", ""}}, "1s"},
      {{{"date", date}, {"retry-after", "Sun, 31 Feb 1994 08:49:37 GMT"}}, "1s"},
      {{{"retry-after", "999999999999999999999999"}}, "1d"},
      {{{"retry-after", "604800"}}, "1d"},
  };
  for (const auto& row : rows) CHECK(wait_after(row.headers) == row.wait);
}

TEST_CASE("a wish beyond the budget is cut to its end, for one last attempt there") {
  auto play = undoing(R"({"delay":"1s","jitter":"none","maxElapsed":"1m"})");
  const Headers tomorrow{{"retry-after", "86400"}};
  CHECK(play.answer_with("a", Phase::compensate, 503, tomorrow) ==
        "AttemptFailed a compensate #1 unknown again in 1m");
  CHECK(play.wake() == "AttemptStarted a compensate #2 | call a compensate #2");
  CHECK(play.answer_with("a", Phase::compensate, 503, tomorrow) ==
        "AttemptFailed a compensate #2 unknown, SagaSuspended a COMPENSATION_FAILED");
  // The operator gives a new budget.
  play.retry();
  CHECK(play.answer_with("a", Phase::compensate, 503, tomorrow) ==
        "AttemptFailed a compensate #3 unknown again in 1m");
}

TEST_CASE("a wait that a rule names is cut like the participant's own") {
  Play play(saga(
      R"({"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a",
    "retry":{"delay":"1s","jitter":"none","maxElapsed":"1m"},"outcomes":[{"status":429,"is":"transient","retryAfter":"2m"}]}},
    {"name":"stop","fail":{"code":"STOP"}})"));
  play.start();
  play.answer("a", 200);
  CHECK(play.undo("a", 429) == "AttemptFailed a compensate #1 transient again in 1m");
  play.wake();
  CHECK(play.undo("a", 429) ==
        "AttemptFailed a compensate #2 transient, SagaSuspended a COMPENSATION_FAILED");
}

TEST_CASE("without a budget in time a wish is cut to a day, and that attempt is the last") {
  Play play(
      saga(step("a", R"(,"retry":{"maxAttempts":"unlimited","delay":"1s","jitter":"none"})")));
  play.start();
  const Headers in_a_week{{"retry-after", "604800"}};
  CHECK(play.answer_with("a", Phase::forward, 429, {{"retry-after", "86400"}}) ==
        "AttemptFailed a forward #1 transient again in 1d");
  // The saga's own timeout is shorter than that; the step is looked at alone.
  play.state.deadline.reset();
  play.wake();
  CHECK(play.answer_with("a", Phase::forward, 429, in_a_week) ==
        "AttemptFailed a forward #2 transient again in 1d");
  play.wake();
  CHECK(play.answer_with("a", Phase::forward, 429, {}) ==
        "AttemptFailed a forward #3 transient, StepFailed a RETRIES_EXHAUSTED, "
        "CompensationStarted RETRIES_EXHAUSTED, SagaEnded FAILED");
}

TEST_CASE("a poll is put off up to the completion's timeout, and asks once more there") {
  Play play(
      saga(step("a", R"(,"completion":{"timeout":"5m","poll":{"http":"GET /a","every":"20s"}})")));
  play.start();
  CHECK(play.answer_with("a", Phase::forward, 202, {{"retry-after", "3600"}}) ==
        "StepWaiting a for 5m");
  CHECK(play.wake() == " | call a poll #1");
  SUBCASE("the answer is there") {
    CHECK(play.answer("a", 200, "7", Phase::poll) == "StepSucceeded a, SagaEnded COMPLETED");
  }
  SUBCASE("the answer is not there") {
    play.answer("a", 202, "null", Phase::poll);
    CHECK(play.wake() ==
          "AttemptFailed a forward #1 unknown, StepUnknown a OUTCOME_UNKNOWN, CompensationStarted "
          "OUTCOME_UNKNOWN, StepCompensationScheduled a | call a compensate #1");
  }
}

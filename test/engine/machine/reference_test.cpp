// The reference interpreter by hand: sagas that went as the language says, and sagas that did not.
#include "verdict.hpp"

namespace backstitch::test {
namespace {

const std::string three = R"("steps": ["a", "b", "c"])";

TEST_CASE("a sequence is called in order and undone in the opposite one") {
  ALLOWED(three, "call a|done a|call b|done b|call c|done c|COMPLETED");
  ALLOWED(
      three,
      "call a|done a|call b|done b|call c|refused c X|undo b|undone b|undo a|undone a|FAILED X");
  ALLOWED(three, "call a|refused a X|FAILED X");
  REFUSED("`call b`: the step is not reached yet", three, "call a|call b");
  REFUSED("`call c`", three, "call a|done a|call c");
  REFUSED("not the turn", three, "call a|done a|call b|done b|call c|refused c X|undo a");
  REFUSED("b has to be undone", three, "call a|done a|call b|done b|call c|refused c X|FAILED X");
  REFUSED("not the turn", three, "call a|done a|call b|refused b X|undo b");
  REFUSED("c is not called yet", three, "call a|done a|call b|done b|COMPLETED");
  REFUSED("has not ended", three, "call a|done a");
  REFUSED("the failure is X", three, "call a|refused a X|FAILED Y");
  REFUSED("nothing has failed", three, "call a|done a|FAILED X");
}

TEST_CASE("an unknown step is undone, a waived one and one whose undo has a condition are not") {
  ALLOWED(three,
          "call a|done a|call b|unknown b|undo b|undone b|undo a|undone a|FAILED OUTCOME_UNKNOWN");
  REFUSED("b has to be undone", three, "call a|done a|call b|unknown b|FAILED OUTCOME_UNKNOWN");
  const std::string waived = R"("steps": [
    {"name": "a", "action": {"service": "s", "http": "PUT /a"}, "compensation": "none"},
    {"name": "b", "action": {"service": "s", "http": "PUT /b"},
     "compensation": {"http": "DELETE /b", "when": "${self.outcome == 'unknown'}"}}, "c"])";
  ALLOWED(waived, "call a|done a|call b|done b|call c|refused c X|FAILED X");
  ALLOWED(waived, "call a|done a|call b|unknown b|undo b|undone b|FAILED OUTCOME_UNKNOWN");
  REFUSED("not the turn", waived, "call a|done a|call b|done b|call c|refused c X|undo b");
}

TEST_CASE("an undo that is given up is allowed where the definition says so, and told at the end") {
  const std::string goes_on =
      R"("steps": [{"name": "a", "action": {"service": "s", "http": "PUT /a"},
    "compensation": {"http": "DELETE /a", "onExhausted": "continue"}}, "b"])";
  ALLOWED(goes_on, "call a|done a|call b|refused b X|undo a|undo-failed a|FAILED_INCOMPLETE X");
  REFUSED("an undo was given up", goes_on,
          "call a|done a|call b|refused b X|undo a|undo-failed a|FAILED X");
  REFUSED("a person has to look", three, "call a|done a|call b|refused b X|undo a|undo-failed a");
  ALLOWED(three, "call a|done a|call b|refused b X|undo a|suspended a");
}

TEST_CASE("one stuck undo does not stop the others, and nothing begins until it is seen to") {
  const std::string both =
      R"("steps": [{"name": "p", "parallel": {"branches": {"l": ["a"], "r": ["b", "c"]}}}, "d"])";
  const std::string stuck =
      "call p/l/a|done p/l/a|call p/r/b|done p/r/b|call p/r/c|done p/r/c|call d|refused d X|"
      "undo p/l/a|undo p/r/c|suspended p/l/a|";
  ALLOWED(both, stuck + "undone p/r/c|undo p/r/b|undone p/r/b");
  REFUSED("is not undone, though only p/l/a is stuck", both, stuck + "undone p/r/c");
  REFUSED("is not undone, though only p/l/a is stuck", both, stuck);
  REFUSED("suspended at p/l/a", both, stuck + "undone p/r/c|undo p/r/b|undone p/r/b|FAILED X");
  ALLOWED(both, stuck + "undone p/r/c|undo p/r/b|undone p/r/b|resumed p/l/a|undone p/l/a|FAILED X");
  ALLOWED(both, stuck +
                    "undone p/r/c|undo p/r/b|undone p/r/b|resumed p/l/a|undo-left p/l/a "
                    "operator|FAILED_INCOMPLETE X");
  REFUSED("known to be done", both, stuck + "resumed p/l/a|undo-left p/l/a not-done");
  REFUSED("not suspended there", both, stuck + "resumed p/r/c");
  REFUSED("suspended at a", three, "call a|suspended a OPERATOR|retry a");
  ALLOWED(three,
          "call a|suspended a OPERATOR|resumed a|refused a RESOLVED_NOT_DONE|FAILED "
          "RESOLVED_NOT_DONE");
}

TEST_CASE("after the pivot nothing fails and nothing is undone") {
  const std::string saga = R"("steps": ["a", "b!", "c+"])";
  ALLOWED(saga, "call a|done a|call b|done b|call c|retry c|done c|COMPLETED");
  ALLOWED(saga, "call a|done a|call b|refused b X|undo a|undone a|FAILED X");
  ALLOWED(saga, "call a|done a|call b|done b|call c|suspended c");
  ALLOWED(saga, "call a|done a|call b|suspended b");
  REFUSED("cannot fail any more", saga, "call a|done a|call b|done b|call c|refused c X");
  REFUSED("a person is asked", saga, "call a|done a|call b|unknown b");
  REFUSED("not the turn", saga, "call a|done a|call b|done b|call c|undo a");
  REFUSED("nobody is needed", saga, "call a|suspended a");
}

TEST_CASE("a condition that does not hold leaves a step out") {
  const std::string saga = R"("steps": ["a", {"name": "b", "when": "${input.n > 1}",
    "action": {"service": "s", "http": "PUT /b"}, "compensation": {"http": "DELETE /b"}}, "c"])";
  ALLOWED(saga, "call a|done a|call c|done c|COMPLETED");
  ALLOWED(saga, "call a|done a|call b|done b|call c|done c|COMPLETED", R"({"n": 2})");
  REFUSED("`call b`: the step is skipped", saga, "call a|done a|call b");
  REFUSED("`call c`", saga, "call a|done a|call c", R"({"n": 2})");
}

TEST_CASE("values are computed from what was seen, and outputs from values") {
  const std::string saga =
      R"("steps": ["a", {"name": "v", "value": {"twice": "${steps.a.output.n * 2}"}}],
    "output": "${steps.v.output.twice + 1}")";
  ALLOWED(saga, R"(call a|done a {"n": 4}|done v {"twice": 8}|COMPLETED 9)");
  REFUSED("the value is", saga, R"(call a|done a {"n": 4}|done v {"twice": 9})");
  REFUSED("the output is 9", saga, R"(call a|done a {"n": 4}|done v {"twice": 8}|COMPLETED 8)");
  REFUSED("can be computed", saga, R"(call a|done a {"n": 4}|refused v EXPRESSION_FAILED)");
  ALLOWED(
      saga,
      R"(call a|done a {}|refused v EXPRESSION_FAILED|undo a|undone a|FAILED EXPRESSION_FAILED)");
}

TEST_CASE("a fail step fails with its code, a wait in its time or not at all, a sleep never") {
  const std::string saga = R"("steps": ["a", {"name": "z", "sleep": {"for": "1s"}},
    {"name": "w", "wait": {"signal": "go", "timeout": "1m"}}, {"name": "f", "fail": {"code": "NO"}}])";
  ALLOWED(saga, "call a|done a|done z|done w|refused f NO|undo a|undone a|FAILED NO");
  ALLOWED(saga, "call a|done a|done z|refused w WAIT_TIMEOUT|undo a|undone a|FAILED WAIT_TIMEOUT");
  REFUSED("the failure is NO", saga, "call a|done a|done z|done w|refused f X");
  REFUSED("always fails", saga, "call a|done a|done z|done w|done f");
  REFUSED("`done w`", saga, "call a|done a|done w");
  REFUSED("a sleep cannot fail", saga, "call a|done a|refused z X");
  REFUSED("goes on when it times out",
          R"("steps": [{"name": "w", "wait": {"signal": "go", "timeout": "1m",
    "onTimeout": "continue"}}])",
          "refused w WAIT_TIMEOUT");
}

TEST_CASE("a cancel or the deadline starts nothing more, awaits what is called, and goes back") {
  const std::string saga = R"("steps": ["a", "b", "c!", "d+"])";
  ALLOWED(saga,
          "call a|done a|call b|cancel|done b|undo b|undone b|undo a|undone a|FAILED CANCELLED");
  ALLOWED(saga, "call a|done a|call b|deadline|refused b X|undo a|undone a|FAILED SAGA_TIMEOUT");
  REFUSED("`call b`", saga, "call a|cancel|done a|call b");
  REFUSED("nothing is tried again", saga, "call a|cancel|retry a");
  REFUSED("the pivot was sent", saga, "call a|done a|call b|done b|call c|cancel");
  ALLOWED(saga, "call a|done a|call b|done b|call c|deadline|done c|call d|done d|COMPLETED");
  ALLOWED(saga,
          "call a|done a|call b|done b|call c|deadline|refused c X|undo b|undone b|undo a|undone "
          "a|FAILED SAGA_TIMEOUT");
  REFUSED("the failure is CANCELLED", saga,
          "call a|cancel|done a|undo a|undone a|FAILED SAGA_TIMEOUT");
  const std::string asleep = R"("steps": ["a", {"name": "z", "sleep": {"for": "1h"}}])";
  ALLOWED(asleep, "call a|done a|cancel|undo a|undone a|FAILED CANCELLED");
}

TEST_CASE("handlers run after everything was undone, and see the failure") {
  const std::string saga =
      R"("steps": ["a", "b"], "onFailure": ["h+", {"name": "v", "value": "${failure.code}"}])";
  ALLOWED(
      saga,
      R"(call a|done a|call b|refused b X|undo a|undone a|call onFailure/h|done onFailure/h|done onFailure/v "X"|FAILED X)");
  REFUSED("`call onFailure/h`", saga, "call a|done a|call b|refused b X|undo a|call onFailure/h");
  REFUSED("onFailure/h is not called yet", saga,
          "call a|done a|call b|refused b X|undo a|undone a|FAILED X");
  REFUSED("cannot fail any more", saga,
          "call a|refused a X|call onFailure/h|refused onFailure/h Y");
}

TEST_CASE("a saga that only recovers forward completes or waits for a person") {
  const std::string saga = R"("recovery": "forward", "steps": ["a+", "b+"])";
  ALLOWED(saga, "call a|done a|deadline|call b|done b|COMPLETED");
  ALLOWED(saga, "call a|suspended a");
  REFUSED("cannot be cancelled", saga, "call a|cancel");
  REFUSED("cannot fail any more", saga, "call a|refused a X");
}

}  // namespace
}  // namespace backstitch::test

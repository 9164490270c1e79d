// The reference interpreter on blocks: what may run beside what, and what is undone when.
#include "verdict.hpp"

namespace backstitch::test {
namespace {

/// a, then p with the branches l: b, c and r: d, e, then f; p has more members.
std::string parallel(const std::string& options) {
  return R"("steps": ["a", {"name": "p", "parallel": {"branches": {"l": ["b", "c"], "r": ["d", "e"]})" +
         options + R"(}}, "f"])";
}
const std::string both_b_and_d = "call a|done a|call p/l/b|call p/r/d|";

TEST_CASE("branches run side by side, each in its order, and the block ends with the last") {
  const std::string saga = parallel("");
  ALLOWED(saga, both_b_and_d +
                    "done p/l/b|call p/l/c|done p/l/c|done p/r/d|call p/r/e|done p/r/e|call f|done "
                    "f|COMPLETED");
  REFUSED("`call p/l/c`", saga, both_b_and_d + "done p/r/d|call p/l/c");
  REFUSED("`call f`", saga, both_b_and_d + "done p/l/b|call p/l/c|done p/l/c|done p/r/d|call f");
}

TEST_CASE(
    "a cancelling block starts nothing after a failure, awaits its calls and fails with the "
    "first") {
  const std::string saga = parallel("");
  ALLOWED(saga, both_b_and_d +
                    "refused p/l/b X|done p/r/d|undo p/r/d|undone p/r/d|undo a|undone a|FAILED X");
  ALLOWED(saga, both_b_and_d + "refused p/l/b X|refused p/r/d Y|undo a|undone a|FAILED X");
  ALLOWED(saga,
          both_b_and_d +
              "refused p/l/b X|unknown p/r/d|undo p/r/d|undone p/r/d|undo a|undone a|FAILED X");
  REFUSED("is stopped", saga, both_b_and_d + "refused p/l/b X|done p/r/d|call p/r/e");
  REFUSED("nothing is tried again", saga, both_b_and_d + "refused p/l/b X|retry p/r/d");
  REFUSED("called before", saga,
          both_b_and_d + "done p/l/b|call p/l/c|refused p/r/d X|done p/l/c|undo p/l/c|undo p/l/c");
  REFUSED("p/r/d is running", saga, both_b_and_d + "refused p/l/b X|FAILED X");
  REFUSED("the failure is X", saga,
          both_b_and_d + "refused p/l/b X|refused p/r/d Y|undo a|undone a|FAILED Y");
  // The block has not failed while a call is awaited, so nothing of it is undone.
  REFUSED("not the turn", saga, both_b_and_d + "done p/r/d|call p/r/e|refused p/l/b X|undo p/r/d");
}

TEST_CASE("a finishing block lets the other branches run to their end") {
  const std::string saga = parallel(R"(, "onFailure": "finish")");
  ALLOWED(
      saga,
      both_b_and_d +
          "refused p/l/b X|retry p/r/d|done p/r/d|call p/r/e|done p/r/e|undo p/r/e|undone p/r/e|"
          "undo p/r/d|undone p/r/d|undo a|undone a|FAILED X");
  REFUSED("p/r/e is not called yet", saga, both_b_and_d + "refused p/l/b X|done p/r/d|FAILED X");
  REFUSED("`call p/l/c`", saga, both_b_and_d + "refused p/l/b X|call p/l/c");
}

const std::string all_but_f =
    both_b_and_d +
    "done p/r/d|done p/l/b|call p/r/e|call p/l/c|done p/l/c|done p/r/e|call f|refused f X|";

TEST_CASE("branches are undone side by side, or one step at a time, the last done first") {
  const std::string mirror = parallel(R"(, "compensationOrder": "mirror")");
  ALLOWED(mirror,
          all_but_f +
              "undo p/l/c|undo p/r/e|undone p/l/c|undo p/l/b|undone p/r/e|undo p/r/d|undone p/r/d|"
              "undone p/l/b|undo a|undone a|FAILED X");
  REFUSED("not the turn", mirror, all_but_f + "undo p/l/b");
  REFUSED("not the turn", mirror,
          all_but_f + "undo p/l/c|undo p/r/e|undone p/l/c|undone p/r/e|undo a");
  const std::string serial = parallel(R"(, "compensationOrder": "serial")");
  ALLOWED(serial,
          all_but_f +
              "undo p/r/e|undone p/r/e|undo p/l/c|undone p/l/c|undo p/l/b|undone p/l/b|undo p/r/d|"
              "undone p/r/d|undo a|undone a|FAILED X");
  REFUSED("`undo p/l/c`", serial, all_but_f + "undo p/l/c");
  REFUSED("`undo p/l/c`", serial, all_but_f + "undo p/r/e|undo p/l/c");
  REFUSED("`undo p/r/d`", serial,
          all_but_f + "undo p/r/e|undone p/r/e|undo p/l/c|undone p/l/c|undo p/r/d");
}

TEST_CASE("no more branches run at once than the block allows") {
  const std::string saga = parallel(R"(, "maxConcurrency": 1)");
  ALLOWED(saga,
          "call a|done a|call p/r/d|done p/r/d|call p/r/e|done p/r/e|call p/l/b|done p/l/b|call "
          "p/l/c|done p/l/c|"
          "call f|done f|COMPLETED");
  REFUSED("no room", saga, "call a|done a|call p/r/d|call p/l/b");
  REFUSED("no room", saga, "call a|done a|call p/r/d|done p/r/d|call p/l/b");
  REFUSED("is stopped", saga, "call a|done a|call p/r/d|refused p/r/d X|call p/l/b");
}

TEST_CASE("a stopped branch ends its sleeps and waits, and does not run its catches") {
  const std::string saga = R"("steps": [{"name": "p", "parallel": {"branches": {
    "l": ["a", {"name": "z", "sleep": {"for": "1h"}}, "b"],
    "m": [{"name": "t", "try": {"steps": ["c"], "catch": [{"steps": ["d"]}]}}], "r": ["e"]}}}])";
  const std::string begun = "call p/l/a|done p/l/a|call p/m/t/c|call p/r/e|refused p/r/e X|";
  ALLOWED(saga, begun + "refused p/m/t/c Y|undo p/l/a|undone p/l/a|FAILED X");
  ALLOWED(saga,
          begun + "done p/m/t/c|undo p/l/a|undo p/m/t/c|undone p/m/t/c|undone p/l/a|FAILED X");
  REFUSED("`call p/m/t/d`", saga, begun + "refused p/m/t/c Y|call p/m/t/d");
  ALLOWED(saga, begun + "refused p/m/t/c Y|done p/l/z|undo p/l/a|undone p/l/a|FAILED X");
  REFUSED("`call p/l/b`", saga, begun + "done p/l/z|call p/l/b");
}

TEST_CASE("a switch runs its first case that holds, and only that is undone") {
  const std::string saga = R"("steps": ["a", {"name": "w", "switch": {"cases": [
      {"when": "${input.n == 1}", "steps": ["b"], "output": "${steps.b.output.id}"},
      {"when": "${input.n > 0}", "steps": ["c"], "output": 2}],
    "otherwise": {"steps": [], "output": 3}}}, "d"], "output": "${steps.w.output}")";
  ALLOWED(saga, R"(call a|done a|call w/b|done w/b {"id": 7}|call d|done d|COMPLETED 7)");
  ALLOWED(saga, "call a|done a|call w/c|done w/c|call d|done d|COMPLETED 2", R"({"n": 2})");
  ALLOWED(saga, "call a|done a|call d|done d|COMPLETED 3", R"({"n": 0})");
  ALLOWED(
      saga,
      R"(call a|done a|call w/b|done w/b {"id": 7}|call d|refused d X|undo w/b|undone w/b|undo a|undone a|FAILED X)");
  REFUSED("`call w/c`", saga, "call a|done a|call w/c");
  REFUSED("the output is 7", saga,
          R"(call a|done a|call w/b|done w/b {"id": 7}|call d|done d|COMPLETED 2)");
}

std::string loop(const std::string& options) {
  return R"("steps": [{"name": "l", "forEach": {"in": "${[5, 6, 7]}", "as": "x", "steps": ["a", {"name": "v",
    "value": "${steps.a.output.n * x}"}], "yield": "${steps.v.output}")" +
         options + R"(}}, "b"], "output": "${steps.l.output}")";
}
std::string item(int i, const std::string& product) {
  const std::string at = "l[" + std::to_string(i) + "]/";
  return "call " + at + "a|done " + at + R"(a {"n": 2}|done )" + at + "v " + product + "|";
}

TEST_CASE("a loop runs its items in order, one at a time unless it says otherwise") {
  const std::string one = loop("");
  ALLOWED(one,
          item(0, "10") + item(1, "12") + item(2, "14") + "call b|done b|COMPLETED [10,12,14]");
  REFUSED("no room", one, "call l[0]/a|call l[1]/a");
  REFUSED("`call l[1]/a`", one, "call l[1]/a");
  REFUSED("the value is 12", one,
          item(0, "10") + "call l[1]/a|done l[1]/a {\"n\": 2}|done l[1]/v 10");
  const std::string two = loop(R"(, "maxConcurrency": 2)");
  ALLOWED(
      two,
      "call l[0]/a|call l[1]/a|done l[1]/a {\"n\": 2}|done l[1]/v 12|call l[2]/a|done l[0]/a "
      "{\"n\": 2}|"
      "done l[0]/v 10|done l[2]/a {\"n\": 2}|done l[2]/v 14|call b|done b|COMPLETED [10,12,14]");
  REFUSED("no room", two, "call l[0]/a|call l[1]/a|call l[2]/a");
}

TEST_CASE(
    "nobody sees a pause begin: an item behind one that sleeps may go first, if there is room") {
  const auto sleeping = [](const char* most) {
    return R"("steps": [{"name": "l", "forEach": {"in": "${[0, 1, 2]}", "as": "x", "maxConcurrency": )" +
           std::string(most) +
           R"(, "steps": [{"name": "z", "when": "${x == 0}", "sleep": {"for": "1s"}}, "a"]}}])";
  };
  ALLOWED(sleeping("2"),
          "call l[1]/a|done l[0]/z|call l[0]/a|done l[1]/a|call l[2]/a|done l[0]/a|done "
          "l[2]/a|COMPLETED");
  REFUSED("no room", sleeping("2"), "call l[1]/a|call l[2]/a");
  ALLOWED(sleeping("3"),
          "call l[1]/a|call l[2]/a|done l[0]/z|call l[0]/a|done l[2]/a|done l[1]/a|done "
          "l[0]/a|COMPLETED");
}

TEST_CASE("the items that began last are undone first, as many at once as ran, or one by one") {
  const std::string begun = item(0, "10") + item(1, "12") + item(2, "14") + "call b|refused b X|";
  const std::string last_first =
      "undo l[2]/a|undone l[2]/a|undo l[1]/a|undone l[1]/a|undo l[0]/a|undone l[0]/a|FAILED X";
  ALLOWED(loop(""), begun + last_first);
  REFUSED("not the turn", loop(""), begun + "undo l[0]/a");
  const std::string mirror = loop(R"(, "maxConcurrency": 2)");
  ALLOWED(mirror, begun + last_first);
  ALLOWED(
      mirror,
      begun +
          "undo l[2]/a|undo l[1]/a|undone l[1]/a|undo l[0]/a|undone l[0]/a|undone l[2]/a|FAILED X");
  REFUSED("not the turn", mirror, begun + "undo l[2]/a|undo l[1]/a|undo l[0]/a");
  const std::string serial = loop(R"(, "maxConcurrency": 2, "compensationOrder": "serial")");
  ALLOWED(serial, begun + last_first);
  REFUSED("not the turn", serial, begun + "undo l[2]/a|undo l[1]/a");
}

TEST_CASE("a loop stops or goes on after a failure, as it says") {
  ALLOWED(loop(""),
          item(0, "10") + "call l[1]/a|refused l[1]/a X|undo l[0]/a|undone l[0]/a|FAILED X");
  REFUSED("is stopped", loop(""), "call l[0]/a|refused l[0]/a X|call l[1]/a");
  const std::string finish = loop(R"(, "onFailure": "finish")");
  ALLOWED(finish, "call l[0]/a|refused l[0]/a X|" + item(1, "12") + item(2, "14") +
                      "undo l[2]/a|undone l[2]/a|undo l[1]/a|undone l[1]/a|FAILED X");
  REFUSED("l[1]/a is not called yet", finish, "call l[0]/a|refused l[0]/a X|FAILED X");
}

const std::string tries =
    R"("steps": ["a", {"name": "t", "try": {"steps": ["b", "c"], "output": 1, "catch": [
    {"codes": ["X"], "steps": ["d", {"name": "v", "value": "${failure.code}"}], "output": "${steps.v.output}"},
    {"classes": ["unknown"], "steps": []}]}}, "e"], "output": "${steps.t.output}")";
const std::string at_c = "call a|done a|call t/b|done t/b|call t/c|";

TEST_CASE("a try goes back to its save-point, then another way") {
  ALLOWED(tries, at_c + "done t/c|call e|done e|COMPLETED 1");
  ALLOWED(
      tries,
      at_c +
          R"(refused t/c X|undo t/b|undone t/b|call t/d|done t/d|done t/v "X"|call e|done e|COMPLETED "X")");
  ALLOWED(
      tries,
      at_c + "unknown t/c|undo t/c|undone t/c|undo t/b|undone t/b|call e|done e|COMPLETED null");
  REFUSED("`call t/d`", tries, at_c + "refused t/c X|call t/d");
  REFUSED("`call t/d`", tries, at_c + "refused t/c X|undo t/b|call t/d");
  REFUSED("`undo a`", tries, at_c + "refused t/c X|undo t/b|undone t/b|undo a");
  REFUSED("`call e`", tries, at_c + "refused t/c X|undo t/b|undone t/b|call e");
}

TEST_CASE("a block that was stopped awaits a try on its way back to its save-point") {
  const std::string saga = R"("steps": [{"name": "p", "parallel": {"branches": {
    "l": [{"name": "t", "try": {"steps": ["a", "b"], "catch": [{"steps": ["c"]}]}}], "r": ["d"], "s": ["e"]}}}])";
  const std::string begun =
      "call p/l/t/a|call p/r/d|call p/s/e|done p/l/t/a|done p/s/e|call p/l/t/b|refused p/l/t/b X|"
      "undo p/l/t/a|refused p/r/d Y|";
  ALLOWED(saga, begun + "undone p/l/t/a|undo p/s/e|undone p/s/e|FAILED Y");
  REFUSED("not the turn", saga, begun + "undo p/s/e");
  REFUSED("`call p/l/t/c`", saga, begun + "undone p/l/t/a|call p/l/t/c");
}

TEST_CASE("what no catch takes, and what a catch fails with, goes outward") {
  ALLOWED(tries, at_c + "refused t/c Y|undo t/b|undone t/b|undo a|undone a|FAILED Y");
  ALLOWED(
      tries,
      at_c + "refused t/c X|undo t/b|undone t/b|call t/d|refused t/d Z|undo a|undone a|FAILED Z");
  // Of the try the catch is undone; its body is already.
  ALLOWED(
      tries,
      at_c +
          R"(refused t/c X|undo t/b|undone t/b|call t/d|done t/d|done t/v "X"|call e|refused e Q|)"
          "undo t/d|undone t/d|undo a|undone a|FAILED Q");
  REFUSED(
      "`undo t/b`", tries,
      at_c +
          R"(refused t/c X|undo t/b|undone t/b|call t/d|done t/d|done t/v "X"|call e|refused e Q|)"
          "undo t/d|undone t/d|undo t/b");
  REFUSED("`call t/d`", tries, at_c + "refused t/c Y|undo t/b|undone t/b|call t/d");
}

TEST_CASE("a cancellation and the saga's timeout are never caught") {
  const std::string saga =
      R"("steps": ["a", {"name": "t", "try": {"steps": ["b"], "catch": [{"steps": ["c"]}]}}])";
  ALLOWED(saga, "call a|done a|call t/b|cancel|refused t/b X|undo a|undone a|FAILED CANCELLED");
  ALLOWED(saga,
          "call a|done a|call t/b|deadline|done t/b|undo t/b|undone t/b|undo a|undone a|FAILED "
          "SAGA_TIMEOUT");
  REFUSED("`call t/c`", saga, "call a|done a|call t/b|cancel|refused t/b X|call t/c");
  ALLOWED(saga,
          "call a|done a|call t/b|unknown t/b|undo t/b|cancel|undone t/b|undo a|undone a|FAILED "
          "CANCELLED");
  REFUSED("`call t/c`", saga,
          "call a|done a|call t/b|unknown t/b|undo t/b|cancel|undone t/b|call t/c");
}

TEST_CASE("blocks nest: a failure in a loop in a branch of a try is caught around it all") {
  const std::string saga =
      R"("steps": [{"name": "t", "try": {"steps": [{"name": "p", "parallel": {"branches": {
      "l": [{"name": "o", "forEach": {"in": "${input.list}", "as": "x", "maxConcurrency": 2, "steps": ["a"]}}],
      "r": [{"name": "w", "switch": {"cases": [{"when": "${input.n == 1}", "steps": ["b"]}],
             "otherwise": {"steps": []}}}]}}}],
    "catch": [{"when": "${failure.step == 't/p/l/o[1]/a'}", "steps": ["c"]}]}}])";
  const std::string input = R"({"n": 1, "list": [1, 2]})";
  const std::string begun = "call t/p/l/o[0]/a|call t/p/r/w/b|call t/p/l/o[1]/a|";
  ALLOWED(saga,
          begun +
              "refused t/p/l/o[1]/a X|done t/p/r/w/b|done t/p/l/o[0]/a|undo t/p/r/w/b|undo "
              "t/p/l/o[0]/a|"
              "undone t/p/l/o[0]/a|undone t/p/r/w/b|call t/c|done t/c|COMPLETED",
          input);
  REFUSED("`call t/c`", saga,
          begun +
              "refused t/p/l/o[1]/a X|done t/p/r/w/b|done t/p/l/o[0]/a|undo t/p/r/w/b|"
              "undone t/p/r/w/b|call t/c",
          input);
  ALLOWED(saga,
          begun +
              "done t/p/l/o[1]/a|refused t/p/r/w/b X|done t/p/l/o[0]/a|undo t/p/l/o[1]/a|undo "
              "t/p/l/o[0]/a|"
              "undone t/p/l/o[0]/a|undone t/p/l/o[1]/a|FAILED X",
          input);
}

TEST_CASE("a pivot may stand in the arms of a switch, and what follows it cannot fail") {
  const std::string saga = R"("steps": ["a", {"name": "w", "switch": {"cases": [
      {"when": "${input.n == 1}", "steps": ["b", "c!", "d+"]}], "otherwise": {"steps": ["e!"]}}}, "f+"])";
  ALLOWED(saga,
          "call a|done a|call w/b|done w/b|call w/c|done w/c|call w/d|done w/d|call f|done "
          "f|COMPLETED");
  ALLOWED(saga,
          "call a|done a|call w/b|done w/b|call w/c|refused w/c X|undo w/b|undone w/b|undo "
          "a|undone a|FAILED X");
  REFUSED("cannot fail", saga, "call a|done a|call w/e|done w/e|call f|refused f X", R"({"n": 2})");
  REFUSED("the pivot was sent", saga, "call a|done a|call w/e|cancel", R"({"n": 2})");
}

TEST_CASE("what happened together has no order: a failure stops what stands beside it only then") {
  const std::string saga = parallel("");
  ALLOWED(saga, both_b_and_d +
                    "together|refused p/l/b X|done p/r/d|call p/r/e|apart|done p/r/e|"
                    "undo p/r/e|undone p/r/e|undo p/r/d|undone p/r/d|undo a|undone a|FAILED X");
  REFUSED("is stopped", saga,
          both_b_and_d + "together|refused p/l/b X|done p/r/d|apart|call p/r/e");
}

TEST_CASE("where the language does not say which failure comes first, either is taken") {
  // The inner block's step fails before d, the inner block itself after it.
  const std::string saga =
      R"("steps": [{"name": "p", "parallel": {"onFailure": "finish", "branches": {
    "l": [{"name": "q", "parallel": {"branches": {"x": ["a"], "y": ["b"]}}}], "r": ["d"]}}}])";
  const std::string seen =
      "call p/l/q/x/a|call p/l/q/y/b|call p/r/d|refused p/l/q/x/a X|refused p/r/d Y|refused "
      "p/l/q/y/b Z|";
  ALLOWED(saga, seen + "FAILED X");
  ALLOWED(saga, seen + "FAILED Y");
  REFUSED("the failure is Y", saga, seen + "FAILED Z");
}

}  // namespace
}  // namespace backstitch::test

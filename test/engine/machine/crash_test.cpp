/// Every block, killed after every transition, before and after what was asked for got done: the
/// saga has to come to the same end. And cancelled after every transition: it has to come to a
/// clean one. Holds I3, I4, I5, I6 and I9 on the way, see world.hpp.
#include "drive.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

std::string parallel(const std::string& left, const std::string& right,
                     const std::string& more = "", const std::string& name = "both") {
  return R"({"name":")" + name + R"(","parallel":{)" + more + R"("branches":{"l":[)" + left +
         R"(],"r":[)" + right + "]}}}";
}
std::string loop(const std::string& steps, const std::string& more = "") {
  return R"({"name":"loop","forEach":{"in":"${['x','y','z']}","as":"i","key":"${i}",)" + more +
         R"("steps":[)" + steps + R"(],"yield":"${i}"}})";
}
std::string guarded(const std::string& body, const std::string& otherwise) {
  return R"({"name":"save","try":{"steps":[)" + body + R"(],"output":"body","catch":[{"steps":[)" +
         otherwise + R"(],"output":"${failure.code}"}]}})";
}
std::string choice(const std::string& steps) {
  return R"({"name":"way","switch":{"cases":[{"when":"${input?.b == true}","steps":[{"name":"no","value":1}]}],"otherwise":{"steps":[)" +
         steps + R"(],"output":"otherwise"}}})";
}
std::string wait(const std::string& name, const std::string& more = "") {
  return R"({"name":")" + name + R"(","wait":{"signal":")" + name + R"(","timeout":"5m")" + more +
         "}}";
}
std::string asynchronous(const std::string& name, const std::string& kind = "") {
  const std::string undo = R"("compensation":{"http":"DELETE /)" + name + "\"},";
  return R"({"name":")" + name + R"(",)" + (kind.empty() ? undo : "\"kind\":\"" + kind + "\",") +
         R"("action":{"service":"s","http":"PUT /)" + name +
         R"("},"completion":{"callback":true,"timeout":"5m"}})";
}
std::string child(const std::string& name, const std::string& more = "") {
  return R"({"name":")" + name + R"(","saga":{"name":"t.child","version":1,"input":{}})" + more +
         "}";
}
const std::string nap = R"({"name":"nap","sleep":{"for":"1m"}})";
const std::string output =
    R"(,"output":"${steps.last.output}","onSuspended":[)" + retryable("notice") + "]";
/// A step whose undo is given up after one attempt.
std::string impatient(const std::string& name) {
  return R"({"name":")" + name + R"(","action":{"service":"s","http":"PUT /)" + name +
         R"("},"compensation":{"http":"DELETE /)" + name + R"(","retry":{"maxAttempts":1}}})";
}
/// A step that is asked about after two attempts.
std::string probed(const std::string& name, const std::string& sealed) {
  return step(name, R"(,"retry":{"maxAttempts":2},"probe":{"http":"GET /)" + name +
                        R"(","sealed":)" + sealed + "}");
}
/// Between a first step and a last one, which gives the output.
std::string amid(const std::string& steps, const std::string& last = step("last")) {
  return saga(step("first") + "," + steps + "," + last, output);
}

std::vector<Script> scripts() {
  const std::string serial = R"("compensationOrder":"serial",)";
  const std::string finish = R"("onFailure":"finish",)";
  const std::string two = R"("maxConcurrency":2,)";
  const std::string both = parallel(step("a") + "," + step("b"), step("c") + "," + step("d"));
  const std::string list = loop(step("a") + "," + step("b"), two);
  const std::string tried = guarded(step("a") + "," + step("b"), step("c") + "," + step("d"));
  return {
      {"parallel", "COMPLETED", amid(both)},
      {"parallel, undone",
       "HTTP_422",
       amid(both),
       "{}",
       {{"last", "refuse"}},
       {{"b", "lost"}, {"c", "lost"}}},
      {"parallel, undone serially",
       "HTTP_422",
       amid(parallel(step("a") + "," + step("b"), step("c"), serial)),
       "{}",
       {{"last", "refuse"}}},
      {"parallel, a branch refused",
       "HTTP_422",
       amid(both),
       "{}",
       {{"b", "refuse"}, {"c", "lost"}}},
      {"parallel, finishing",
       "HTTP_422",
       amid(parallel(step("a"), step("c") + "," + step("d"), finish)),
       "{}",
       {{"a", "refuse"}}},
      {"parallel, one at a time",
       "OUTCOME_UNKNOWN",
       amid(parallel(step("a"), step("b"), R"("maxConcurrency":1,)")),
       "{}",
       {{"b", "gone"}}},
      {"parallel in parallel",
       "HTTP_422",
       amid(parallel(parallel(step("a"), step("b"), "", "in"), step("c"))),
       "{}",
       {{"c", "refuse"}}},
      {"forEach", "COMPLETED", amid(list)},
      {"forEach, undone", "OUTCOME_UNKNOWN", amid(list), "{}", {{"last", "mute"}}},
      {"forEach, undone serially",
       "HTTP_422",
       amid(loop(step("a"), two + serial)),
       "{}",
       {{"last", "refuse"}}},
      {"forEach, an iteration refused", "HTTP_422", amid(list), "{}", {{"loop[1]/b", "refuse"}}},
      {"forEach, finishing",
       "HTTP_422",
       amid(loop(step("a"), finish)),
       "{}",
       {{"loop[0]/a", "refuse"}}},
      {"try", "COMPLETED", amid(tried)},
      {"try, caught", "COMPLETED", amid(tried), "{}", {{"b", "refuse"}}, {{"a", "lost"}}},
      {"try, caught after an unknown", "COMPLETED", amid(tried), "{}", {{"b", "mute"}}},
      {"try, the catch refused", "HTTP_422", amid(tried), "{}", {{"b", "refuse"}, {"d", "refuse"}}},
      {"try, caught and undone",
       "HTTP_422",
       amid(tried),
       "{}",
       {{"b", "refuse"}, {"last", "refuse"}}},
      {"switch", "COMPLETED", amid(choice(step("a") + "," + step("b")))},
      {"switch, undone",
       "HTTP_422",
       amid(choice(step("a") + "," + step("b"))),
       "{}",
       {{"last", "refuse"}}},
      {"sleep and wait", "COMPLETED", amid(nap + "," + wait("w")), "{}", {}, {}, {{"w", "w"}}},
      {"wait, no signal", "WAIT_TIMEOUT", amid(wait("w"))},
      {"wait, no signal, going on", "COMPLETED",
       amid(wait("w", R"(,"onTimeout":"continue","default":1)"))},
      {"sleep and wait beside a refusal",
       "HTTP_422",
       amid(parallel(nap + "," + step("a"), wait("w") + "," + step("b"))),
       "{}",
       {{"b", "refuse"}},
       {},
       {{"w", "w"}}},
      {"completion", "COMPLETED", amid(asynchronous("a")), "{}", {{"a", "late"}}},
      {"completion, undone",
       "HTTP_422",
       amid(asynchronous("a")),
       "{}",
       {{"a", "late"}, {"last", "refuse"}}},
      {"completion, refused", "HTTP_422", amid(asynchronous("a")), "{}", {{"a", "late-no"}}},
      {"completion, pivot",
       "COMPLETED",
       amid(step("a"), asynchronous("last", "pivot")),
       "{}",
       {{"last", "late"}}},
      {"child", "COMPLETED", amid(child("sub"))},
      {"child, undone", "HTTP_422", amid(child("sub")), "{}", {{"last", "refuse"}}},
      {"child, failed", "CHILD", amid(child("sub")), "{}", {}, {}, {}, {{"sub", "failed"}}},
      {"child in a branch",
       "HTTP_422",
       amid(parallel(child("sub") + "," + step("a"), step("b"))),
       "{}",
       {{"a", "refuse"}}},
      {"after the pivot",
       "COMPLETED",
       amid(pivot("p") + "," + parallel(retryable("a") + "," + retryable("b"), retryable("c")),
            retryable("last")),
       "{}",
       {{"p", "lost"}, {"b", "flaky"}, {"c", "lost"}}},
      {"after the pivot, suspended and tried again",
       "COMPLETED",
       amid(pivot("p") + "," + parallel(retryable("a"), retryable("b")), retryable("last")),
       "{}",
       {{"a", "fixed"}, {"b", "fixed"}}},
      {"undo given up and tried again",
       "HTTP_422",
       amid(parallel(impatient("a"), impatient("b"))),
       "{}",
       {{"last", "refuse"}},
       {{"a", "fixed"}, {"b", "fixed"}}},
      {"undo of a body given up and tried again",
       "COMPLETED",
       amid(parallel(guarded(impatient("a") + "," + step("b"), step("c")),
                     step("d") + "," + step("e"))),
       "{}",
       {{"b", "refuse"}},
       {{"a", "fixed"}}},
      {"probe, seen", "COMPLETED", amid(probed("a", "true")), "{}", {{"a", "mute"}}},
      {"probe, not seen", "HTTP_404", amid(probed("a", "true")), "{}", {{"a", "gone"}}},
      {"probe, not sealed", "OUTCOME_UNKNOWN", amid(probed("a", "false")), "{}", {{"a", "gone"}}},
      {"child suspended beside a branch",
       "COMPLETED",
       amid(parallel(child("sub"), step("a") + "," + step("b"))),
       "{}",
       {},
       {},
       {},
       {{"sub", "stuck"}}},
      {"child suspended beside a refusal",
       "HTTP_422",
       amid(parallel(child("sub"), step("a") + "," + step("b"))),
       "{}",
       {{"b", "refuse"}},
       {},
       {},
       {{"sub", "stuck"}}},
      {"everything in everything",
       "COMPLETED",
       amid(parallel(loop(guarded(step("a") + "," + choice(step("b")), step("c")), two),
                     nap + "," + wait("w") + "," + asynchronous("d") + "," + child("sub"))),
       "{}",
       {{"loop[1]/save/way/b", "refuse"}, {"d", "late"}, {"loop[2]/save/a", "lost"}},
       {},
       {{"w", "w"}}},
      {"everything in everything, undone",
       "HTTP_422",
       amid(parallel(loop(guarded(step("a") + "," + choice(step("b")), step("c")), two),
                     nap + "," + wait("w") + "," + asynchronous("d") + "," + child("sub"))),
       "{}",
       {{"loop[1]/save/way/b", "refuse"}, {"d", "late"}, {"last", "refuse"}},
       {{"c", "lost"}},
       {{"w", "w"}}},
  };
}

/// What is left of a saga that failed is nothing, and of one that completed all it had to do.
void check_clean(const Ending& ending, const Drive& drive) {
  if (ending.status == "FAILED")
    CHECK_MESSAGE(ending.done.empty(), drive.story());
  else
    CHECK_MESSAGE(ending.status == "COMPLETED", drive.story());
}

}  // namespace

TEST_CASE("a node killed after any transition changes nothing about the end of a saga") {
  for (const auto& script : scripts()) {
    Drive untouched(script);
    const Ending ending = untouched.run();
    CHECK_MESSAGE((ending.status == "COMPLETED" ? ending.status : ending.code) == script.ends,
                  untouched.story());
    check_clean(ending, untouched);
    for (std::size_t n = 1; n < untouched.transitions(); ++n) {
      for (const bool sent : {false, true}) {
        Drive drive(script);
        drive.crash_after = n;
        drive.crash_when_sent = sent;
        const Ending after = drive.run();
        CHECK_MESSAGE(after == ending, "killed after " << n << ", sent: " << sent << "\n"
                                                       << drive.story());
      }
    }
  }
}

TEST_CASE("nor does a node that is killed right after it took over, or soon after") {
  for (const auto& script : scripts()) {
    Drive untouched(script);
    const Ending ending = untouched.run();
    for (std::size_t n = 1; n < untouched.transitions(); ++n) {
      for (const std::size_t later : {1, 3}) {
        Drive drive(script);
        drive.crash_after = n;
        drive.crash_again_after = n + later;
        drive.crash_when_sent = true;
        const Ending after = drive.run();
        CHECK_MESSAGE(after == ending, "killed after " << n << " and " << later << " more\n"
                                                       << drive.story());
      }
    }
  }
}

TEST_CASE("a saga cancelled after any transition ends clean, whoever answers first") {
  for (const auto& script : scripts()) {
    Drive untouched(script);
    untouched.run();
    for (std::size_t n = 1; n < untouched.transitions(); ++n) {
      for (const bool last_first : {false, true}) {
        Drive drive(script);
        drive.cancel_after = n;
        drive.last_first = last_first;
        check_clean(drive.run(), drive);
      }
    }
  }
}

TEST_CASE("a saga cancelled and then killed ends clean") {
  for (const auto& script : scripts()) {
    Drive untouched(script);
    untouched.run();
    for (std::size_t n = 1; n < untouched.transitions(); ++n) {
      for (const bool sent : {false, true}) {
        for (const std::size_t later : {1, 2, 4}) {
          Drive drive(script);
          drive.cancel_after = n;
          drive.crash_after = n + later;
          drive.crash_when_sent = sent;
          check_clean(drive.run(), drive);
        }
      }
    }
  }
}

TEST_CASE(
    "a saga that is cut after every event ends as one that is not, also if its node is killed "
    "there") {
  for (const auto& script : scripts()) {
    Drive untouched(script);
    const Ending ending = untouched.run();
    Drive cut(script);
    cut.cut_everywhere();
    CHECK_MESSAGE(cut.run() == ending, cut.story());
    CHECK(cut.transitions() > untouched.transitions());
    for (std::size_t n = 1; n < cut.transitions(); ++n) {
      for (const bool sent : {false, true}) {
        Drive drive(script);
        drive.cut_everywhere();
        drive.crash_after = n;
        drive.crash_when_sent = sent;
        const Ending after = drive.run();
        CHECK_MESSAGE(after == ending, "killed after " << n << ", sent: " << sent << "\n"
                                                       << drive.story());
      }
    }
  }
}

TEST_CASE("a saga that is cut after every event and cancelled there ends clean") {
  for (const auto& script : scripts()) {
    Drive cut(script);
    cut.cut_everywhere();
    cut.run();
    for (std::size_t n = 1; n < cut.transitions(); ++n) {
      Drive drive(script);
      drive.cut_everywhere();
      drive.cancel_after = n;
      check_clean(drive.run(), drive);
    }
  }
}

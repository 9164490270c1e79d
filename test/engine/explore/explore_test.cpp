#include <set>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/check.hpp>
#include <backstitch/engine/explore/explore.hpp>
#include <backstitch/engine/explore/worst_case.hpp>

#include "explored.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using namespace std::chrono_literals;
using test::endings_of;
using test::program_of;

namespace {

/// Steps of a service `s`, with an input that is described by `input`.
std::string saga(const std::string& steps, const std::string& rest = "",
                 const std::string& input = R"({"type":"object"})") {
  return R"({"dsl":1,"name":"t.v","version":1,"timeout":"10m","input":)" + input +
         R"(,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[)" + steps + "]" + rest +
         "}";
}
std::string step(const std::string& name, const std::string& more = "") {
  return R"({"name":")" + name + R"(","action":{"service":"s","http":"PUT /)" + name +
         R"("},"compensation":{"http":"DELETE /)" + name + R"("})" + more + "}";
}

const explore::Ending& ending_of(const explore::Exploration& found, SagaStatus status,
                                 const std::string& why) {
  for (const auto& ending : found.endings) {
    if (ending.status == status && ending.why == why) return ending;
  }
  FAIL("no such ending: " << why);
  return found.endings.front();
}

}  // namespace

TEST_CASE("three steps end in the ways one would count by hand, with the shortest stories") {
  const auto found = explore::explore(program_of(saga(step("a") + "," + step("b"))));
  CHECK(found.complete);
  CHECK(found.violations.empty());
  CHECK(ending_of(found, SagaStatus::completed, "").story ==
        std::vector<std::string>{"a: done", "b: done", "the saga is COMPLETED"});
  CHECK(ending_of(found, SagaStatus::suspended, "COMPENSATION_FAILED at the undo of a").story ==
        std::vector<std::string>{"a: no answer, for good", "undo of a: never reached",
                                 "the saga is SUSPENDED: COMPENSATION_FAILED at the undo of a"});
}

TEST_CASE("an expression that fails on what may be missing is found, by the shortest way") {
  const auto found = explore::explore(
      program_of(saga(step("a") + R"(,{"name":"b","value":"${steps.a.output?.first.second}"})")));
  REQUIRE(found.violations.size() == 1);
  CHECK(found.violations[0].promise == "expression");
  CHECK(found.violations[0].what.find("b: ") == 0);
  CHECK(found.violations[0].story.size() == 3);
  CHECK(found.violations[0].story[1].find("a: done -> ") == 0);
}

TEST_CASE("a list may be empty, a divisor zero") {
  const char* const lists =
      R"({"type":"object","required":["xs"],"properties":{"xs":{"type":"array","items":{"type":"integer"}}}})";
  const auto empty =
      explore::explore(program_of(saga(R"({"name":"v","value":"${input.xs[0]}"})", "", lists)));
  CHECK(empty.violations.size() == 1);
  const char* const number =
      R"({"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}})";
  const auto zero =
      explore::explore(program_of(saga(R"({"name":"v","value":"${10 / input.n}"})", "", number)));
  CHECK(zero.violations.size() == 1);
  const char* const positive =
      R"({"type":"object","required":["n"],"properties":{"n":{"type":"integer","minimum":1}}})";
  const auto fine =
      explore::explore(program_of(saga(R"({"name":"v","value":"${10 / input.n}"})", "", positive)));
  CHECK(fine.violations.empty());
}

TEST_CASE("an undo that reads what is not there is found before it would be needed") {
  const auto found = explore::explore(program_of(saga(
      R"({"name":"a","action":{"service":"s","http":"PUT /a"},"capture":{"t":"${response.body?.token}"},
        "probe":{"http":"GET /a","sealed":true},"compensation":{"http":"DELETE /a/${self.captured.t}"}})")));
  REQUIRE_FALSE(found.violations.empty());
  CHECK(found.violations[0].promise == "expression");
  CHECK(found.violations[0].what.find("a: ") == 0);
}

TEST_CASE("both truths of every condition are taken, and both sides of every comparison") {
  const char* const input =
      R"({"type":"object","required":["n"],"properties":{"n":{"type":"integer"},"vip":{"type":"boolean"}}})";
  const auto found = explore::explore(program_of(saga(
      R"({"name":"big","when":"${input.n > 100}","fail":{"code":"TOO_MUCH"}},
         {"name":"vip","when":"${input?.vip ?? false}","fail":{"code":"FOR_VIPS"}},)" +
          step("a"),
      "", input)));
  const auto endings = endings_of(found);
  for (const char* expected : {"COMPLETED", "FAILED TOO_MUCH at big", "FAILED FOR_VIPS at vip"})
    CHECK_MESSAGE(endings.count(expected) == 1, expected);
}

TEST_CASE("a list of none, one and two items is gone through") {
  const char* const input =
      R"({"type":"object","required":["xs"],"properties":{"xs":{"type":"array","items":{"type":"string"}}}})";
  const auto found = explore::explore(program_of(
      saga(R"({"name":"each","forEach":{"in":"${input.xs}","as":"x","maxConcurrency":2,"steps":[)" +
               step("a") + "]}}",
           "", input)));
  CHECK(found.complete);
  CHECK(found.violations.empty());
  CHECK(endings_of(found).count("FAILED HTTP_422 at each[*]/a") == 1);
}

TEST_CASE("a bound ends the search and says so") {
  const std::string several = saga(step("a") + "," + step("b") + "," + step("c") + "," + step("d"));
  const auto few = explore::explore(program_of(several), {100, {}});
  CHECK_FALSE(few.complete);
  CHECK(few.states >= 100);
  CHECK(few.states < 200);
  const auto none =
      explore::explore(program_of(several), {1'000'000, [](const auto&) { return false; }});
  CHECK_FALSE(none.complete);
}

TEST_CASE("the worst case adds up timeouts, attempts and waits") {
  const auto time = [](const std::string& definition) {
    const auto worst = explore::worst_case(program_of(definition));
    return explore::to_text(worst.forward) + " " + explore::to_text(worst.backward);
  };
  const std::string once = R"(,"retry":{"maxAttempts":1},"attemptTimeout":"10s")";
  CHECK(time(saga(step("a", once))) == "10s 1d10s");
  // 3 attempts of 10s, waits of 1s and 2s.
  CHECK(
      time(saga(step(
          "a", R"(,"retry":{"maxAttempts":3,"delay":"1s","factor":2},"attemptTimeout":"10s")"))) ==
      "33s 1d10s");
}

TEST_CASE(
    "a signal that the wait turns away is tried, too, and must not end in an expression that "
    "fails") {
  const auto wait = [](const std::string& accept) {
    return saga(R"({"name":"w","wait":{"signal":"decision","timeout":"5m","accept":"${)" + accept +
                R"(}","schema":{"type":"object","properties":{"limit":{"type":"integer"}}}}})");
  };
  const auto bad = explore::explore(program_of(wait("signal.payload.limit > 5")));
  CHECK(bad.violations.size() == 1);
  if (!bad.violations.empty()) {
    CHECK(bad.violations.front().promise == "expression");
    CHECK(bad.violations.front().story.back() ==
          "expression: `accept` fails on the signal's payload");
  }
  const auto good = explore::explore(program_of(wait("(signal.payload?.limit ?? 0) > 5")));
  CHECK(good.violations.empty());
  CHECK(endings_of(good) == std::set<std::string>{"COMPLETED", "FAILED WAIT_TIMEOUT at w",
                                                  "FAILED CANCELLED or SAGA_TIMEOUT"});
}

TEST_CASE(
    "an empty body and a page are tried where the body is read, and such endings are marked") {
  const auto with_output = [](const std::string& output) {
    return saga(step("a", R"(,"output":{"id":")" + output + R"("})") + "," +
                R"({"name":"b","action":{"service":"s","http":"PUT /b/${steps.a.output.id}"},)"
                R"("compensation":{"http":"DELETE /b"}})");
  };
  const auto needy = explore::explore(program_of(with_output("${response.body.id}")));
  CHECK(needy.violations.empty());
  const auto& ending = ending_of(needy, SagaStatus::failed, "EXPRESSION_FAILED at a");
  CHECK(ending.odd_body);
  CHECK(ending.story.front() == "a: done, with an empty body");
  CHECK_FALSE(ending_of(needy, SagaStatus::failed, "HTTP_422 at a").odd_body);
  const auto careful = explore::explore(program_of(with_output("${response.body?.id ?? 'none'}")));
  CHECK(careful.violations.empty());
  CHECK(endings_of(careful).count("FAILED EXPRESSION_FAILED at a") == 0);
}

/// Exploring takes both arms of every condition, whatever the made-up data reaches.
#include <algorithm>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "../../support/dice.hpp"
#include "explored.hpp"

using namespace backstitch;
using namespace backstitch::engine;
using test::endings_of;
using test::program_of;

namespace {

const char* const two_numbers =
    R"({"type":"object","required":["a","b","code","list"],"properties":{"a":{"type":"integer"},"b":{"type":"integer"},
        "code":{"type":"string"},"list":{"type":"array","items":{"type":"integer"}}}})";

std::string definition(const std::string& steps, const std::string& input = two_numbers) {
  return R"({"dsl":1,"name":"t.v","version":1,"input":)" + input +
         R"(,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[)" + steps + "]}";
}
std::string when(const std::string& name, const std::string& condition, const std::string& body) {
  return R"({"name":")" + name + R"(","when":"${)" + condition + R"(}",)" + body + "}";
}
/// Fails for every list that is made up.
const std::string reads_too_far = R"("value":"${input.list[25]}")";

explore::Exploration explored(const std::string& text) {
  return explore::explore(program_of(text));
}
bool violates(const explore::Exploration& found, const std::string& promise, bool assumed) {
  return std::any_of(found.violations.begin(), found.violations.end(), [&](const auto& one) {
    return one.promise == promise && one.assumed == assumed;
  });
}

}  // namespace

TEST_CASE("both arms of a comparison of two inputs are reached by data") {
  const auto found = explored(
      definition(when("big", "input.a > input.b", R"("fail":{"code":"TOO_BIG"})") +
                 R"(,{"name":"pay","kind":"pivot","action":{"service":"s","http":"PUT /p"}})"));
  const auto endings = endings_of(found);
  CHECK(endings.count("FAILED TOO_BIG at big") == 1);
  CHECK(endings.count("COMPLETED") == 1);
  CHECK(found.assumptions.empty());
  CHECK(found.complete);
}

TEST_CASE("data is found for conditions on what is calculated, counted or looked for in a text") {
  for (const char* condition :
       {"input.a + input.b > 200000", "input.a * 3 - input.b == 6", "input.a > input.b + 7",
        "len(input.list) > 3", "startsWith(input.code, 'EU')", "lower(input.code) == 'abc'",
        "input.list.sum(x, x) >= 40", "input.list.any(x, x == input.a)", "-input.a > 12"}) {
    CAPTURE(condition);
    const auto found = explored(definition(when("v", condition, R"("fail":{"code":"X"})")));
    CHECK(endings_of(found).count("FAILED X at v") == 1);
    CHECK(endings_of(found).count("COMPLETED") == 1);
    CHECK_MESSAGE(found.assumptions.empty(), found.assumptions.front());
  }
}

TEST_CASE("an arm that no data reaches is taken as an assumption") {
  const auto found =
      explored(definition(when("far", "sha256(string(input.a)) == 'ab'", reads_too_far)));
  CHECK(violates(found, "expression", true));
  CHECK_FALSE(violates(found, "expression", false));
  REQUIRE(found.assumptions.size() == 1);
  CHECK(found.assumptions[0] == R"(sha256(string(input.a)) == "ab" was never true)");
  CHECK(found.violations[0].story[0].find("assuming that ") != std::string::npos);
  CHECK(found.unreached.empty());
}

TEST_CASE("a violation that data reaches is not marked as assumed") {
  const auto found = explored(definition(when("far", "input.a + input.b > 200000", reads_too_far)));
  CHECK(violates(found, "expression", false));
}

TEST_CASE("the same condition over the same values goes one way in one story") {
  const std::string never = "sha256(string(input.a)) == 'ab'";
  const auto found = explored(definition(
      R"({"name":"w","switch":{"cases":[{"when":"${)" + never + R"(}","steps":[)" +
      when("not", "sha256(string(input.a)) != 'ab'", reads_too_far) +
      R"(]}],"otherwise":{"steps":[]}}},)" + when("again", never, R"("fail":{"code":"X"})")));
  CHECK(found.violations.empty());
  CHECK(found.unreached == std::vector<std::string>{"the step `not`"});
  CHECK(endings_of(found).count("FAILED X at again") == 1);
}

TEST_CASE("conditions inside values are taken both ways, too") {
  const auto found = explored(definition(
      R"({"name":"v","value":"${sha256(string(input.a)) == 'ab' ? input.list[25] : 0}"})"));
  CHECK(violates(found, "expression", true));
}

TEST_CASE("what lies behind two arms that have to be assumed is found") {
  const auto found = explored(definition(when(
      "one", "sha256(string(input.a)) == 'ab'",
      R"("switch":{"cases":[{"when":"${sha256(string(input.b)) == 'cd'}","steps":[{"name":"two",)" +
          reads_too_far + R"(}]}],"otherwise":{"steps":[]}})")));
  CHECK(violates(found, "expression", true));
}

TEST_CASE("steps, cases and catches that no way comes to are listed, and it is not complete") {
  const auto found = explored(definition(
      R"({"name":"t","try":{"steps":[{"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}}],
          "catch":[{"codes":["LIMIT_EXCEEDED"],"steps":[{"name":"c","value":1}]}]}},
         {"name":"w","switch":{"cases":[{"when":"${input.a == input.a + 1}","steps":[
            {"name":"v","switch":{"cases":[{"when":"${input.a != input.a + 1}","steps":[]}],"otherwise":{"steps":[]}}}]}],
          "otherwise":{"steps":[]}}})"));
  CHECK(found.unreached == std::vector<std::string>{"catch 1 of `t`", "case 1 of `v`"});
  CHECK_FALSE(found.complete);
}

TEST_CASE("an input is made up for what a schema asks") {
  const auto with = [](const std::string& x) {
    return definition(
        R"({"name":"a","action":{"service":"s","http":"PUT /d","body":"${input.x}"},"compensation":{"http":"DELETE /d"}})",
        R"({"type":"object","required":["x"],"properties":{"x":)" + x + "}}");
  };
  for (
      const char* x :
      {R"({"type":"string","pattern":"^[A-Z]{2}[0-9]{2}$"})",
       R"({"type":"string","format":"uuid"})",
       R"({"type":"string","pattern":"^(?i)(de|fr)-\\d{4,}\\b","minLength":12})",
       R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1})",
       R"({"type":"number","minimum":0.25,"maximum":0.3})", R"({"type":"integer","maximum":-5})",
       R"({"type":"array","uniqueItems":true,"minItems":3,"items":{"type":"integer"}})",
       R"({"type":"array","uniqueItems":true,"minItems":2,"items":{"enum":["a","b","c"]}})",
       R"({"type":"array","uniqueItems":true,"minItems":2,"items":{"type":"string","pattern":"^[A-Z]{3}$"}})",
       R"({"type":"string","format":"date-time"})",
       R"({"type":["null","string"],"minLength":3})"}) {
    CAPTURE(x);
    const auto found = explored(with(x));
    CHECK(found.complete);
    CHECK_MESSAGE(found.notes.empty(), found.notes.front());
    CHECK(found.states > 1);
  }
}

TEST_CASE(
    "where no input is found one stands for all, every story is assumed, and it is not complete") {
  const auto found = explored(definition(
      R"({"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}})",
      R"({"type":"object","required":["x"],"properties":{"x":{"type":"string","pattern":"^a\\Bb$\\z^"}}})"));
  CHECK(found.states > 1);
  CHECK_FALSE(found.complete);
  REQUIRE(found.notes.size() == 1);
  CHECK(found.notes[0].find("no input was found that the schema admits (`/x` does not match") == 0);
  CHECK(std::all_of(found.endings.begin(), found.endings.end(),
                    [](const auto& one) { return one.assumed; }));
}

TEST_CASE("an input that is given is explored beside those that are made up") {
  explore::Options options;
  options.inputs = {{{"a", 1}, {"b", 2}, {"list", {1, 2, 3}}, {"code", "Q7"}}};
  const auto program = program_of(
      definition(when("v",
                      "sha256(input.code) == "
                      "'a0a6b1cb7cbe2a5e8f6d3c5b9a7c0000000000000000000000000000000000'",
                      R"("value":1)") +
                 "," + when("l", "input.list == [1, 2, 3]", R"("fail":{"code":"GIVEN"})")));
  const auto found = explore::explore(program, options);
  const auto given = std::find_if(found.endings.begin(), found.endings.end(),
                                  [](const auto& one) { return one.why == "GIVEN at l"; });
  REQUIRE(given != found.endings.end());
  CHECK_FALSE(given->assumed);
}

TEST_CASE("keys are compared on one way, not between ways that bring other items") {
  const auto found = explored(
      R"({"dsl":1,"name":"i3.min","version":1,"services":{"p":{"baseUrl":"https://s.example"}},"steps":[
        {"name":"list","action":{"service":"p","http":"GET /parcels"}},
        {"name":"each","forEach":{"in":"${steps.list.output.parcels.filter(x, x.available)}","as":"x","key":"${x.id}","steps":[
          {"name":"charge","action":{"service":"p","http":"PUT /charges/${x.id}"},"compensation":{"http":"DELETE /charges/${x.id}"}}]}}]})");
  CHECK(found.violations.empty());
  CHECK(found.complete);
}

TEST_CASE("there is one ending for all iterations of a loop") {
  const auto endings = endings_of(explored(definition(
      R"({"name":"each","forEach":{"in":"${input.list}","as":"x","steps":[
        {"name":"pay","action":{"service":"s","http":"PUT /pay/${x}"},"compensation":{"http":"DELETE /pay/${x}"}}]}})")));
  CHECK(endings.count("FAILED HTTP_422 at each[*]/pay") == 1);
  CHECK(std::none_of(endings.begin(), endings.end(),
                     [](const std::string& one) { return one.find("[0]") != std::string::npos; }));
}

TEST_CASE("the answers of an action, a poll and a probe have bodies of their own") {
  const auto found = explored(
      R"({"dsl":1,"name":"t.p","version":1,"timeout":"10m","services":{"s":{"baseUrl":"https://s.example"}},"steps":[
        {"name":"a","action":{"service":"s","http":"POST /a"},"output":"${response.body.total}",
         "completion":{"timeout":"5m","poll":{"http":"GET /a/${self.key}","every":"5s",
           "outcomes":[{"status":[200],"when":"${response.body.state == 'open'}","is":"pending"}]}},
         "compensation":{"http":"DELETE /a/${self.key}"}}]})");
  CHECK(found.violations.empty());
  for (const auto& ending : found.endings) {
    for (const auto& line : ending.story) {
      if (line.find("poll") == std::string::npos)
        CHECK_MESSAGE(line.find("state") == std::string::npos, line);
    }
  }
}

TEST_CASE("what is made up has the type that its readers need, through whatever it passes") {
  const std::string a =
      R"({"name":"a","action":{"service":"s","http":"GET /a"}},{"name":"b","action":{"service":"s","http":"GET /b"}},)";
  for (const char* value :
       {"concat(steps.a.output.xs, steps.b.output.ys).sum(x, x.n)",
        "steps.a.output.xs.sortBy(x, x.rank).map(x, x.price * 2)",
        "steps.a.output.xs.map(x, x.tags).flatMap(x, x).map(x, upper(x))",
        "steps.a.output.xs.map(x, {p: x.price}).map(y, y.p - 1)",
        "max(steps.a.output.m, steps.b.output.n)", "max(concat(steps.a.output.ms, [0])) + 1",
        "concat(steps.a.output.xs, [{n: 1}]).filter(x, x.n > 1)",
        "distinct(steps.a.output.xs).map(x, x.n / 2)", "number(steps.a.output.text) + 1",
        "merge(steps.a.output.one, steps.b.output.two).price * 2",
        "steps.a.output.first + ' ' + steps.a.output.last", "'a' + string(1) + steps.a.output.t",
        "[1, 2, 3][steps.a.output.i]", "merge(steps.a.output.one, {z: 1})",
        "dateDiff(steps.a.output.until, saga.startedAt) > 0",
        "dateAdd(saga.startedAt, steps.a.output.d)", "slice(steps.a.output.xs, 0, 1).map(x, x)",
        "has(steps.a.output.o, 'k') ? 1 : 2"}) {
    CAPTURE(value);
    const auto found = explored(definition(a + R"({"name":"v","value":"${)" + value + R"(}"})"));
    CHECK_MESSAGE(found.violations.empty(), found.violations.front().what);
  }
  const auto tried = explored(definition(
      a +
      R"({"name":"t","try":{"steps":[{"name":"c","action":{"service":"s","http":"PUT /c"},"compensation":{"http":"DELETE /c"}}],
            "output":{"n":"${steps.c.output.n}","xs":"${steps.a.output.xs}"},
            "catch":[{"steps":[],"output":{"n":0,"xs":[]}}]}},
           {"name":"v","value":"${steps.t.output.n + steps.t.output.xs.sum(x, x.price)}"})"));
  CHECK(tried.violations.empty());
}

TEST_CASE("what an answer's readers expect of its headers is there") {
  const auto found = explored(definition(
      R"({"name":"a","action":{"service":"s","http":"POST /a"},"output":"${response.headers.location}",
          "compensation":{"http":"DELETE /a/${self.key}"}},
         {"name":"b","when":"${steps.a.output == '/x'}","fail":{"code":"MOVED"}})"));
  CHECK(endings_of(found).count("FAILED MOVED at b") == 1);
  CHECK(endings_of(found).count("COMPLETED") == 1);
  CHECK(found.violations.empty());
  CHECK(found.complete);
}

TEST_CASE("what is read with ?. because its step may be skipped is not taken for optional") {
  std::string text =
      definition(R"({"name":"a","kind":"pivot","action":{"service":"s","http":"PUT /a"}})");
  text.replace(text.size() - 1, 1,
               R"(,"onFailure":[{"name":"v","value":"${steps.a?.output?.n ?? 0}"}],)"
               R"("output":"${steps.a.output.n}"})");
  const auto found = explored(text);
  CHECK(found.violations.empty());
  CHECK(found.complete);
}

TEST_CASE("a signal that an assumed arm turns away leaves the saga as it was") {
  for (const char* accept : {"len(signal.payload.note) > 40", "sha256(signal.payload.n) == 'ab'",
                             "signal.payload.n * signal.payload.n == 441"}) {
    CAPTURE(accept);
    const auto found = explored(definition(
        R"({"name":"w","wait":{"signal":"go","timeout":"5m","accept":"${)" + std::string(accept) +
        R"(}"}},{"name":"p","kind":"pivot","action":{"service":"s","http":"PUT /p"}})"));
    CHECK_MESSAGE(found.violations.empty(), found.violations.front().what);
    CHECK(endings_of(found).count("COMPLETED") == 1);
  }
}

TEST_CASE("an arm that is assumed at the start makes a saga of its own") {
  const std::string label =
      R"(,"labels":{"k":"${sha256(string(input.a)) == 'ab' ? string(input.list[25]) : 'x'}"}})";
  std::string text = definition(
      R"({"name":"x","action":{"service":"s","http":"PUT /x/${saga.id}"},"compensation":{"http":"DELETE /x"}})");
  text.replace(text.size() - 1, 1, label);
  const auto found = explored(text);
  CHECK(violates(found, "expression", true));
  CHECK_FALSE(violates(found, "expression", false));
}

TEST_CASE("a failure that hides behind any condition is found") {
  const char* const numbers[] = {"input.a",
                                 "input.b",
                                 "input.a + input.b",
                                 "len(input.list)",
                                 "input.a * input.b",
                                 "7",
                                 "100",
                                 "input.list.sum(x, x)",
                                 "-3",
                                 "input.a % 5",
                                 "max(input.a, input.b)",
                                 "int(steps.t.output)"};
  const char* const comparisons[] = {">", "<", ">=", "<=", "==", "!="};
  const char* const connectives[] = {" && ", " || "};
  int explored_ones = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    test::Dice dice(seed);
    const auto comparison = [&] {
      return std::string(dice.below(4) == 0 ? "!(" : "(") + numbers[dice.below(12)] + " " +
             comparisons[dice.below(6)] + " " + numbers[dice.below(12)] + ")";
    };
    std::string condition = comparison();
    for (std::uint64_t more = dice.below(3); more > 0; --more)
      condition += connectives[dice.below(2)] + comparison();
    CAPTURE(seed);
    CAPTURE(condition);
    auto parsed = dsl::parse_and_check(definition(R"({"name":"t","value":"${string(input.a)}"},)" +
                                                  when("far", condition, reads_too_far)));
    if (!parsed.definition || dsl::has_errors(parsed.findings)) continue;  // always the same
    ++explored_ones;
    const auto found =
        explore::explore({parsed.definition, std::make_shared<ServiceMap>(), nullptr});
    CHECK((!found.violations.empty() || !found.complete));
  }
  CHECK(explored_ones > 100);
}

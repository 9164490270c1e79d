// The reference player judges all mutants, so these hold that it judges rightly.
#include "../support/reference_player.hpp"

#include <set>
#include <string>

#include <doctest/doctest.h>

#include "../support/usual_steps.hpp"
#include "fault_kind.hpp"

namespace backstitch::test {
namespace {

/// A saga of these steps, short ones written out: see usual_steps.hpp.
Json saga(const std::string& steps, const std::string& more = "") {
  Json document = Json::parse("{" + more + (more.empty() ? "" : ",") + "\"steps\": " + steps + "}");
  document.update({{"dsl", 1}, {"name", "t.played"}, {"version", 1}});
  if (!document.contains("services")) document["services"]["s"]["baseUrl"] = "https://s.example";
  write_out_steps(document, "s");
  return document;
}

/// With what a saga ends in some hundred worlds, and what is wrong with it.
struct Ends {
  std::set<std::string> statuses;
  std::set<std::string> wrong;
};
Ends ends_of(const Json& definition) {
  Ends ends;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Play played = play(definition, {{"n", 1}}, seed, known_children());
    ends.statuses.insert(played.status);
    ends.wrong.insert(played.wrong.begin(), played.wrong.end());
  }
  return ends;
}

using Words = std::set<std::string>;

TEST_CASE("a saga whose steps can all be undone ends completed or failed, and never wrong") {
  const Ends ends = ends_of(saga(R"(["a", "b", "c"])"));
  CHECK(ends.statuses == Words{"COMPLETED", "FAILED"});
  CHECK(ends.wrong == Words{});
}

TEST_CASE("a step without a compensation is left over, and only that step") {
  Json definition = saga(R"(["a", "b", "c"])");
  definition["steps"][1].erase("compensation");
  CHECK(ends_of(definition).wrong == Words{"b is left over"});
}

TEST_CASE("a pivot before a step that can fail is left over when that step fails") {
  CHECK(ends_of(saga(R"(["a!", "b"])")).wrong.count("a is left over") == 1);
}

TEST_CASE("steps before and after a pivot end right, or suspended when the pivot stays unknown") {
  const Ends ends = ends_of(saga(R"(["a", "b!", "c+"])"));
  CHECK(ends.statuses.count("COMPLETED") == 1);
  CHECK(ends.statuses.count("FAILED") == 1);
  for (const auto& wrong : ends.wrong) CHECK(wrong.find("suspends the saga") != std::string::npos);
}

TEST_CASE("a failure in a try undoes its body before the catch, and the saga completes") {
  const Ends ends = ends_of(saga(R"(["a", {"name": "t", "try": {
    "steps": ["b", {"name": "no", "fail": {"code": "NO"}}], "catch": [{"steps": ["c"]}]}}])"));
  CHECK(ends.statuses == Words{"COMPLETED", "FAILED"});
  CHECK(ends.wrong == Words{});
}

TEST_CASE("branches that fail leave nothing over in the branches beside them") {
  const Ends ends = ends_of(saga(R"([{"name": "p", "parallel": {"branches": {
    "x": ["a", "b"], "y": ["c"], "z": ["d"]}}}])"));
  CHECK(ends.statuses == Words{"COMPLETED", "FAILED"});
  CHECK(ends.wrong == Words{});
}

TEST_CASE("iterations under one key have one effect between them") {
  const std::string loop = R"([{"name": "l", "forEach": {"in": "${[1, 2]}", "as": "i", "key": "KEY",
    "steps": ["a"]}}])";
  Json definition = saga(loop);
  definition["steps"][0]["forEach"]["key"] = "${saga.id}";
  CHECK(ends_of(definition).wrong.count("a has no effect of its own") == 1);
  definition["steps"][0]["forEach"]["key"] = "${i}";
  CHECK(ends_of(definition).wrong == Words{});
}

TEST_CASE("a sealed probe that believes a router leaves an effect over") {
  Json definition = saga(R"(["a", "b"])");
  Json& probe = definition["steps"][0]["probe"];
  probe = Json::parse(R"({"http": "GET /a", "sealed": true,
    "outcomes": [{"status": 404, "is": "failure", "code": "NOT_DONE"},
                 {"status": "2xx", "when": "${response.body.id == null}", "is": "unknown"}]})");
  CHECK(ends_of(definition).wrong == Words{"a is left over"});
  probe["outcomes"][0]["when"] = "${response.body.error == 'NOT_SEEN'}";
  CHECK(ends_of(definition).wrong == Words{});
}

TEST_CASE(
    "a call is repeated at a service that recognises no repetition only if nothing was done") {
  Json definition = saga(R"(["a"])");
  definition["services"]["s"]["idempotency"] = "none";
  CHECK(ends_of(definition).wrong == Words{});
  // A 5xx may come after the effect; a rule that says otherwise has it made again.
  definition["steps"][0]["outcomes"] = Json::array({{{"status", "5xx"}, {"is", "transient"}}});
  CHECK(ends_of(definition).wrong.count("a took effect twice") == 1);
}

TEST_CASE("a child that completed is undone with its parent, and one that is waived is left over") {
  Json definition =
      saga(R"([{"name": "k", "saga": {"name": "child.undoable", "input": {"n": 1}}}, "a"])");
  CHECK(ends_of(definition).wrong == Words{});
  definition["steps"][0]["compensation"] = "none";
  CHECK(ends_of(definition).wrong == Words{"childHold is left over"});
}

TEST_CASE("an expression that fails after the pivot suspends the saga") {
  const Ends ends = ends_of(saga(R"(["a!", {"name": "v", "value": "${steps.a.output.none}"}])"));
  CHECK(ends.wrong.count("v suspends the saga: EXPRESSION_FAILED") == 1);
}

TEST_CASE("equal seeds give equal plays") {
  const Json definition = saga(R"(["a", "b", "c!", "d+"])");
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Play one = play(definition, {}, seed);
    const Play other = play(definition, {}, seed);
    CHECK(one.status == other.status);
    CHECK(one.code == other.code);
    CHECK(one.wrong == other.wrong);
  }
}

}  // namespace
}  // namespace backstitch::test

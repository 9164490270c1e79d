// The checker: test/definitions/rules.json has, for each code, a change to one definition that
// fires it and a near miss that does not.
//
// A step that is only a text is short for a usual one: "a" can be undone, "a!" is a pivot, "a+" is
// retryable.
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/check.hpp>

#include "rules.hpp"

namespace backstitch::test {
namespace {

const std::string definitions = BACKSTITCH_DEFINITIONS;

Json with(const Json& change) {
  Json document = Json::parse(R"({"dsl": 1, "name": "t.rule", "version": 1,
    "input": {"type": "object", "additionalProperties": false, "required": ["id", "lines"], "properties": {
      "id": {"type": "string"}, "note": {"type": "string"}, "card": {"type": "string", "x-sensitive": true},
      "lines": {"type": "array", "items": {"type": "object"}}}},
    "services": {"s": {"baseUrl": "https://s.example"}},
    "steps": ["a"]})");
  document.update(change);
  write_out_steps(document, "s");
  return document;
}

Json rules() {
  return Json::parse(read_file(definitions + "/rules.json"));
}

/// The findings of a code; each finding has to be one that helps.
std::vector<dsl::Finding> findings_of(const Json& document, const std::string& code,
                                      const dsl::CheckContext& context) {
  std::vector<dsl::Finding> found;
  for (const auto& finding : dsl::parse_and_check(document.dump(2), context).findings) {
    CAPTURE(finding.code);
    CAPTURE(finding.pointer);
    CHECK(finding.line > 0);
    CHECK(finding.column > 0);
    CHECK_FALSE(finding.message.empty());
    CHECK_FALSE(finding.hint.empty());
    CHECK(leads_somewhere(document, finding.pointer));
    CHECK((finding.code.front() == 'E') == (finding.severity == dsl::Severity::error));
    if (finding.code == code) found.push_back(finding);
  }
  return found;
}

TEST_CASE("each rule is fired by what breaks it, and not by its near miss") {
  const auto context = environment();
  std::set<std::string> covered;
  for (const Json& rule : rules()) {
    const std::string code = rule[0];
    const Json bad = with(rule[1]);
    const Json good = with(rule[2]);
    CAPTURE(rule[1].dump());
    CAPTURE(rule[2].dump());
    const auto found = findings_of(bad, code, context);
    CHECK_MESSAGE(!found.empty(), code);
    if (rule.size() > 3 && !found.empty()) CHECK(found.front().pointer == rule[3]);
    CHECK_MESSAGE(findings_of(good, code, context).empty(), code);
    covered.insert(code);
  }
  CHECK(covered.size() == 75);
}

TEST_CASE("a near miss of an error is a definition without errors") {
  const auto context = environment();
  for (const Json& rule : rules()) {
    CAPTURE(rule[2].dump());
    for (const auto& finding : dsl::parse_and_check(with(rule[2]).dump(), context).findings) {
      CAPTURE(finding.message);
      CHECK_MESSAGE(finding.severity == dsl::Severity::warning,
                    finding.code << " at " << finding.pointer);
    }
  }
}

TEST_CASE("the examples of the language have no errors") {
  for (const char* name :
       {"orders.place", "travel.book", "transfers.cross-border", "accounts.debit"}) {
    const auto parsed = dsl::parse_and_check(read_file(definitions + "/good/" + name + ".json"));
    CAPTURE(name);
    for (const auto& finding : parsed.findings)
      CHECK_MESSAGE(finding.severity == dsl::Severity::warning,
                    finding.code << " at " << finding.pointer);
    CHECK(parsed.definition);
  }
}

TEST_CASE("a definition with ten mistakes gets ten findings, each with its place") {
  const auto parsed = dsl::parse_and_check(R"({
  "dsl": 1,
  "name": "Ten.Mistakes",
  "version": 0,
  "timeout": "soon",
  "recovry": "forward",
  "services": { "s": { "baseUrl": "https://s.example", "idempotency": "maybe" } },
  "steps": [
    { "name": "a", "action": { "service": "s", "http": "FETCH /a" }, "compensation": "none" },
    { "name": "b", "action": { "service": "s", "http": "PUT /b", "boddy": {} }, "compensation": "none" },
    { "name": "c", "value": "${1 +}" },
    { "name": "a", "value": 1 },
    { "name": "d", "kind": "final", "action": { "service": "s", "http": "PUT /d" } }
  ]
})");
  std::string listed;
  for (const auto& finding : parsed.findings) {
    listed += std::to_string(finding.line) + " " + finding.code + " " + finding.pointer + "\n";
    CHECK(finding.line > 0);
  }
  CHECK(listed ==
        "3 E002 /name\n"
        "4 E002 /version\n"
        "5 E002 /timeout\n"
        "6 E002 /recovry\n"
        "7 E002 /services/s/idempotency\n"
        "9 E002 /steps/0/action/http\n"
        "10 E002 /steps/1/action/boddy\n"
        "11 E401 /steps/2/value\n"
        "12 E102 /steps/3/name\n"
        "13 E002 /steps/4/kind\n");
  CHECK_FALSE(parsed.definition);
}

TEST_CASE("an unknown key is answered with the nearest known one") {
  const auto parsed = dsl::parse_and_check(with({{"timeuot", "1h"}}).dump());
  REQUIRE(parsed.findings.size() == 1);
  CHECK(parsed.findings[0].hint.find("timeout") != std::string::npos);
}

}  // namespace
}  // namespace backstitch::test

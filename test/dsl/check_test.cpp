// The checker: test/definitions/rules.json has, for each code, a change to one definition that
// fires it and a near miss that does not.
// A step that is only a text is short for a usual one, see usual_steps.hpp.
#include <fstream>
#include <map>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/check.hpp>

#include "../support/usual_steps.hpp"

namespace backstitch::test {
namespace {

const std::string definitions = BACKSTITCH_DEFINITIONS;

std::string read(const std::string& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string with(const Json& change) {
  Json document = Json::parse(R"({"dsl": 1, "name": "t.rule", "version": 1,
    "input": {"type": "object", "additionalProperties": false, "required": ["id", "lines"], "properties": {
      "id": {"type": "string"}, "note": {"type": "string"}, "card": {"type": "string", "x-sensitive": true},
      "lines": {"type": "array", "items": {"type": "object"}}}},
    "services": {"s": {"baseUrl": "https://s.example"}},
    "steps": ["a"]})");
  document.update(change);
  write_out(document);
  return document.dump();
}

std::shared_ptr<const dsl::Definition> registered(const std::string& text) {
  const auto parsed = dsl::parse_definition(text);
  REQUIRE(parsed.definition);
  return parsed.definition;
}

/// Calls the next level from many steps: walked once for each way, nine of them would take years.
std::shared_ptr<const dsl::Definition> calling(int level) {
  Json steps = Json::array({{{"name", "v"}, {"value", 1}}});
  for (int i = 0; i < 20 && level < 9; ++i) {
    const Json saga{{"name", "t.level" + std::to_string(level + 1)}, {"input", Json::object()}};
    steps.push_back({{"name", "c" + std::to_string(i)}, {"saga", saga}});
  }
  const Json document{
      {"dsl", 1}, {"name", "t.level" + std::to_string(level)}, {"version", 1}, {"steps", steps}};
  return registered(document.dump());
}

/// Where the definitions are registered: what is called known is known.
dsl::CheckContext environment() {
  const std::string services = R"("services":{"s":{"baseUrl":"https://s.example"}})";
  const auto plain = registered(
      R"({"dsl":1,"name":"t.plain","version":1,)" + services +
      R"(,"input":{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}},"steps":[
      {"name":"x","action":{"service":"s","http":"PUT /x"},"compensation":{"http":"DELETE /x"}}]})");
  const auto pivoted = registered(
      R"({"dsl":1,"name":"t.pivoted","version":1,)" + services +
      R"(,"steps":[{"name":"x","kind":"pivot","action":{"service":"s","http":"PUT /x"}}]})");
  const auto loop = registered(
      R"({"dsl":1,"name":"t.loop","version":1,"steps":[{"name":"x","saga":{"name":"t.rule","input":{}}}]})");
  // t.level1 calls t.level2 and so on, each child from many steps.
  std::map<std::string, std::shared_ptr<const dsl::Definition>> levels;
  for (int level = 1; level <= 9; ++level)
    levels["t.level" + std::to_string(level)] = calling(level);
  dsl::CheckContext context;
  context.service = [service = std::make_shared<dsl::Service>()](const std::string& name) {
    return name == "known" ? service : nullptr;
  };
  context.definition = [=](const std::string& name,
                           std::int64_t) -> std::shared_ptr<const dsl::Definition> {
    if (const auto found = levels.find(name); found != levels.end()) return found->second;
    return name == "t.plain"     ? plain
           : name == "t.pivoted" ? pivoted
           : name == "t.loop"    ? loop
                                 : nullptr;
  };
  context.refuse_url = [](const std::string& url) {
    return url.rfind("https://", 0) == 0 ? "" : "plain http is not allowed here";
  };
  context.has_secret = [](const std::string& name) { return name == "known"; };
  context.has_operation = [](const std::string&, const std::string& name) {
    return name == "known";
  };
  return context;
}

std::set<std::string> codes(const std::string& text, const dsl::CheckContext& context) {
  std::set<std::string> found;
  for (const auto& finding : dsl::parse_and_check(text, context).findings) {
    CHECK_FALSE(finding.message.empty());
    CHECK((finding.code.front() == 'E') == (finding.severity == dsl::Severity::error));
    found.insert(finding.code);
  }
  return found;
}

TEST_CASE("each rule is fired by what breaks it, and not by its near miss") {
  const auto context = environment();
  std::set<std::string> covered;
  for (const Json& rule : Json::parse(read(definitions + "/rules.json"))) {
    const std::string code = rule[0];
    const std::string bad = with(rule[1]);
    const std::string good = with(rule[2]);
    CAPTURE(code);
    CAPTURE(bad);
    CAPTURE(good);
    CHECK(codes(bad, context).count(code) == 1);
    const auto left = codes(good, context);
    CHECK(left.count(code) == 0);
    covered.insert(code);
  }
  CHECK(covered.size() >= 60);
}

TEST_CASE("a near miss of an error is a definition without errors") {
  const auto context = environment();
  for (const Json& rule : Json::parse(read(definitions + "/rules.json"))) {
    const std::string good = with(rule[2]);
    CAPTURE(good);
    for (const auto& finding : dsl::parse_and_check(good, context).findings) {
      CAPTURE(finding.message);
      CHECK_MESSAGE(finding.severity == dsl::Severity::warning,
                    finding.code << " at " << finding.pointer);
    }
  }
}

TEST_CASE("the examples of the language have no errors") {
  for (const char* name :
       {"orders.place", "travel.book", "transfers.cross-border", "accounts.debit"}) {
    const auto parsed = dsl::parse_and_check(read(definitions + "/good/" + name + ".json"));
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
  const auto parsed = dsl::parse_and_check(with({{"timeuot", "1h"}}));
  REQUIRE(parsed.findings.size() == 1);
  CHECK(parsed.findings[0].hint.find("timeout") != std::string::npos);
}

}  // namespace
}  // namespace backstitch::test

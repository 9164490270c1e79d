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
  CHECK(covered.size() == 85);
}

/// `code pointer message` of the findings about one service, wherever it is written.
std::set<std::string> about_service(const std::vector<dsl::Finding>& findings,
                                    const std::string& pointer) {
  std::set<std::string> found;
  for (const auto& finding : findings) {
    // Whether a service is used, and may say `pending`, depends on the steps; and only a registered
    // one has secrets and a proxy.
    const bool is_of_place = finding.code == "W301" || finding.code == "E221" ||
                             finding.pointer.ends_with("/proxy") ||
                             finding.message.find("secret") != std::string::npos;
    if (is_of_place || !finding.pointer.starts_with(pointer)) continue;
    found.insert(finding.code + " " + finding.pointer.substr(pointer.size()) + " " +
                 finding.message);
  }
  return found;
}

TEST_CASE("a registered service is judged by every rule for one within a definition") {
  const auto context = environment();
  std::size_t refused = 0;
  for (const Json& rule : rules()) {
    for (const Json& change : {rule[1], rule[2]}) {
      const Json document = with(change);
      if (!document["services"].is_object() || !document["services"].contains("s")) continue;
      const Json service = document["services"]["s"];
      const auto parsed = dsl::parse_service(service.dump());
      if (!parsed.service) continue;
      CAPTURE(service.dump());
      const auto own = dsl::check_service(parsed, "s", context);
      Json alone = with({{"services", {{"s", service}}}});
      alone.erase("input");  // its types say more about the service's expressions
      const auto within = dsl::parse_and_check(alone.dump(), context).findings;
      CHECK(about_service(own, "") == about_service(within, "/services/s"));
      for (const auto& finding : own) CHECK(finding.line > 0);
      refused += has_errors(own) ? 1U : 0U;
    }
  }
  CHECK(refused >= 25);
}

TEST_CASE("the credentials of a registered service have a header and a secret of their own") {
  struct Row {
    const char* members;
    const char* pointer;  ///< of the error; empty: there is none
  };
  for (
      const Row& row : std::initializer_list<Row>{
          {R"("auth": {"type": "bearer", "secret": "known"})", ""},
          {R"("auth": {"type": "bearer", "secret": "unknown"})", "/auth/secret"},
          {R"("tls": {"ca": "unknown"})", "/tls/ca"},
          {R"("tls": {"clientCert": "unknown"})", "/tls/clientCert"},
          {R"("proxy": "http://known")", ""},
          {R"("proxy": "http://other.example:3128")", "/proxy"},
          {R"("proxy": "http://known", "proxyAuth": {"type": "basic", "secret": "known"})", ""},
          {R"("proxy": "http://known", "proxyAuth": {"type": "basic", "secret": "unknown"})",
           "/proxyAuth/secret"},
          {R"("auth": {"type": "oauth2", "secret": "known", "tokenUrl": "http://s.example"})",
           "/auth/tokenUrl"},
          {R"("auth": {"type": "apiKey", "secret": "known"}, "headers": {"X-Api-Key": "1"})",
           "/headers/X-Api-Key"},
          {R"("auth": {"type": "bearer", "secret": "known"}, "headers": {"X-Api-Key": "1"})", ""},
          {R"("auth": {"type": "apiKey", "secret": "known", "header": "X-A\r\nHost"})",
           "/auth/header"},
          {R"("auth": {"type": "apiKey", "secret": "known", "header": "Saga-Id"})", "/auth/header"},
          {R"("auth": {"type": "apiKey", "secret": "known", "header": "Authorization"})", ""},
          {R"("auth": {"type": "apiKey", "secret": "known", "header": "x_key"}, "idempotencyHeader": "X-Key")",
           "/idempotencyHeader"}}) {
    CAPTURE(row.members);
    const auto parsed =
        dsl::parse_service(R"({"baseUrl": "https://s.example", )" + std::string(row.members) + "}");
    REQUIRE(parsed.service);
    const auto found = dsl::check_service(parsed, "s", environment());
    CHECK(found.size() == (std::string(row.pointer).empty() ? 0U : 1U));
    for (const auto& finding : found) CHECK(finding.pointer == row.pointer);
  }
}

TEST_CASE("a near miss of an error is a definition without errors") {
  const auto context = environment();
  for (const Json& rule : rules()) {
    CAPTURE(rule[2].dump());
    for (const auto& finding : dsl::parse_and_check(with(rule[2]).dump(), context).findings) {
      CAPTURE(finding.message);
      CHECK_MESSAGE(finding.severity != dsl::Severity::error,
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
      CHECK_MESSAGE(finding.severity != dsl::Severity::error,
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

TEST_CASE("a short key is answered only with a key that differs in one place") {
  const auto hint_of = [](const char* key) {
    const auto parsed =
        dsl::parse_and_check(with({{"steps", {{{"name", "v"}, {"value", 1}, {key, 1}}}}}).dump());
    REQUIRE(!parsed.findings.empty());
    return parsed.findings[0].hint;
  };
  CHECK(hint_of("race").starts_with("the keys are "));
  CHECK(hint_of("wehn") == "did you mean `when`?");
  CHECK(hint_of("descripton") == "did you mean `description`?");
}

TEST_CASE("a misplaced sub-saga is reported with the pivot of its child") {
  const Json capture = Json::parse(R"({"dsl": 1, "name": "t.capture", "version": 1,
    "services": {"s": {"baseUrl": "https://s.example"}},
    "steps": [{"name": "take", "kind": "pivot", "action": {"service": "s", "http": "PUT /p"}}]})");
  const Json child{{"name", "c"}, {"saga", {{"name", "t.capture"}, {"input", Json::object()}}}};
  const Json loop{{"in", "${input.lines}"}, {"as", "l"}, {"steps", {child}}};
  const Json bad = with({{"steps", {{{"name", "all"}, {"forEach", loop}}}}});
  const auto found = findings_of(bad, "E204", environment(Json::array({capture})));
  REQUIRE(found.size() == 1);
  CHECK(found[0].message ==
        "`c`, whose child `t.capture` has the pivot `take`, is inside `all`, where the rest could "
        "still fail");
}

TEST_CASE("an unknown key is answered with the nearest known one") {
  const auto parsed = dsl::parse_and_check(with({{"timeuot", "1h"}}).dump());
  REQUIRE(parsed.findings.size() == 1);
  CHECK(parsed.findings[0].hint.find("timeout") != std::string::npos);
}

}  // namespace
}  // namespace backstitch::test

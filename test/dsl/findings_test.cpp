// All findings come at once, of parser and checker; but who is told of a slip is not told as well
// of what merely follows from it.
#include <algorithm>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/check.hpp>

namespace backstitch::test {
namespace {

std::string listed(const std::vector<dsl::Finding>& findings) {
  std::string out;
  for (const auto& finding : findings)
    out += std::to_string(finding.line) + " " + finding.code + " " + finding.pointer + "\n";
  return out;
}

/// A saga of these steps; `s` is a service, `input` has an id and perhaps a note.
std::string saga(const std::string& steps, const std::string& more = "") {
  return R"({"dsl": 1, "name": "t.findings", "version": 1,
    "input": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "note": {"type": "string"}}},
    "services": {"s": {"baseUrl": "https://s.example"}})" +
         more + R"(, "steps": [)" + steps + "]}";
}

std::string found(const std::string& steps, const std::string& more = "") {
  std::string out;
  for (const auto& finding : dsl::parse_and_check(saga(steps, more)).findings)
    out += (out.empty() ? "" : "; ") + finding.code + " " + finding.pointer;
  return out;
}

TEST_CASE("mistakes that the parser finds do not hide those that only the checker can find") {
  const auto parsed = dsl::parse_and_check(R"({
  "dsl": 1,
  "name": "ten.mistakes",
  "version": 1,
  "timeuot": "1h",
  "input": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "note": {"type": "string"}}},
  "services": {"s": {"baseUrl": "https://s.example", "limits": {"burst": 2}}},
  "steps": [
    {"name": "a", "action": {"service": "t", "http": "PUT /a"}, "compensation": {"http": "DELETE /a"}},
    {"name": "b", "action": {"service": "s", "http": "PUT /b"}},
    {"name": "c", "value": "${1 +}"},
    {"name": "d", "when": "${input.id}", "value": "${input.note}"},
    {"name": "e", "value": "${[steps.c.output, steps.z.output]}"},
    {"name": "f", "action": {"service": "s", "http": "GET /f"}, "retry": {"maxAttempts": 0}},
    {"name": "p", "kind": "pivot", "action": {"service": "s", "http": "PUT /p"}},
    {"name": "q", "kind": "pivot", "action": {"service": "s", "http": "PUT /q/../r"}},
    {"name": "g", "fail": {"code": "NO"}},
    {"name": "h", "value": 1}
  ],
  "output": "${self.key}"
})");
  CHECK_FALSE(parsed.definition);
  CHECK(listed(parsed.findings) ==
        "5 E002 /timeuot\n"
        "7 E305 /services/s/limits/burst\n"
        "9 E302 /steps/0/action/service\n"
        "10 E201 /steps/1\n"
        "11 E401 /steps/2/value\n"
        "12 E412 /steps/3/when\n"
        "12 E409 /steps/3/value\n"
        "13 E404 /steps/4/value\n"
        "14 E002 /steps/5/retry/maxAttempts\n"
        "15 I301 /steps/6\n"
        "15 W305 /steps/6\n"
        "16 E205 /steps/7\n"
        "16 I301 /steps/7\n"
        "16 W305 /steps/7\n"
        "16 E304 /steps/7/action/http\n"
        "17 E214 /steps/8\n"
        "18 E103 /steps/9\n"
        "20 E410 /output\n");
}

TEST_CASE("a slip is told once, and not what follows from it") {
  struct Row {
    const char* steps;
    std::string findings;
  };
  for (
      const Row& row : std::initializer_list<Row>{
          // The undo is there, only misspelt.
          {R"({"name": "a", "action": {"service": "s", "http": "PUT /a"}, "compensaton": {"http": "DELETE /a"}})",
           "E002 /steps/0/compensaton"},
          // Where the pivot is cannot be said.
          {R"({"name": "p", "knid": "pivot", "action": {"service": "s", "http": "PUT /p"}},
              {"name": "r", "kind": "retryable", "action": {"service": "s", "http": "PUT /r"}})",
           "E002 /steps/0/knid"},
          {R"({"name": "p", "kind": "pivott", "action": {"service": "s", "http": "PUT /p"}},
              {"name": "r", "kind": "retryable", "action": {"service": "s", "http": "PUT /r"}})",
           "E002 /steps/0/kind"},
          // The step is there, and what it gives is not known.
          {R"({"name": "a", "acton": {"service": "s", "http": "GET /a"}}, {"name": "v", "value": "${steps.a.output.x + 1}"})",
           "E101 /steps/0; E002 /steps/0/acton"},
          {R"({"name": "v", "value": {"x": "${1 +}"}}, {"name": "w", "value": "${steps.v.output.y}"})",
           "E401 /steps/0/value/x"},
          // The use of a value may stand in what cannot be read.
          {R"({"name": "v", "value": 1}, {"name": "w", "value": "${steps.v.output + }"})",
           "E401 /steps/1/value"},
          // What the variable is called is not known.
          {R"({"name": "l", "forEach": {"in": "${input.id}", "sa": "x", "steps": [{"name": "v", "value": "${x.y}"}]}})",
           "E002 /steps/0/forEach; E002 /steps/0/forEach/sa"},
          // Which answers the first rule takes is not known.
          {R"({"name": "a", "action": {"service": "s", "http": "GET /a"},
              "outcomes": [{"status": "4x", "is": "success"}, {"status": 404, "is": "transient"}]})",
           "E002 /steps/0/outcomes/0/status"},
          // The completion and the seal are there, only misspelt.
          {R"({"name": "a", "action": {"service": "s", "http": "GET /a", "query": {"to": "${self.callbackUrl}"}},
              "completoin": {"callback": true, "timeout": "1m"}})",
           "E002 /steps/0/completoin"},
          {R"({"name": "a", "action": {"service": "s", "http": "PUT /a"}, "probe": {"http": "GET /a", "seald": true},
              "compensation": {"http": "DELETE /a", "body": "${self.output.id}"}})",
           "E002 /steps/0/probe/seald"},
          {R"({"name": "t", "try": {"steps": [{"name": "f", "fail": {"code": "Gone"}}], "catch": [{"codes": ["GONE"], "steps": []}]}})",
           "E002 /steps/0/try/steps/0/fail/code"}}) {
    CAPTURE(row.steps);
    CHECK(found(row.steps) == row.findings);
  }
}

TEST_CASE("a slip inside a block does not hide the mistakes around it") {
  CHECK(found(R"({"name": "l", "forEach": {"in": "${input.id}", "as": "x", "key": "${'k'}",
          "steps": [{"name": "v", "value": 1, "descripton": "x"}]}})") ==
        "E412 /steps/0/forEach/in; E222 /steps/0/forEach/key; "
        "E002 /steps/0/forEach/steps/0/descripton");
}

TEST_CASE("a document that is wrong all over is told so many errors, and that there are more") {
  std::string keys;
  for (int i = 0; i < 2'000; ++i) keys += ", \"k" + std::to_string(i) + "\": 0";
  const auto parsed = dsl::parse_and_check(saga(R"({"name": "v", "value": 1})", keys));
  REQUIRE(parsed.findings.size() == dsl::findings_max);
  CHECK(parsed.findings.back().code == "E001");
  CHECK(parsed.findings.back().message.find("more than 500") != std::string::npos);
  CHECK(dsl::summary(parsed.findings, "x.json") == "more than 500 errors in x.json");
  std::string references;
  for (int i = 0; i < 2'000; ++i)
    references += std::string(i == 0 ? "" : ", ") + "\"${steps.x" + std::to_string(i) + "}\"";
  const auto checked =
      dsl::parse_and_check(saga(R"({"name": "v", "value": [)" + references + "]}"));
  CHECK(checked.findings.size() >= dsl::findings_max);
  CHECK(checked.findings.size() < dsl::findings_max + 10);
}

/// Of all that the findings say, in bytes.
std::size_t size_of(const std::vector<dsl::Finding>& findings) {
  std::size_t size = 0;
  for (const auto& finding : findings) size += dsl::to_json(finding).dump().size();
  return size;
}

TEST_CASE("a finding is bounded, however long the names around it are") {
  // As long as a document may be, and as many findings as are listed.
  const std::string word(100'000, 'x');
  Json many = Json::object();
  Json reads = Json::array();
  for (int i = 0; i < 3'700; ++i) many["p" + std::to_string(i) + std::string(50, 'x')] = true;
  for (int i = 0; i < 600; ++i) reads.push_back("${input.q}");
  Json document{{"dsl", 1},
                {"name", "t.t"},
                {"version", 1},
                {"input", {{"type", "object"}, {"properties", many}}},
                {"steps", {{{"name", "v"}, {"value", reads}}}}};
  const dsl::DefinitionLimits large{.bytes_max = 10'000'000};
  const auto hinted = dsl::parse_and_check(document.dump(), {}, large);
  REQUIRE(hinted.findings.size() >= dsl::findings_max);
  const auto listing = std::find_if(hinted.findings.begin(), hinted.findings.end(),
                                    [](const auto& finding) { return finding.code == "E408"; });
  REQUIRE(listing != hinted.findings.end());
  CHECK(listing->hint.ends_with(" and 3692 more"));
  CHECK(size_of(hinted.findings) < std::size_t{1024} * 1024);

  document["input"] = {{"type", "object"}};
  for (const Json& wrong :
       {Json{{word, 1}}, Json{{"name", word}}, Json{{"name", "v"}, {word, word}},
        Json{{"name", "v"}, {"value", "${" + word + "}"}},
        Json{{"name", "v"}, {"value", {{word, {{word, reads}}}}}},
        Json{{"name", "a"}, {"action", {{"service", word}, {"http", "GET /" + word + " "}}}},
        Json{{"name", "w"}, {"wait", {{"signal", word}, {"timeout", word}}}},
        Json{{"name", "f"}, {"fail", {{"code", word}}}}}) {
    document["steps"] = Json::array({wrong});
    document["services"] = {{"s", {{"baseUrl", "https://s.example"}, {"headers", {{word, word}}}}}};
    const auto found = dsl::parse_and_check(document.dump(), {}, large).findings;
    CHECK_FALSE(found.empty());
    for (const auto& finding : found) {
      CAPTURE(finding.code);
      CHECK(finding.message.size() <= dsl::finding_text_bytes_max + 10);
      CHECK(finding.hint.size() <= dsl::finding_text_bytes_max + 10);
      CHECK(finding.pointer.size() <= dsl::finding_pointer_bytes_max);
      CHECK_NOTHROW(static_cast<void>(dsl::to_json(finding).dump()));
      CHECK(document.contains(
          Json::json_pointer(finding.pointer.substr(0, finding.pointer.rfind('/')))));
    }
  }
}

TEST_CASE("an answer has so many findings and so much text, errors first, and counts the others") {
  const auto finding = [](dsl::Severity severity, std::size_t bytes) {
    return dsl::Finding{"E002", severity, "/steps", 1, 1, std::string(bytes, 'x'), ""};
  };
  std::vector<dsl::Finding> findings(400, finding(dsl::Severity::warning, 10));
  findings.insert(findings.end(), 300, finding(dsl::Severity::error, 10));
  const auto many = dsl::shown(findings);
  CHECK(many.list.size() == dsl::findings_max);
  CHECK(many.missing == 200);
  CHECK(many.list[199].severity == dsl::Severity::warning);
  CHECK(many.list[200].severity == dsl::Severity::error);

  const auto large = dsl::shown(std::vector(300, finding(dsl::Severity::error, 2'000)));
  CHECK(large.list.size() + large.missing == 300);
  CHECK(json_list(large.list).dump().size() <= dsl::findings_bytes_max);
  CHECK(json_list(large.list).dump().size() > dsl::findings_bytes_max - 3'000);

  const auto few = dsl::shown({finding(dsl::Severity::error, 10)});
  CHECK(few.list.size() == 1);
  CHECK(few.missing == 0);
}

TEST_CASE("warnings alone never refuse a definition, however many there are") {
  std::string steps;
  for (int i = 0; i < 500; ++i) {
    const std::string name = "a" + std::to_string(i);
    steps +=
        std::string(i == 0 ? "" : ", ") + R"({"name": ")" + name +
        R"(", "action": {"service": "s", "http": "PUT /a", "body": {"x": "${input}"}}, "compensation": "none"})";
  }
  const auto parsed = dsl::parse_and_check(saga(steps));
  CHECK(parsed.definition);
  CHECK(parsed.findings.size() > dsl::findings_max);
}

TEST_CASE("values that share parts are not walked once for each way to a part") {
  std::string steps = R"({"name": "v0", "value": {"a": 1}})";
  for (int i = 1; i < 400; ++i) {
    const std::string before = "${steps.v" + std::to_string(i - 1) + ".output}";
    steps += R"(, {"name": "v)" + std::to_string(i) + R"(", "value": {"a": ")" + before +
             R"(", "b": ")" + before + "\"}}";
  }
  steps +=
      R"(, {"name": "z", "value": "${input.id == 'x' ? steps.v399.output : steps.v398.output}"})";
  CHECK(found(steps) == "W301 /services/s; W423 /steps/400");
}

TEST_CASE("patterns that would take long to compile are refused after the first few") {
  Json properties = Json::object();
  for (int i = 0; i < 200; ++i)
    properties["p" + std::to_string(i)] = {{"pattern", "[\\p{L}\\p{N}]{99}"}};
  const Json document{{"dsl", 1},
                      {"name", "t.patterns"},
                      {"version", 1},
                      {"input", {{"properties", properties}}},
                      {"steps", {{{"name", "v"}, {"value", 1}}}}};
  const auto parsed = dsl::parse_and_check(document.dump());
  std::size_t together = 0;
  for (const auto& finding : parsed.findings)
    together += finding.message.find("together") != std::string::npos ? 1 : 0;
  CHECK(together > 190);
}

TEST_CASE("an enum of many values, none of which is of its type, is refused at once") {
  Json values = Json::array();
  for (int i = 0; i < 20'000; ++i) values.push_back("a" + std::to_string(i));
  const Json document{{"dsl", 1},
                      {"name", "t.enum"},
                      {"version", 1},
                      {"input", {{"type", "string"}, {"pattern", "^z"}, {"enum", values}}},
                      {"steps", {{{"name", "v"}, {"value", 1}}}}};
  CHECK(listed(dsl::parse_and_check(document.dump()).findings) == "1 E501 /input/enum\n");
}

}  // namespace
}  // namespace backstitch::test

// The parser: test/definitions/bad has a document of mistakes beside each list of what is said
// about them, one `severity code pointer` a line; what is in good/ has no error.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/check.hpp>
#include <backstitch/dsl/parse.hpp>

namespace backstitch::test {
namespace {

const std::filesystem::path definitions = BACKSTITCH_DEFINITIONS;

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::filesystem::path> documents_in(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(definitions / folder)) {
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string listed(const std::vector<dsl::Finding>& findings) {
  std::string text;
  for (const auto& finding : findings) {
    text += std::string(dsl::to_text(finding.severity)) + " ";
    text += finding.code + " " + (finding.pointer.empty() ? "(root)" : finding.pointer) + "\n";
  }
  return text;
}

/// A definition with one step, and `change` over it.
Json with(const Json& change) {
  Json document = Json::parse(R"({"dsl": 1, "name": "t.parse", "version": 1,
    "services": {"s": {"baseUrl": "https://s.example"}}, "steps": [{"name": "a", "value": 1}]})");
  document.update(change);
  return document;
}

std::string findings_of(const Json& document, const dsl::DefinitionLimits& limits = {}) {
  const auto parsed = dsl::parse_definition(document.dump(), limits);
  const bool has_definition = parsed.definition != nullptr;
  CHECK(has_definition == !dsl::has_errors(parsed.findings));
  return listed(parsed.findings);
}

TEST_CASE("every mistake of a document is found, at its place, and nothing else") {
  const auto paths = documents_in("bad");
  CHECK(paths.size() >= 10);
  for (auto path : paths) {
    CAPTURE(path.filename().string());
    const auto parsed = dsl::parse_and_check(read(path));
    const std::string wanted = read(path.replace_extension(".findings"));
    CHECK(listed(parsed.findings) == wanted);
    CHECK_FALSE(parsed.definition);
    for (const auto& finding : parsed.findings) {
      CAPTURE(finding.pointer);
      CHECK(finding.line > 0);
      CHECK(finding.column > 0);
      CHECK_FALSE(finding.message.empty());
    }
  }
}

TEST_CASE("a misspelt key is answered with the right one wherever it stands") {
  const auto parsed = dsl::parse_definition(read(definitions / "bad/misspelt-keys.json"));
  CHECK(parsed.findings.size() >= 20);
  for (const auto& finding : parsed.findings) {
    CAPTURE(finding.pointer);
    CAPTURE(finding.hint);
    CHECK(finding.hint.find("did you mean `") == 0);
  }
}

TEST_CASE("every definition among the good ones parses and checks without an error") {
  const auto paths = documents_in("good");
  CHECK(paths.size() >= 4);
  for (const auto& path : paths) {
    CAPTURE(path.filename().string());
    const auto parsed = dsl::parse_and_check(read(path));
    CHECK(parsed.definition);
    for (const auto& finding : parsed.findings) {
      CAPTURE(finding.message);
      CHECK_MESSAGE(finding.severity != dsl::Severity::error, finding.pointer);
    }
    CHECK(parsed.definition->hash.size() == 64);
  }
}

TEST_CASE("a finding has the line and column of its key or item") {
  const auto parsed = dsl::parse_definition(R"({
  "dsl": 1, "name": "t.lines",
  "version": 1,
  "steps": [
    { "name": "a", "value": 1 },
    { "name": "b",
      "sleep": { "for": "soon" } },
    7
  ]
})");
  std::string places;
  for (const auto& finding : parsed.findings)
    places += std::to_string(finding.line) + ":" + std::to_string(finding.column) + " " +
              finding.pointer + "\n";
  CHECK(places == "7:18 /steps/1/sleep/for\n8:5 /steps/2\n");
}

TEST_CASE("keys that begin with x- are comments in every object of the language") {
  Json document = Json::parse(read(definitions / "good/orders.place.json"));
  const Json before = document;
  document["x-note"] = "top";
  for (Json& step : document["steps"]) {
    step["x-note"] = {{"any", "thing"}};
    if (step.contains("action")) step["action"]["x-note"] = 1;
    if (step.contains("compensation") && step["compensation"].is_object())
      step["compensation"]["x-note"] = nullptr;
  }
  REQUIRE(document != before);
  CHECK(findings_of(document) == findings_of(before));
}

Json steps_of(std::size_t count) {
  Json steps = Json::array();
  for (std::size_t i = 0; i < count; ++i)
    steps.push_back({{"name", "s" + std::to_string(i)}, {"value", 1}});
  return steps;
}

Json nested_blocks(std::size_t levels) {
  Json steps = Json::array({{{"name", "inner"}, {"value", 1}}});
  for (std::size_t i = 0; i < levels; ++i) {
    const Json loop{{"in", "${[1]}"}, {"as", "v" + std::to_string(i)}, {"steps", steps}};
    steps = Json::array({{{"name", "l" + std::to_string(i)}, {"forEach", loop}}});
  }
  return steps;
}

Json many(std::size_t count, const char* prefix, const Json& value) {
  Json object = Json::object();
  for (std::size_t i = 0; i < count; ++i) object[prefix + std::to_string(i)] = value;
  return object;
}

Json branches(std::size_t count) {
  Json lists = Json::object();
  for (std::size_t i = 0; i < count; ++i)
    lists["b" + std::to_string(i)] = {{{"name", "s" + std::to_string(i)}, {"value", 1}}};
  return {{{"name", "p"}, {"parallel", {{"branches", lists}}}}};
}

Json with_outcomes(std::size_t count) {
  const Json rule{{"status", 404}, {"is", "success"}};
  return {{{"name", "a"},
           {"action", {{"service", "s"}, {"http", "GET /a"}}},
           {"outcomes", std::vector<Json>(count, rule)}}};
}

TEST_CASE("each bound of a definition lets through what just fits and refuses one more") {
  const Json service{{"baseUrl", "https://s.example"}};
  struct Row {
    const char* what;
    Json fits;
    Json exceeds;
    std::string findings;
  };
  const std::vector<Row> rows{
      {"steps", {{"steps", steps_of(500)}}, {{"steps", steps_of(501)}}, "error E001 /steps/500\n"},
      {"blocks",
       {{"steps", nested_blocks(10)}},
       {{"steps", nested_blocks(11)}},
       "error E001 /steps/0/forEach/steps/0/forEach/steps/0/forEach/steps/0/forEach/steps/0/forEach"
       "/steps/0/forEach/steps/0/forEach/steps/0/forEach/steps/0/forEach/steps/0/forEach/steps/0"
       "/forEach/steps\n"},
      {"services",
       {{"services", many(32, "s", service)}},
       {{"services", many(33, "s", service)}},
       "error E002 /services\n"},
      {"labels",
       {{"labels", many(16, "l", "x")}},
       {{"labels", many(17, "l", "x")}},
       "error E002 /labels\n"},
      {"branches",
       {{"steps", branches(32)}},
       {{"steps", branches(33)}},
       "error E002 /steps/0/parallel/branches\n"},
      {"branches at least",
       {{"steps", branches(2)}},
       {{"steps", branches(1)}},
       "error E002 /steps/0/parallel/branches\n"},
      {"outcome rules",
       {{"steps", with_outcomes(20)}},
       {{"steps", with_outcomes(21)}},
       "error E002 /steps/0/outcomes\n"},
      {"the name of a definition",
       {{"name", std::string(128, 'n')}},
       {{"name", std::string(129, 'n')}},
       "error E002 /name\n"},
      {"the name of a step",
       {{"steps", {{{"name", std::string(64, 'n')}, {"value", 1}}}}},
       {{"steps", {{{"name", std::string(65, 'n')}, {"value", 1}}}}},
       "error E002 /steps/0/name\n"},
      {"a duration", {{"timeout", "3650d"}}, {{"timeout", "3651d"}}, "error E002 /timeout\n"}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CHECK(findings_of(with(row.fits)) == "");
    CHECK(findings_of(with(row.exceeds)) == row.findings);
  }
}

TEST_CASE("the bounds of the text itself are the engine's to lower") {
  const Json document = with(Json::object());
  const std::size_t bytes = document.dump().size();
  CHECK(findings_of(document, {.bytes_max = bytes}) == "");
  CHECK(findings_of(document, {.bytes_max = bytes - 1}) == "error E001 (root)\n");
  CHECK(findings_of(document, {.json_depth_max = 3}) == "");
  CHECK(findings_of(document, {.json_depth_max = 2}) == "error E001 /services/s\n");
  CHECK(findings_of(with({{"steps", steps_of(2)}}), {.steps_max = 1}) == "error E001 /steps/1\n");
}

TEST_CASE("text that is not JSON is one finding, however much of it there is") {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string(200'000, '['), std::string(200'000, '{'),
        std::string(200'000, '"'), std::string("{\"a\":") + std::string(200'000, '['),
        std::string("\xff\xfe{}"), std::string("{\"dsl\": 1} {}")}) {
    CAPTURE(text.substr(0, 20));
    const auto parsed = dsl::parse_definition(text);
    REQUIRE(parsed.findings.size() == 1);
    CHECK(parsed.findings[0].code == "E001");
    CHECK(parsed.findings[0].line >= 1);
    CHECK_FALSE(parsed.definition);
  }
}

TEST_CASE("the hash is of the content, not of how it is written") {
  const auto hash = [](const char* text) { return dsl::parse_definition(text).definition->hash; };
  const auto plain =
      hash(R"({"dsl":1,"name":"t","version":1,"steps":[{"name":"a","value":{"x":10.0,"y":2}}]})");
  CHECK(hash(R"({ "version": 1, "name": "t", "dsl": 1,
    "steps": [ { "value": {"y": 2, "x": 1e1}, "n\u0061me": "a" } ] })") == plain);
  CHECK(
      hash(R"({"dsl":1,"name":"t","version":1,"steps":[{"name":"a","value":{"x":10.0,"y":3}}]})") !=
      plain);
  CHECK(
      hash(R"({"dsl":1,"name":"t","version":2,"steps":[{"name":"a","value":{"x":10.0,"y":2}}]})") !=
      plain);
}

TEST_CASE("a service of its own is read as strictly as one within a definition") {
  struct Row {
    const char* text;
    std::string findings;
  };
  for (const Row& row : std::initializer_list<Row>{
           {R"({"baseUrl": "https://s.example", "x-owner": "me"})", ""},
           {R"({"type": "local"})", ""},
           {R"({"baseUrl": "ftp://s.example"})", "error E002 /baseUrl\n"},
           {R"({})", "error E002 (root)\n"},
           {R"([])", "error E002 (root)\n"},
           {R"({"use": "s"})", "error E002 (root)\nerror E002 /use\n"},
           {R"({"baseUrl": "https://s.example", "retry": "usual"})", "error E002 /retry\n"},
           {R"({"baseUrl": "https://s.example", "maxResponseBytes": 4194305})",
            "error E002 /maxResponseBytes\n"},
           {R"({"baseUrl": "https://s.example", "auth": {"type": "bearer"}})",
            "error E002 /auth\n"},
           {R"({"baseUrl": "https://s.example", "baseUrl": "https://t.example"})",
            "error E001 /baseUrl\n"}}) {
    CAPTURE(row.text);
    const auto parsed = dsl::parse_service(row.text);
    CHECK(listed(parsed.findings) == row.findings);
    CHECK((parsed.service != nullptr) == row.findings.empty());
  }
}

}  // namespace
}  // namespace backstitch::test

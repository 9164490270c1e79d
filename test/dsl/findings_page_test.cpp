// docs/findings.md and the pages behind it: each code is there, its bad examples fire it, and its
// good ones are definitions without errors that do not.
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/codes.hpp>

#include "rules.hpp"

namespace backstitch::test {
namespace {

const std::string docs = BACKSTITCH_DEFINITIONS "/../../docs/";

struct Example {
  std::string code;
  std::string text;
  bool bad = false;
};

/// Headings `## E201`, then `Bad:` or `Good:`, each before a block of JSON.
std::vector<Example> examples_of(const std::string& page) {
  std::vector<Example> examples;
  std::istringstream lines(read_file(docs + page));
  std::string code;
  bool bad = false;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "```json") {
      inside = true;
      examples.push_back({code, "", bad});
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      examples.back().text += line + "\n";
    } else if (line.starts_with("## ")) {
      code = line.substr(3);
    } else if (line == "Bad:" || line == "Good:") {
      bad = line == "Bad:";
    }
  }
  return examples;
}

std::vector<Example> all_examples() {
  std::vector<Example> all;
  for (const char* page : {"document", "structure", "saga", "services", "data"}) {
    const auto some = examples_of("findings/" + std::string(page) + ".md");
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

/// What the page says the examples are changes of.
Json base() {
  for (const auto& example : examples_of("findings.md")) {
    if (example.code == "The examples") return Json::parse(example.text);
  }
  FAIL("docs/findings.md has no base of the examples");
  return {};
}

/// The base with members replaced, its short steps written out.
Json base_with(const Json& members) {
  Json document = base();
  document.update(members);
  write_out_steps(document, "shop");
  return document;
}

/// A whole document, or members that replace those of the base.
std::string written_out(const Example& example) {
  if (example.text.starts_with('{')) return example.text;
  return base_with(Json::parse("{" + example.text + "}")).dump();
}

dsl::CheckContext surroundings() {
  const Json capture = Json::parse(R"({"dsl": 1, "name": "payments.capture", "version": 1,
    "services": {"s": {"baseUrl": "https://s.example"}},
    "steps": [{"name": "capture", "kind": "pivot", "action": {"service": "s", "http": "PUT /captures"}}]})");
  const Json debit = Json::parse(read_file(BACKSTITCH_DEFINITIONS "/good/accounts.debit.json"));
  auto context = environment(Json::array({capture, debit}));
  context.service = [service = std::make_shared<dsl::Service>()](const std::string& name) {
    return name == "payments" ? service : nullptr;
  };
  context.has_operation = [](const std::string&, const std::string& name) {
    return name == "look";
  };
  return context;
}

TEST_CASE("every bad example of the findings' pages fires its code, and no good one does") {
  const auto context = surroundings();
  for (const auto& example : all_examples()) {
    CAPTURE(example.code);
    CAPTURE(example.text);
    std::set<std::string> codes;
    bool errors = false;
    for (const auto& finding : dsl::parse_and_check(written_out(example), context).findings) {
      codes.insert(finding.code);
      CAPTURE(finding.pointer);
      CAPTURE(finding.message);
      errors = errors || finding.severity == dsl::Severity::error;
      CHECK((example.bad || finding.severity != dsl::Severity::error));
    }
    CHECK((codes.count(example.code) > 0) == example.bad);
    CHECK((!errors || example.bad));
  }
}

TEST_CASE("a bad example of the findings' pages shows one mistake") {
  const auto context = surroundings();
  for (const auto& example : all_examples()) {
    if (!example.bad || example.code[0] != 'E') continue;
    CAPTURE(example.text);
    for (const auto& finding : dsl::parse_and_check(written_out(example), context).findings) {
      CAPTURE(finding.message);
      CHECK((finding.code == example.code || finding.severity != dsl::Severity::error));
    }
  }
}

std::vector<std::string> codes_of_table() {
  std::vector<std::string> codes;
  const std::string table = read_file(docs + "findings.md");
  for (std::size_t at = table.find("\n| ["); at != std::string::npos;
       at = table.find("\n| [", at + 1))
    codes.push_back(table.substr(at + 4, 4));
  return codes;
}

/// The hints of a code's findings; what else is an error is listed in `errors`.
std::vector<std::string> hints_of(const std::string& text, const std::string& code,
                                  std::set<std::string>& errors) {
  static const auto context = surroundings();
  std::vector<std::string> hints;
  for (const auto& finding : dsl::parse_and_check(text, context).findings) {
    if (finding.code == code) hints.push_back(finding.hint);
    if (finding.severity == dsl::Severity::error)
      errors.insert(finding.code + " " + finding.pointer + " " + finding.message);
  }
  return hints;
}

/// `fixed` is `bad` with the change that the hint of `code` names.
void check_hint(const std::string& code, const std::string& bad, const std::string& named,
                const std::string& fixed) {
  CAPTURE(code);
  CAPTURE(bad);
  CAPTURE(named);
  std::set<std::string> errors;
  const auto hints = hints_of(bad, code, errors);
  REQUIRE(!hints.empty());
  CAPTURE(hints.front());
  CHECK(hints.front().find(named) != std::string::npos);
  errors.clear();
  CHECK(hints_of(fixed, code, errors).empty());
  CAPTURE(fixed);
  for (const auto& error : errors) FAIL_CHECK(error);
}

TEST_CASE("the change that a hint names takes the finding away and brings no error") {
  std::set<std::string> covered;
  for (const Json& row : Json::parse(read_file(BACKSTITCH_DEFINITIONS "/hints.json"))) {
    const Json bad = base_with(row[1]);
    check_hint(row[0], bad.dump(), row[2], bad.patch(row[3]).dump());
    covered.insert(row[0].get<std::string>());
  }
  for (const auto& code : codes_of_table()) {
    CAPTURE(code);
    CHECK((code == "E001" || covered.count(code) > 0));
  }
}

TEST_CASE("a text that is not JSON is described in words, and its hint mends it") {
  const auto document = [](const std::string& end) {
    return R"({"dsl": 1, "name": "t.t", "steps": [{"name": "v", "value": 1}],)" + end;
  };
  const std::string good = document("\"version\": 1}");
  const std::pair<std::string, std::string> rows[] = {
      {document("\"version\": 1 // the first\n}"), "remove it; in an object write \"x-comment\""},
      {document("\"version\": 1,}"), "remove the comma"},
      {document("version: 1}"), "write \"version\""},
      {document("'version': 1}"), "strings and keys have double quotes"},
      {document("\"version\": 1"), "close every { and [ and every string"},
      {document("\"version\" 1}"), "a colon between a key and its value"},
      {document("\"version\": 1 \"owner\": \"me\"}"), "write a comma between values"},
      {document("\"version\": 1, \"owner\": None}"), "write a string in double quotes"},
      {document("\"version\": 1, \"owner\": nul}"), "write a string in double quotes"},
      {document("\"version\": 1, \"owner\": \"me"), "close it with a double quote"},
      {document("\"version\": 1, \"owner\": \"m\ne\"}"), "write it as an escape"},
      {document("\"version\": 1, \"owner\": \"\\d\"}"), "the escapes are"},
      {document("\"version\": }"), "write the value after the colon"},
      {document("\"version\": 1, \"version\": 1}"), "keep one of them"},
      {document("\"version\": 12345678901234567891}"), "send it as a string"}};
  for (const auto& [bad, hint] : rows) check_hint("E001", bad, hint, good);
  CHECK(dsl::parse_definition("{\"dsl\": 1,\n}").findings.front().message ==
        "a comma before the closing `}` (line 2, column 1)");
}

TEST_CASE("every code of the table has a bad and a good example behind its link") {
  std::map<std::string, std::pair<int, int>> counts;
  for (const auto& example : all_examples()) {
    auto& [bad, good] = counts[example.code];
    ++(example.bad ? bad : good);
  }
  const auto rows = codes_of_table();
  for (const auto& code : rows) {
    CAPTURE(code);
    CHECK(counts[code].first > 0);
    CHECK(counts[code].second > 0);
  }
  CHECK(rows.size() >= 67);
  CHECK(rows.size() == counts.size());
}

TEST_CASE("the codes that the language page lists as the engine's are reserved") {
  const std::string page = read_file(docs + "language.md");
  const auto begin = page.find("## Error codes");
  REQUIRE(begin != std::string::npos);
  std::istringstream lines(page.substr(begin, page.find("\n## ", begin) - begin));
  std::size_t codes = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    const std::string cell = line.substr(0, line.find('|', 1));
    for (auto at = cell.find('`'); at != std::string::npos; at = cell.find('`', at + 1)) {
      const auto end = cell.find('`', at + 1);
      const std::string code = cell.substr(at + 1, end - at - 1);
      CAPTURE(code);
      ++codes;
      CHECK(dsl::is_engine_code(code));
      at = end;
    }
  }
  CHECK(codes == 20);
  CHECK_FALSE(dsl::is_engine_code("OUT_OF_STOCK"));
  CHECK_FALSE(dsl::is_engine_code("CHILDREN"));
}

}  // namespace
}  // namespace backstitch::test

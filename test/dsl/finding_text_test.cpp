// How findings look on a terminal: the line, a caret under what is wrong, the way to put it right.
#include <string>

#include <doctest/doctest.h>

#include <backstitch/dsl/check.hpp>
#include <backstitch/dsl/finding_text.hpp>

namespace backstitch::test {
namespace {

std::string plain(dsl::Ink, std::string_view text) {
  return std::string(text);
}

std::string shown(const std::string& text, const dsl::Finding& finding) {
  return dsl::to_text(finding, {"x.json", text}, plain);
}

/// The first finding of a document.
std::string first_of(const std::string& text) {
  const auto parsed = dsl::parse_and_check(text);
  REQUIRE_FALSE(parsed.findings.empty());
  return shown(text, parsed.findings.front());
}

dsl::Finding at(std::uint32_t line, std::uint32_t column, std::uint32_t length = 1) {
  return {"E002", dsl::Severity::error, "/p", line, column, "message", "do this", length};
}

/// The line and the caret, without their margins.
std::string excerpt(const std::string& text, const dsl::Finding& finding) {
  const std::string all = shown(text, finding);
  const auto begin = all.find('\n') + 1;
  return all.substr(begin, all.find("  at ") - begin);
}

TEST_CASE("a member is underlined from its key to the end of its value") {
  CHECK(first_of(R"({
  "dsl": 1, "name": "t.text",
  "timeout": "soon", "version": 1,
  "steps": [{"name": "v", "value": 1}]
})") == "x.json:3:3: error E002: \"soon\" is not a valid duration\n"
        "  3 |   \"timeout\": \"soon\", \"version\": 1,\n"
        "    |   ^~~~~~~~~~~~~~~~~\n"
        "  at /timeout\n"
        "  hint: write for example \"250ms\", \"10s\", \"1h30m\" or \"7d\", at most 3650 days\n");
}

TEST_CASE("of a block its key is underlined, of an item its value") {
  const std::string text = R"({"dsl": 1, "name": "t.text", "version": 1,
  "steps": [{"name": "v", "value": 1}, 17,
    {"name": "w", "wait": {
      "signal": "go"}}]})";
  const auto parsed = dsl::parse_and_check(text);
  REQUIRE(parsed.findings.size() >= 2);
  CHECK(excerpt(text, parsed.findings[0]) ==
        "  2 |   \"steps\": [{\"name\": \"v\", \"value\": 1}, 17,\n"
        "    |                                        ^~\n");
  CHECK(excerpt(text, parsed.findings[1]) ==
        "  3 |     {\"name\": \"w\", \"wait\": {\n"
        "    |                   ^~~~~~\n");
}

TEST_CASE("a syntax error has its caret where the text stops being JSON") {
  CHECK(first_of("{\n  \"dsl\": 1,,\n}").find("  2 |   \"dsl\": 1,,\n    |            ^\n") !=
        std::string::npos);
}

TEST_CASE("the caret stands right behind tabs, and behind characters of several bytes") {
  CHECK(excerpt("\t\t\"k\": 1", at(1, 3, 3)) ==
        "  1 |         \"k\": 1\n"
        "    |         ^~~\n");
  CHECK(excerpt("ab\t\"k\": 1", at(1, 4, 3)) ==
        "  1 | ab  \"k\": 1\n"
        "    |     ^~~\n");
  CHECK(excerpt(R"({"ü€😀": 1, "k": 2})", at(1, 12, 3)) ==
        "  1 | {\"ü€😀\": 1, \"k\": 2}\n"
        "    |            ^~~\n");
}

TEST_CASE("a long line is cut around the caret") {
  const std::string far = std::string(500, 'a') + "\"k\"" + std::string(500, 'b');
  CHECK(excerpt(far, at(1, 501, 3)) == "  1 | …" + std::string(60, 'a') + "\"k\"" +
                                           std::string(37, 'b') + "…\n    |  " +
                                           std::string(60, ' ') + "^~~\n");
  const std::string near = "\"k\"" + std::string(500, 'b');
  CHECK(excerpt(near, at(1, 1, 3)) == "  1 | \"k\"" + std::string(97, 'b') + "…\n    | ^~~\n");
  const std::string end = std::string(500, 'a') + "k";
  CHECK(excerpt(end, at(1, 501)) ==
        "  1 | …" + std::string(99, 'a') + "k\n    |  " + std::string(99, ' ') + "^\n");
  CHECK(excerpt(std::string(500, 'a'), at(1, 1, 500)) ==
        "  1 | " + std::string(100, 'a') + "…\n    | ^" + std::string(99, '~') + "\n");
}

TEST_CASE("what a document says cannot move the cursor") {
  CHECK(excerpt("a\x1b[2Jb\x7f", at(1, 1)) ==
        "  1 | a\uFFFD[2Jb\uFFFD\n"
        "    | ^\n");
  CHECK(excerpt("a\xff\xc3", at(1, 1)) ==
        "  1 | a\uFFFD\uFFFD\n"
        "    | ^\n");
  dsl::Finding finding = at(1, 1);
  finding.message = "no key `\x1b[2J`";
  finding.pointer = "/\x1b";
  finding.hint = "not\n\x7f";
  const std::string text = shown("a", finding);
  CHECK(text.find('\x1b') == std::string::npos);
  for (const char* escaped : {"no key `\\u001b[2J`\n", "  at /\\u001b\n", " not\\u000a\\u007f\n"})
    CHECK_MESSAGE(text.find(escaped) != std::string::npos, escaped);
}

TEST_CASE("lines end as they do on either system, and places outside the text have no excerpt") {
  CHECK(excerpt("{\r\n  \"k\": 1\r\n}", at(2, 3, 3)) ==
        "  2 |   \"k\": 1\n"
        "    |   ^~~\n");
  CHECK(excerpt("{}", at(7, 1)) == "");
  CHECK(excerpt("{}", at(0, 0)) == "");
  CHECK(excerpt("", at(1, 1)) == "");
  CHECK(excerpt("{}", at(1, 50)) == "  1 | {}\n    |   ^\n");
}

TEST_CASE("each part is painted as what it is") {
  const auto marked = [](dsl::Ink ink, std::string_view part) {
    return "<" + std::to_string(static_cast<int>(ink)) + ":" + std::string(part) + ">";
  };
  CHECK(dsl::to_text(at(1, 2, 2), {"x.json", "abc"}, marked) ==
        "x.json:1:2: <0:error E002:> message\n"
        "  <2:1> | abc\n"
        "    |  <3:^~>\n"
        "  at /p\n"
        "  <4:hint:> do this\n");
}

TEST_CASE("the last line counts what was found") {
  dsl::Finding error = at(1, 1);
  dsl::Finding warning = error;
  warning.severity = dsl::Severity::warning;
  CHECK(dsl::summary({}, "a.json") == "a.json: no findings");
  CHECK(dsl::summary({error, warning, error}, "a.json") == "2 errors, 1 warning in a.json");
  CHECK(dsl::summary({warning, warning}, "a.json") == "2 warnings in a.json");
  CHECK(dsl::summary({error}, "a.json") == "1 error in a.json");
}

}  // namespace
}  // namespace backstitch::test

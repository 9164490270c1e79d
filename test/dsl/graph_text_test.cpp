// What an author may write reaches a picture as text only, and the picture stays small and whole.
#include <algorithm>
#include <array>
#include <regex>
#include <string>

#include "graph_definitions.hpp"

namespace backstitch::test {
namespace {

const std::array<dsl::GraphFormat, 3> formats{dsl::GraphFormat::mermaid, dsl::GraphFormat::dot,
                                              dsl::GraphFormat::svg};

/// A definition that has `text` at every place where a text is free.
std::shared_ptr<const dsl::Definition> saying(const std::string& text) {
  const Json literal = "${" + Json(text).dump() + " == 'x'}";
  const Json list = Json::array(
      {{{"name", "a"},
        {"description", text},
        {"when", literal},
        {"action", {{"service", "s"}, {"http", "PUT /" + text}}},
        {"compensation", {{"http", "DELETE /" + text}}}},
       {{"name", "b"}, {"value", {{text, text}}}},
       {{"name", "c"}, {"wait", {{"signal", text}, {"timeout", "1h"}}}},
       {{"name", "d"}, {"sleep", {{"until", "${saga.startedAt}" + text}}}},
       {{"name", "e"},
        {"switch",
         {{"cases", {{{"when", literal}, {"steps", Json::array({"f"})}}}},
          {"otherwise", {{"steps", Json::array()}}}}}},
       {{"name", "g"}, {"when", literal}, {"fail", {{"code", "G"}, {"message", text}}}}});
  return of(list.dump(), {{"description", text}});
}

TEST_CASE("no text of a definition becomes markup in the SVG") {
  static const std::regex element(R"(<(/?)([a-z]+)((?: [a-zA-Z-]+="[^"<>]*")*)(/?)>)");
  static const std::regex known("svg|g|title|desc|style|rect|path|text");
  static const std::regex entity("&(amp|lt|gt|quot|#39);");
  for (const std::string text :
       {"<script>alert(1)</script>", "</title><script>alert(1)</script>",
        "</style><b onload=\"x\">", "]]><![CDATA[<x/>]]>",
        "<!-- --><!DOCTYPE a [<!ENTITY b 'c'>]>&b;", "\" onclick=\"alert(1)", "' onclick='alert(1)",
        "&lt;b&gt; &#60; &amp", "javascript:alert(1)", "<?xml ?>"}) {
    CAPTURE(text);
    const std::string svg = dsl::to_svg(*saying(text));
    std::vector<std::string> open;
    std::string rest = svg;
    std::string texts;
    for (std::smatch match; std::regex_search(rest, match, element); rest = match.suffix()) {
      texts += match.prefix().str();
      CHECK(std::regex_match(match[2].str(), known));
      CHECK(count(match[3], " on") == 0);
      CHECK(count(match[3], "href") == 0);
      if (match[1].length() > 0) {
        REQUIRE_FALSE(open.empty());
        CHECK(open.back() == match[2].str());
        open.pop_back();
      } else if (match[4].length() == 0) {
        open.push_back(match[2]);
      }
    }
    CHECK(open.empty());
    texts = std::regex_replace(texts + rest, entity, "");
    CHECK(texts.find_first_of("<>&") == std::string::npos);
  }
}

TEST_CASE("the SVG fetches nothing") {
  const std::string svg = dsl::to_svg(*saying("plain"));
  CHECK(count(svg, "http") == 1);
  CHECK(count(svg, "xmlns=\"http://www.w3.org/2000/svg\"") == 1);
  for (const char* word : {"url(", "@import", "href", "<script", "<image", "<foreignObject"})
    CHECK(count(svg, word) == 0);
}

TEST_CASE("no text of a definition becomes syntax of Mermaid or DOT") {
  const std::string tame = dsl::to_mermaid(*saying("tame"));
  for (const std::string text :
       {"\"] --> x[\"", "end", "%%{init: {'securityLevel': 'loose'}}%%", "`**md**`", "$$x^2$$",
        "<img src=x onerror=alert(1)>", "&lt;b&gt;", "style a fill:#fff;", "#quot;#35;", "a;b",
        "click a call b()", "1. one", "- one", "a\nb --> c", "[x](javascript:y)"}) {
    CAPTURE(text);
    const std::string mermaid = dsl::to_mermaid(*saying(text));
    // The same lines, with the same quotes around other words.
    CHECK(count(mermaid, "\n") == count(tame, "\n"));
    CHECK(count(mermaid, "\"") == count(tame, "\""));
    for (const char* sign : {"`", "$$", "%%{", "<img", "&", "](", "<b>"})
      CHECK_MESSAGE(count(mermaid, sign) == 0, sign);
    // A quote inside a label of DOT stands behind a backslash, and that is never behind another.
    const std::string dot =
        std::regex_replace(dsl::to_dot(*saying(text)), std::regex(R"(\\.)"), "");
    for (const auto& line : lines_of(dot)) CHECK_MESSAGE(count(line, "\"") % 2 == 0, line);
    CHECK(count(dot, "&") == count(dot, "&amp;"));
  }
}

TEST_CASE("backslashes of a text stay backslashes in DOT") {
  const std::string dot = dsl::to_dot(*saying("a\\nb\\\"c"));
  CHECK(count(dot, R"(a\\nb\\\"c)") > 0);
}

TEST_CASE("controls become spaces; what is no text or turns the text around is replaced") {
  for (const auto format : formats) {
    const std::string picture = dsl::draw(*saying("a\x01\x1b\n\tb\u202ec\ufffed\u2066e"), format);
    CHECK(count(picture, "a b\uFFFDc\uFFFDd\uFFFDe") > 0);
    CHECK(count(picture, "\u202e") == 0);
    const auto is_control = [](char c) { return c != '\n' && c >= 0 && c < ' '; };
    CHECK(std::none_of(picture.begin(), picture.end(), is_control));
  }
}

TEST_CASE("a long text is cut between characters, and the pointer shows the rest") {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "\u00e9";
  const auto definition = saying(text);
  for (const auto format : {dsl::GraphFormat::mermaid, dsl::GraphFormat::dot}) {
    const std::string picture = dsl::draw(*definition, format);
    CHECK(count(picture, "\u00e9\u2026") > 0);
    CHECK(count(picture, "\uFFFD") == 0);
  }
  const std::string svg = dsl::to_svg(*definition);
  CHECK(count(svg, "\u00e9\u2026</text>") > 0);
  CHECK(count(svg, text) > 0);
  for (const auto& line : lines_of(svg)) {
    if (line.starts_with("<text")) CHECK(line.size() < 300);
  }
}

std::string long_saga(int steps_count) {
  Json list = Json::array();
  for (int i = 0; i < steps_count; ++i) list.push_back("step" + std::to_string(i));
  return list.dump();
}

TEST_CASE("ten times the steps make ten times the picture, not more") {
  for (const auto format : formats) {
    const std::size_t small = dsl::draw(*of(long_saga(50)), format).size();
    const std::size_t large = dsl::draw(*of(long_saga(500)), format).size();
    CHECK(large < 11 * small);
    CHECK(large < 512 * 1024);
  }
}

/// Two branches in every block, nested as deep as the language allows.
Json nested(int depth, int& number) {
  const std::string name = "b" + std::to_string(number++);
  if (depth == 0) return name;
  Json branches{{"l", Json::array({nested(depth - 1, number)})},
                {"r", Json::array({nested(depth - 1, number)})}};
  return {{"name", name}, {"parallel", {{"branches", std::move(branches)}}}};
}

TEST_CASE("wide and deep blocks stay linear too") {
  int number = 0;
  const auto deep = of(Json::array({nested(7, number), "last"}).dump());
  Json wide = Json::array();
  const auto block = [](const std::string& name) {
    Json branches;
    for (int i = 0; i < 32; ++i) {
      const std::string branch = name + "b" + std::to_string(i);
      branches[branch] = Json::array({branch});
    }
    return Json{{"name", name}, {"parallel", {{"branches", std::move(branches)}}}};
  };
  for (int i = 0; i < 12; ++i) wide.push_back(block("w" + std::to_string(i)));
  for (const auto format : formats) {
    CHECK(dsl::draw(*deep, format).size() < 512 * 1024);
    CHECK(dsl::draw(*of(wide.dump()), format).size() < 512 * 1024);
  }
}

int number_of(const std::string& tag, const std::string& name) {
  std::smatch match;
  REQUIRE(std::regex_search(tag, match, std::regex(" " + name + "=\"(-?\\d+)\"")));
  return std::stoi(match[1]);
}

TEST_CASE("everything lies on the paper") {
  int number = 0;
  for (const auto& definition :
       {saying("text"), of(Json::array({nested(5, number), "p!"}).dump()),
        parsed(read(std::string(BACKSTITCH_DEFINITIONS) + "/good/travel.book.json"))}) {
    const auto lines = lines_of(dsl::to_svg(*definition));
    const int width = number_of(lines[0], "width");
    const int height = number_of(lines[0], "height");
    for (const auto& line : lines) {
      const bool box = line.starts_with("<rect") && count(line, "100%") == 0;
      if (!box && !line.starts_with("<text")) continue;
      CAPTURE(line);
      CHECK(number_of(line, "x") >= 0);
      CHECK(number_of(line, "y") >= 0);
      CHECK(number_of(line, "x") + (box ? number_of(line, "width") : 0) <= width);
      CHECK(number_of(line, "y") + (box ? number_of(line, "height") : 0) <= height);
    }
  }
}

}  // namespace
}  // namespace backstitch::test

// Pictures of definitions. The arrows are read from the Mermaid text with the names put back:
// `a > b` forwards, `b ~ a` the way back, `a ! b` into a catch; a block has `name(` and `name)`.
#include <array>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "graph_definitions.hpp"

namespace backstitch::test {
namespace {

std::string arrows(const dsl::Definition& definition) {
  static const std::regex box(R"re(subgraph b(\d+)\["(\w+) )re");
  static const std::regex node(R"re((n\d+)(?:[^a-z"]+)"(\w+| ).*)re");
  static const std::regex arrow(R"re((n\d+) (-->|-\.->|-\.-)(?:\|"(.*)"\|)? (n\d+))re");
  std::map<std::string, std::string> names;
  std::vector<std::string> open;
  std::string out;
  std::smatch match;
  for (auto line : lines_of(dsl::to_mermaid(definition))) {
    line.erase(0, line.find_first_not_of(' '));
    if (std::regex_match(line, match, arrow)) {
      const std::string label = match[3];
      const bool caught = label.starts_with("caught") || label.starts_with("catch");
      const std::string sign = match[2] == "-->" ? " > " : caught ? " ! " : " ~ ";
      // A line without a head is written against its direction.
      const bool turned = match[2] == "-.-";
      out += names[match[turned ? 4 : 1]] + sign + names[match[turned ? 1 : 4]] + "\n";
    } else if (std::regex_search(line, match, box)) {
      names["n" + match[1].str()] = match[2].str() + "(";
      open.push_back(match[2]);
    } else if (line.starts_with("subgraph ")) {
      open.emplace_back();
    } else if (line == "end") {
      open.pop_back();
    } else if (std::regex_match(line, match, node) && names.count(match[1]) == 0) {
      names[match[1]] = match[2] == " " ? open.back() + ")" : match[2].str();
    }
  }
  return out;
}

struct Case {
  const char* what;
  const char* steps;
  const char* arrows;
};

TEST_CASE("the way back runs in mirror order through every block") {
  const std::array<Case, 10> cases{{
      {"steps in a row", R"(["a", "b?", "c"])",
       "start > a\na > b\nb > c\nc > COMPLETED\n"
       "c ~ a\na ~ FAILED\n"},
      {"a pivot turns back until it is done", R"(["a", "p!", "r+"])",
       "start > a\na > p\np > r\nr > COMPLETED\n"
       "p ~ a\na ~ FAILED\n"},
      {"a waived undo is left out", R"(["a", {"name": "w", "compensation": "none",
          "action": {"service": "s", "http": "PUT /w"}}, "c"])",
       "start > a\na > w\nw > c\nc > COMPLETED\n"
       "c ~ a\na ~ FAILED\n"},
      {"branches side by side", R"(["a", {"name": "x", "parallel": {"branches":
          {"l": ["b", "c"], "r": ["d"], "z": ["e?"]}}}, "f"])",
       "start > a\na > x(\nx( > b\nb > c\nc > x)\nx( > d\nd > x)\nx( > e\ne > x)\nx) > f\n"
       "f > COMPLETED\n"
       "f ~ x)\nx) ~ d\nd ~ x(\nx) ~ c\nc ~ b\nb ~ x(\nx( ~ a\na ~ FAILED\n"},
      {"each item of a list", R"([{"name": "x", "forEach": {"in": "${[1]}", "as": "i",
          "steps": ["b", "c"]}}, "d"])",
       "start > x(\nx( > b\nb > c\nc > x)\nx) > d\nd > COMPLETED\n"
       "d ~ x)\nx) ~ c\nc ~ b\nb ~ x(\nx( ~ FAILED\n"},
      {"nothing comes in from below the last block", R"([{"name": "x", "forEach": {"in": "${[1]}",
          "as": "i", "steps": ["b"]}}])",
       "start > x(\nx( > b\nb > x)\nx) > COMPLETED\nb ~ x(\nx( ~ FAILED\n"},
      {"a case that fails turns back without joining", R"(["a", {"name": "x", "switch": {"cases":
          [{"when": "${1 == 1}", "steps": [{"name": "no", "fail": {"code": "NO"}}]}],
          "otherwise": {"steps": []}}}, "b"])",
       "start > a\na > x(\nx( > no\nx( > x)\nx) > b\nb > COMPLETED\n"
       "no ~ x(\nb ~ a\nx( ~ a\na ~ FAILED\n"},
      {"a pivot in every arm", R"([{"name": "x", "switch": {"cases":
          [{"when": "${1 == 1}", "steps": ["a", "p!"]}], "otherwise": {"steps": ["q!"]}}}, "r+"])",
       "start > x(\nx( > a\na > p\np > x)\nx( > q\nq > x)\nx) > r\nr > COMPLETED\n"
       "q ~ x(\np ~ a\na ~ x(\nx( ~ FAILED\n"},
      {"a try goes back to its save-point, and from there into a catch",
       R"([{"name": "x", "try": {"steps": ["a"], "catch": [{"codes": ["E"], "steps": ["b"]},
          {"steps": []}]}}, "c"])",
       "start > x(\nx( > a\na > x)\nx( ! b\nb > x)\nx( ! x)\nx) > c\nc > COMPLETED\n"
       "c ~ x)\nx) ~ b\nb ~ x(\nx) ~ a\na ~ x(\nx( ~ FAILED\n"},
      {"a sub-saga is undone as a whole",
       R"(["a", {"name": "s", "saga": {"name": "o.s", "input": {}}},
          "p!", {"name": "t", "saga": {"name": "o.t", "input": {}}}])",
       "start > a\na > s\ns > p\np > t\nt > COMPLETED\n"
       "p ~ s\ns ~ a\na ~ FAILED\n"},
  }};
  for (const auto& one : cases) {
    CAPTURE(one.what);
    CHECK(arrows(*of(one.steps)) == one.arrows);
  }
}

TEST_CASE("handlers stand beside: one follows the way back, the other nothing") {
  const Json handlers{{"onFailure", steps(Json::parse(R"(["h+", "i+"])"))},
                      {"onSuspended", steps(Json::parse(R"(["k+", "l+"])"))}};
  const auto definition = of(R"(["a"])", handlers);
  CHECK(arrows(*definition) ==
        "start > a\na > COMPLETED\na ~ undone\nundone > h\nh > i\ni > FAILED\nk > l\n");
  for (const auto format :
       {dsl::GraphFormat::mermaid, dsl::GraphFormat::dot, dsl::GraphFormat::svg}) {
    const std::string picture = dsl::draw(*definition, format);
    CHECK(count(picture, "when everything is undone") == 1);
    CHECK(count(picture, "when an operator is needed") == 1);
  }
}

TEST_CASE("what only goes forward has no way back") {
  const auto forward = of(R"(["a+", "b?"])", {{"recovery", "forward"}});
  CHECK(arrows(*forward) == "start > a\na > b\nb > COMPLETED\n");
  CHECK(count(dsl::to_svg(*forward), "class=\"back\"") == 0);
  CHECK(arrows(*of(R"([{"name": "v", "value": 1}])")) == "start > v\nv > COMPLETED\n");
}

TEST_CASE("nothing follows what always fails") {
  CHECK(arrows(*of(R"(["a", {"name": "no", "fail": {"code": "NO"}}])")) ==
        "start > a\na > no\nno ~ a\na ~ FAILED\n");
  CHECK(arrows(*of(R"(["a", {"name": "x", "switch": {"cases": [{"when": "${1 == 1}",
      "steps": [{"name": "no", "fail": {"code": "NO"}}]}],
      "otherwise": {"steps": [{"name": "nor", "fail": {"code": "NO"}}]}}}])")) ==
        "start > a\na > x(\nx( > no\nx( > nor\nnor ~ x(\nno ~ x(\nx( ~ a\na ~ FAILED\n");
}

const char* const every_type = R"(["undoable", {"name": "asked", "when": "${1 < 2}",
  "action": {"service": "s", "http": "GET /asked"}},
  {"name": "child", "saga": {"name": "o.child", "version": 3, "input": {}}},
  {"name": "side", "parallel": {"maxConcurrency": 2, "compensationOrder": "serial", "branches": {
    "left": [{"name": "nap", "sleep": {"for": "90m"}}],
    "right": [{"name": "dawn", "sleep": {"until": "${saga.startedAt}"}}]}}},
  {"name": "which", "switch": {"cases": [{"when": "${1 == 2}", "steps": [
    {"name": "sum", "value": {"two": 2}}]}], "otherwise": {"steps": []}}},
  {"name": "list", "forEach": {"in": "${[1, 2]}", "as": "item", "maxConcurrency": 7, "steps": [
    {"name": "answer", "wait": {"signal": ["yes", "no"], "timeout": "48h"}}]}},
  {"name": "save", "try": {"steps": [{"name": "late", "compensation": {"http": "DELETE /late"},
    "completion": {"callback": true, "timeout": "10m"},
    "action": {"service": "s", "http": "PUT /late"}}],
    "catch": [{"codes": ["SOLD_OUT"], "classes": ["unknown"], "when": "${failure.code != 'X'}",
    "steps": [{"name": "stop", "fail": {"code": "STOPPED", "message": "no more"}}]}]}},
  "point!", "again+"])";

TEST_CASE("every type of step and block stands in every picture, with what it does") {
  const auto definition = of(every_type);
  const std::array<const char*, 36> words{"undoable",
                                          "compensatable",
                                          "s: PUT /undoable",
                                          "DELETE /undoable",
                                          "asked",
                                          "readonly",
                                          "when 1 < 2",
                                          "child",
                                          "o.child version 3",
                                          "the whole sub-saga",
                                          "side",
                                          "parallel",
                                          "left",
                                          "right",
                                          "at most 2 at once",
                                          "undone one at a time",
                                          "nap",
                                          "for 1h30m",
                                          "dawn",
                                          "until ${saga.startedAt}",
                                          "which",
                                          "switch",
                                          "when 1 == 2",
                                          "otherwise",
                                          "list",
                                          "forEach",
                                          "item in [1, 2]",
                                          "at most 7 at once",
                                          "signal yes or no",
                                          "within 2d, else fails",
                                          "answer by callback within 10m",
                                          "catch SOLD_OUT, unknown",
                                          "STOPPED",
                                          "no more",
                                          "point of no return",
                                          "retryable"};
  for (const auto format :
       {dsl::GraphFormat::mermaid, dsl::GraphFormat::dot, dsl::GraphFormat::svg}) {
    const std::string picture = unescaped(dsl::draw(*definition, format));
    for (const char* word : words) CHECK_MESSAGE(count(picture, word) > 0, word << "\n" << picture);
  }
}

TEST_CASE("each type of step has an outline of its own") {
  const auto definition = of(every_type);
  std::map<std::string, std::string> outlines;
  static const std::regex node(R"re(\s*n\d+([^a-z"]+)"(\w+)[^"]*"([^":]+).*)re");
  for (const auto& line : lines_of(dsl::to_mermaid(*definition))) {
    std::smatch match;
    if (std::regex_match(line, match, node)) outlines[match[2]] = match[1].str() + match[3].str();
  }
  CHECK(outlines["undoable"] == "[]");
  CHECK(outlines["child"] == "[[]]");
  CHECK(outlines["nap"] == "([])");
  CHECK(outlines["sum"] == "[//]");
  CHECK(outlines["answer"] == ">]");
  CHECK(outlines["stop"] == "[\\/]");
  CHECK(outlines["point"] == "{{}}");
  CHECK(outlines["again"] == "()");
}

TEST_CASE("the picture in the manual is the one that is drawn") {
  const std::string definitions = BACKSTITCH_DEFINITIONS;
  const auto definition = parsed(read(definitions + "/good/orders.place.json"));
  const bool same =
      dsl::to_svg(*definition) == read(definitions + "/../../docs/pictures/orders.place.svg");
  CHECK_MESSAGE(same,
                "look at the new one, then: backstitch graph --format svg "
                "test/definitions/good/orders.place.json > docs/pictures/orders.place.svg");
}

TEST_CASE("a small saga as Mermaid, to the letter") {
  const auto definition = of(R"(["hold", "pay!", "send+"])");
  CHECK(dsl::to_mermaid(*definition) ==
        R"mmd(%% t.graph, version 1
%% dotted arrows: the way back, in mirror order
flowchart TB
  n1(("start"))
  n2["hold (compensatable)<br/>s#58; PUT /hold<br/>undo: DELETE /hold"]
  n3{{"pay (pivot, point of no return)<br/>s#58; PUT /pay"}}:::pivot
  n4("send (retryable)<br/>s#58; PUT /send")
  n5((("COMPLETED")))
  n6((("FAILED"))):::failure
  n1 --> n2
  n2 --> n3
  n3 --> n4
  n4 --> n5
  n3 -.->|"on failure"| n2
  n2 -.-> n6
  linkStyle 4,5 stroke:#c2410c,stroke-width:2px
  classDef pivot stroke:#b45309,stroke-width:4px
  classDef failure stroke:#dc2626,stroke-width:2px
  classDef readonly stroke-dasharray:2 2
)mmd");
}

TEST_CASE("a small saga as DOT, to the letter") {
  const auto definition = of(R"(["hold", "pay!", "send+"])");
  CHECK(dsl::to_dot(*definition) == R"dot(digraph saga {
  label="t.graph, version 1"; labelloc=t; rankdir=TB;
  graph [fontname="Helvetica", fontsize=11, color="#94a3b8", style=rounded, labeljust=l];
  node [fontname="Helvetica", fontsize=11, shape=box];
  edge [fontname="Helvetica", fontsize=10];
  n1 [label="start", shape=circle];
  n2 [label="hold\ncompensatable\ns: PUT /hold\nundo: DELETE /hold"];
  n3 [label="pay\npivot, point of no return\ns: PUT /pay", shape=hexagon, style=solid, penwidth=3, color="#b45309"];
  n4 [label="send\nretryable\ns: PUT /send", style=rounded];
  n5 [label="COMPLETED", shape=doublecircle];
  n6 [label="FAILED", shape=doublecircle];
  n1 -> n2;
  n2 -> n3;
  n3 -> n4;
  n4 -> n5;
  n3 -> n2 [label="on failure\l", style=dashed, color="#c2410c", fontcolor="#c2410c", arrowhead=empty, constraint=false];
  n2 -> n6 [style=dashed, color="#c2410c", fontcolor="#c2410c", arrowhead=empty, constraint=false];
}
)dot");
}

}  // namespace
}  // namespace backstitch::test

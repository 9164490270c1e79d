#pragma once
/// Definitions to draw, written short.
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/graph.hpp>
#include <backstitch/dsl/parse.hpp>

namespace backstitch::test {

inline std::string read(const std::string& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::shared_ptr<const dsl::Definition> parsed(const std::string& text) {
  const auto result = dsl::parse_definition(text);
  std::string findings;
  for (const auto& finding : result.findings)
    findings += finding.pointer + ": " + finding.message + "\n";
  REQUIRE_MESSAGE(result.definition, findings);
  return result.definition;
}

/// "a" can be undone, "a!" is a pivot, "a+" is retryable, "a?" only reads.
inline Json step(std::string name) {
  const char last = name.back();
  if (std::string("!+?").find(last) != std::string::npos) name.pop_back();
  Json out{{"name", name}, {"action", {{"service", "s"}, {"http", "PUT /" + name}}}};
  if (last == '!')
    out["kind"] = "pivot";
  else if (last == '+')
    out["kind"] = "retryable";
  else if (last == '?')
    out["action"]["http"] = "GET /" + name;
  else
    out["compensation"] = {{"http", "DELETE /" + name}};
  return out;
}

/// Steps, with texts written out where a list of steps can stand.
inline Json steps(const Json& list) {
  Json out = Json::array();
  for (Json one : list) {
    if (one.is_string()) one = step(one.get<std::string>());
    if (one.contains("parallel"))
      for (auto& branch : one["parallel"]["branches"]) branch = steps(branch);
    if (one.contains("forEach")) one["forEach"]["steps"] = steps(one["forEach"]["steps"]);
    if (one.contains("switch")) {
      for (auto& item : one["switch"]["cases"]) item["steps"] = steps(item["steps"]);
      one["switch"]["otherwise"]["steps"] = steps(one["switch"]["otherwise"]["steps"]);
    }
    if (one.contains("try")) {
      one["try"]["steps"] = steps(one["try"]["steps"]);
      for (auto& item : one["try"]["catch"]) item["steps"] = steps(item["steps"]);
    }
    out.push_back(std::move(one));
  }
  return out;
}

inline std::shared_ptr<const dsl::Definition> of(const std::string& list,
                                                 const Json& more = Json::object()) {
  Json document{{"dsl", 1},
                {"name", "t.graph"},
                {"version", 1},
                {"services", {{"s", {{"baseUrl", "https://s.example"}}}}},
                {"steps", steps(Json::parse(list))}};
  document.update(more);
  return parsed(document.dump());
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

inline std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

/// The text of a picture as its reader sees it: without markup, escapes and line breaks.
inline std::string unescaped(std::string picture) {
  static const std::regex markup(R"(<title>[^<]*</title>|</?[a-z][^>]*>\n?|\\[nl])");
  static const std::regex number(R"(#(\d+);)");
  picture = std::regex_replace(picture, markup, " ");
  std::string out;
  std::smatch match;
  for (; std::regex_search(picture, match, number); picture = match.suffix()) {
    out += match.prefix().str() + static_cast<char>(std::stoi(match[1]));
  }
  out += picture;
  for (const auto& [entity, text] :
       {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&amp;", "&"}}) {
    out = std::regex_replace(out, std::regex(entity), text);
  }
  return std::regex_replace(out, std::regex("\\s+"), " ");
}

}  // namespace backstitch::test

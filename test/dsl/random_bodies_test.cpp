// Random outputs, given to the steps of random definitions: the checker warns of exactly those that
// an answer with an unusual body can make impossible where nothing can be taken back.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/dsl/check.hpp>

#include "../support/answer_scope.hpp"
#include "../support/dice.hpp"
#include "../support/random_definition.hpp"

namespace backstitch::test {
namespace {

constexpr std::uint64_t body_seeds = 1'000;

/// What a success may have as body in place of the usual object.
const Json odd_bodies[] = {nullptr, "<!doctype html><title>Sign in</title>", Json::object(), 7};

bool fails_for_some_body(const dsl::Template& output) {
  return std::any_of(std::begin(odd_bodies), std::end(odd_bodies), [&](const Json& body) {
    dsl::Budget budget;
    return !output.render(AnswerScope(200, body), budget);
  });
}

Json random_output(Dice& dice) {
  const char* text =
      dice.pick({"${response.body.n}", "${response.body?.n}", "${response.body?.n ?? 0}",
                 "${response.body}", "${response.body.list[0]}", "${response.body?.list?[0]}",
                 "${response.body?.n.of}", "${response.body == null ? 0 : 1}", "${response.status}",
                 "${response.headers?.location ?? 'none'}"});
  return dice.chance(50) ? Json(text) : Json{{"n", text}, {"of", "it"}};
}

/// Gives each pivot an output, or something to capture. @return the pivots' names
std::vector<std::string> give_outputs(Json& node, Dice& dice) {
  std::vector<std::string> pivots;
  if (node.is_object() && node.contains("action") && node.value("kind", "") == "pivot") {
    node[dice.chance(70) ? "output" : "capture"] = random_output(dice);
    pivots.push_back(node["name"]);
  }
  for (auto& inner : node) {
    if (!inner.is_structured()) continue;
    for (auto& name : give_outputs(inner, dice)) pivots.push_back(std::move(name));
  }
  return pivots;
}

bool is_warned_of(const std::vector<dsl::Finding>& findings, const std::string& pointer) {
  return std::any_of(findings.begin(), findings.end(), [&](const dsl::Finding& finding) {
    return finding.code == "W425" && finding.pointer == pointer;
  });
}

TEST_CASE("a pivot's output is warned of if and only if an unusual body makes it impossible") {
  std::size_t warned = 0;
  std::size_t quiet = 0;
  for (std::uint64_t seed = 0; seed < body_seeds; ++seed) {
    Json document = random_definition(seed).document;
    Dice dice(seed);
    const auto pivots = give_outputs(document["steps"], dice);
    const auto parsed = dsl::parse_and_check(document.dump());
    if (!parsed.definition) continue;  // something reads the output that was there
    for (const auto& name : pivots) {
      const dsl::Step& step = *dsl::find_step(*parsed.definition, name);
      const auto& action = std::get<dsl::Action>(step.body);
      for (const bool capture : {false, true}) {
        const auto& source = capture ? action.capture : action.output;
        if (!source) continue;
        const bool fails = fails_for_some_body(*source);
        const std::string pointer = step.pointer + (capture ? "/capture" : "/output");
        CAPTURE(seed);
        CAPTURE(document.dump());
        REQUIRE(is_warned_of(parsed.findings, pointer) == fails);
        ++(fails ? warned : quiet);
      }
    }
  }
  CHECK(warned > 50);
  CHECK(quiet > 50);
}

}  // namespace
}  // namespace backstitch::test

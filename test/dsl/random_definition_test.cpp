// Random definitions are what other tests build on: these hold that they are definitions, and that
// they have everything the language has to say about control flow.
#include "../support/random_definition.hpp"

#include <map>
#include <string>

#include <doctest/doctest.h>

#include <backstitch/dsl/check.hpp>

namespace backstitch::test {
namespace {

constexpr std::uint64_t seeds = 2'000;

/// How often each word was used, with the key above it: `steps.wait`, `parallel.onFailure=finish`.
class Words {
 public:
  void see(const Json& node, const std::string& above, bool in_switch = false) {
    if (node.is_array()) {
      for (const auto& item : node) see(item, above, in_switch);
      return;
    }
    if (above == "catch" && !node.contains("codes") && !node.contains("classes") &&
        !node.contains("when"))
      ++counts_["catch everything"];
    if (in_switch && node.contains("kind") && node["kind"] == "pivot") ++counts_["pivot in switch"];
    for (const auto& [name, value] : node.items()) {
      ++counts_[above + "." + name];
      if (value.is_string()) ++counts_[above + "." + name + "=" + value.get<std::string>()];
      if (value.is_structured()) see(value, name, in_switch || name == "switch");
    }
  }
  int of(const std::string& word) const {
    const auto found = counts_.find(word);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  std::map<std::string, int> counts_;
};

std::size_t depth_of(const Json& node) {
  std::size_t deepest = 0;
  for (const auto& inner : node) {
    if (inner.is_structured()) deepest = std::max(deepest, depth_of(inner));
  }
  const bool block = node.is_object() && (node.contains("branches") || node.contains("cases") ||
                                          node.contains("catch") || node.contains("yield"));
  return deepest + (block ? 1 : 0);
}

TEST_CASE("every random definition passes the checker, and its input its schema") {
  for (const auto& vocabulary : {Vocabulary{}, plain_steps}) {
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      const auto random = random_definition(seed, random_leaves_max, vocabulary);
      const auto parsed = dsl::parse_and_check(random.document.dump());
      for (const auto& finding : parsed.findings) {
        if (finding.severity == dsl::Severity::error)
          MESSAGE("seed " << seed << ": " << finding.code << " " << finding.pointer << " "
                          << finding.message << " in " << random.document.dump());
      }
      REQUIRE(parsed.definition);
      REQUIRE(parsed.definition->input->validate(random.input).empty());
    }
  }
}

TEST_CASE("random definitions have every block, option and kind of step") {
  Words words;
  std::size_t deepest = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const Json document = random_definition(seed).document;
    words.see(document, "");
    deepest = std::max(deepest, depth_of(document));
  }
  CHECK(deepest == 4);
  for (const char* word :
       {"steps.action", "steps.parallel", "steps.switch", "steps.forEach", "steps.try",
        "steps.wait", "steps.sleep", "steps.value", "steps.fail", "steps.when",
        // Steps that call.
        "steps.kind=pivot", "steps.kind=retryable", "steps.kind=readonly",
        "steps.kind=compensatable", "pivot in switch", "steps.compensation=none",
        "compensation.when", "compensation.onExhausted=continue", "steps.probe", "probe.sealed",
        "steps.capture", "steps.output", "steps.outcomes", "retry.maxAttempts", "steps.timeout",
        "steps.attemptTimeout",
        // Blocks and their options.
        "parallel.onFailure=cancel", "parallel.onFailure=finish",
        "parallel.compensationOrder=mirror", "parallel.compensationOrder=serial",
        "parallel.maxConcurrency", "forEach.onFailure=cancel", "forEach.onFailure=finish",
        "forEach.compensationOrder=mirror", "forEach.compensationOrder=serial",
        "forEach.maxConcurrency", "forEach.in=${[3, 1, 2]}", "forEach.in=${input.items}",
        "forEach.key", "forEach.indexAs", "forEach.yield", "cases.output", "otherwise.output",
        "try.output", "catch.output", "catch.codes", "catch.classes", "catch.when",
        "catch everything", "wait.onTimeout=fail", "wait.onTimeout=continue", "wait.schema",
        "wait.accept", "sleep.for", "sleep.until", "fail.message", "fail.details",
        // The saga as a whole.
        ".recovery=forward", ".onFailure", ".onSuspended", ".output", ".labels", ".businessKey",
        "s.idempotency=natural"}) {
    CAPTURE(word);
    CHECK(words.of(word) >= 40);
  }
}

TEST_CASE("random definitions of few leaves are small, and equal seeds give equal ones") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Json one = random_definition(seed, 1).document["steps"];
    // One leaf, or a pivot beside it, with the blocks around it.
    CHECK(one.size() <= 2);
    CHECK(random_definition(seed).document == random_definition(seed).document);
    CHECK(random_definition(seed).input == random_definition(seed).input);
  }
}

}  // namespace
}  // namespace backstitch::test

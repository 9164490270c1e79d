#pragma once
/// What tests of the exploration share.
#include <memory>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include <backstitch/dsl/check.hpp>
#include <backstitch/engine/explore/explore.hpp>

namespace backstitch::test {

/// Accepted by the checker, or the test fails with its findings.
inline engine::Program program_of(const std::string& text) {
  auto parsed = dsl::parse_and_check(text);
  for (const auto& finding : parsed.findings) {
    if (finding.severity == dsl::Severity::error) MESSAGE(finding.code << " " << finding.message);
  }
  REQUIRE(parsed.definition);
  return {parsed.definition, std::make_shared<engine::ServiceMap>(), nullptr};
}

/// `COMPLETED`, `FAILED CANCELLED`, …; each with a number and a story.
inline std::set<std::string> endings_of(const engine::explore::Exploration& found) {
  std::set<std::string> endings;
  for (const auto& ending : found.endings) {
    CHECK(ending.count > 0);
    CHECK_FALSE(ending.story.empty());
    endings.insert(std::string(to_text(ending.status)) +
                   (ending.why.empty() ? "" : " " + ending.why));
  }
  return endings;
}

}  // namespace backstitch::test

#pragma once
#include <string>

#include <doctest/doctest.h>

#include <backstitch/dsl/parse.hpp>

#include "../../support/reference_interpreter.hpp"
#include "../../support/usual_steps.hpp"

namespace backstitch::test {

/// What the reference says of a saga with these members, in which this was seen; empty: all is
/// well.
inline std::string verdict(const std::string& members, const std::string& seen,
                           const std::string& input = R"({"n": 1})") {
  Json document = Json::parse("{" + members + "}");
  document.update(Json::parse(R"({"dsl": 1, "name": "t.r", "version": 1,
    "services": {"s": {"baseUrl": "https://s.example"}}})"));
  write_out_steps(document, "s");
  const auto parsed = dsl::parse_definition(document.dump());
  for (const auto& finding : parsed.findings) MESSAGE(finding.pointer << " " << finding.message);
  REQUIRE(parsed.definition);
  return judge(*parsed.definition, Json::parse(input), observed(seen));
}

}  // namespace backstitch::test

// Macros for the line that a failure names.
#define ALLOWED(...) CHECK(verdict(__VA_ARGS__) == "")
#define REFUSED(why, ...)                          \
  do {                                             \
    const std::string said = verdict(__VA_ARGS__); \
    CAPTURE(said);                                 \
    CHECK(said.find(why) != std::string::npos);    \
  } while (false)

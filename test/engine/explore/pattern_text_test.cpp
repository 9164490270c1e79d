#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/payload_schema.hpp>

#include "../../../engine/explore/pattern_text.hpp"

using namespace backstitch;
using engine::explore::texts_of_pattern;

namespace {

/// Those texts that RE2 matches.
std::vector<std::string> matching(const std::string& pattern) {
  std::shared_ptr<const dsl::PayloadSchema> schema;
  const auto findings = dsl::PayloadSchema::compile({{"pattern", pattern}}, "", schema);
  REQUIRE_MESSAGE(schema, pattern);
  auto texts = texts_of_pattern(pattern, 1'000);
  std::erase_if(texts, [&](const std::string& text) { return !schema->validate(text).empty(); });
  return texts;
}

}  // namespace

TEST_CASE("a text is found for each form of the syntax of RE2") {
  for (const char* pattern : {"^[A-Z]{2}[0-9]{2}$",
                              "^\\d{3}-\\d{4}$",
                              "^(foo|bar)+$",
                              "^[^@\\s]+@[^@\\s]+\\.[a-z]{2,}$",
                              "^(?:\\+49|0)[1-9][0-9]{3,11}$",
                              "^\\pL+$",
                              "^\\p{Lu}\\p{Ll}*$",
                              "^\\P{Greek}$",
                              "^[[:alpha:]][[:alnum:]_-]*$",
                              "^[^a-z]$",
                              "^[\\]\\-\\\\]{3}$",
                              "^\\Qa.b*c\\E$",
                              "^(?i)eur|usd$",
                              "^(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])$",
                              "^a{0}b?c*d+?$",
                              "^\\x41\\x{1F600}$",
                              "^ä[ö-ü]$",
                              "^[]a]{2}$",
                              "^a{,3}$",
                              "^.{5}$",
                              "^\\bab\\b$",
                              "^[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{4}){3,7}$",
                              "x",
                              "",
                              "^$",
                              "^(a|b|)$",
                              "\\.",
                              "^[\\d.]+$"})
    CHECK_MESSAGE(!matching(pattern).empty(), pattern);
}

TEST_CASE("several texts are found where there are several") {
  CHECK(matching("^[A-Z]{2}[0-9]{2}$").size() >= 2);
  CHECK(matching("^ab$") == std::vector<std::string>{"ab"});
  const auto longer = matching("^[a-z]+$");
  CHECK(std::any_of(longer.begin(), longer.end(),
                    [](const std::string& text) { return text.size() > 100; }));
}

TEST_CASE("nothing is made up for what is not read") {
  for (const char* pattern : {"[", "(a", "a)", "\\p{Klingon}", "[[:nothing:]]", "\\x{zz}", "[z-a]"})
    CHECK_MESSAGE(texts_of_pattern(pattern, 100).empty(), pattern);
}

TEST_CASE("a pattern that repeats without end gives texts of bounded length") {
  for (const char* pattern :
       {"^(((((a*)*)*)*)*)*$", "^((a{1000}){10})+$", "^(((a{9}){9}){9}){9}$"}) {
    const auto texts = texts_of_pattern(pattern, 200);
    CHECK(std::all_of(texts.begin(), texts.end(),
                      [](const std::string& text) { return text.size() <= 800; }));
  }
}

// The domain of numbers: which values a saga can hold, and that PostgreSQL gives them back.
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/expression.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/dsl/number.hpp>

#include "../support/dice.hpp"

namespace backstitch::test {
namespace {

constexpr int values_random = 20'000;

std::string shortest(double value) {
  char text[32];
  const auto end =
      std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  return {text, end};
}

/// `3`, `3.5e+00 double`, `refused`.
std::string taken(const std::string& text) {
  const auto value = dsl::number_of(text);
  if (!value) return "refused";
  return value->is_number_integer() ? value->dump() : shortest(value->get<double>()) + " double";
}

/// As `numeric` writes it: all digits, no exponent.
std::string as_numeric(std::string text) {
  const bool negative = text.front() == '-';
  if (negative) text.erase(0, 1);
  const auto mark = text.find('e');
  if (mark == std::string::npos) return (negative ? "-" : "") + text;
  const int exponent = std::stoi(text.substr(mark + 1));
  std::string digits = text.substr(0, mark);
  if (const auto point = digits.find('.'); point != std::string::npos) digits.erase(point, 1);
  const int behind = static_cast<int>(digits.size()) - 1 - exponent;
  if (behind <= 0) {
    digits.append(static_cast<std::size_t>(-behind), '0');
  } else {
    if (exponent < 0) digits.insert(0, static_cast<std::size_t>(-exponent), '0');
    digits.insert(digits.size() - static_cast<std::size_t>(behind), ".");
  }
  return (negative ? "-" : "") + digits;
}

double random_double(Dice& dice) {
  while (true) {
    double value = 0;
    const std::uint64_t bits = dice.roll();
    std::memcpy(&value, &bits, sizeof value);
    if (std::isfinite(value)) return value;
  }
}

/// Powers of two and ten and what is beside them, and anything.
std::vector<double> doubles() {
  std::vector<double> all{0.0, -0.0, 0.1, 1.5e15, 1e15, 1e16, 1.2e19, 1e23, 1e308, 5e-324};
  for (int power = -1074; power <= 1023; ++power) {
    const double value = std::ldexp(1.0, power);
    for (const double one : {value, std::nextafter(value, 0.0), std::nextafter(value, 2 * value)})
      all.insert(all.end(), {one, -one});
  }
  Dice dice(1);
  for (int i = 0; i < values_random; ++i) all.push_back(random_double(dice));
  std::erase_if(all, [](double value) { return !std::isfinite(value); });
  return all;
}

TEST_CASE("a number is an integer, the nearest double, or refused") {
  const std::pair<const char*, const char*> rows[] = {
      {"0", "0"},
      {"-0", "0"},
      {"-0.0", "0"},
      {"0e999999999999999999999", "0"},
      {"3", "3"},
      {"3.0", "3"},
      {"3.000", "3"},
      {"1e3", "1000"},
      {"1.5e1", "15"},
      {"1500e-2", "15"},
      {"1E+18", "1000000000000000000"},
      {"9223372036854775807", "9223372036854775807"},
      {"9223372036854775807.0", "9223372036854775807"},
      {"922337203685477580.7e1", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"9007199254740993", "9007199254740993"},
      {"9007199254740993.5", "9007199254740994"},
      {"0.1", "1e-01 double"},
      {"0.30000000000000004", "3.0000000000000004e-01 double"},
      {"0.3000000000000000444089209850062616169452667236328125", "3.0000000000000004e-01 double"},
      {"2.5", "2.5e+00 double"},
      {"9223372036854775808", "refused"},
      {"-9223372036854775809", "refused"},
      {"18446744073709551615", "refused"},
      {"18446744073709551616", "refused"},
      {"18446744073709552000", "1.8446744073709552e+19 double"},
      {"12000000000000000000", "1.2e+19 double"},
      {"1.2e19", "1.2e+19 double"},
      {"100000000000000000000000", "1e+23 double"},
      {"100000000000000000000001", "refused"},
      {"1e23", "1e+23 double"},
      {"1e308", "1e+308 double"},
      {"1e309", "refused"},
      {"-1e400", "refused"},
      {"1e99999999999999999999", "refused"},
      {"5e-324", "5e-324 double"},
      {"1e-400", "0"},
      {"1e-99999999999999999999", "0"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.first);
    CHECK(taken(row.first) == row.second);
  }
}

TEST_CASE("whatever double a saga holds, its text and PostgreSQL's text of it give it back") {
  for (const double value : doubles()) {
    const Json held = dsl::number(value);
    const bool is_integer = held.is_number_integer();
    for (const std::string& text : {json_text(held), as_numeric(json_text(held)),
                                    is_integer ? json_text(held) : as_numeric(shortest(value))}) {
      const auto again = dsl::number_of(text);
      const Json stored = dsl::stored_number(text);
      const bool same = again && again->type() == held.type() && *again == held &&
                        stored.type() == held.type() && stored == held;
      if (same) continue;
      CAPTURE(text);
      CAPTURE(json_text(held));
      FAIL_CHECK("another value");
    }
  }
}

TEST_CASE("whatever integer has been held, it is the same integer") {
  Dice dice(2);
  for (int i = 0; i < values_random; ++i) {
    const auto value = static_cast<std::int64_t>(dice.roll() >> dice.below(64));
    for (const std::string& text :
         {std::to_string(value), std::to_string(value) + ".0", std::to_string(value) + "e0"})
      CHECK(taken(text) == std::to_string(value));
  }
}

TEST_CASE("JSON text is compact, has doubles in their shortest form, and a known size") {
  const std::pair<Json, const char*> rows[] = {
      {nullptr, "null"},
      {{{"b", 1}, {"a", {true, false}}}, R"({"a":[true,false],"b":1})"},
      {"é\n\"\\\x01", R"("é\n\"\\\u0001")"},
      {1e23, "1e+23"},
      {0.1, "0.1"},
      {1e-7, "1e-07"},
      {-2.5, "-2.5"},
      {INT64_MIN, "-9223372036854775808"},
      {Json::object(), "{}"},
      {Json::array(), "[]"}};
  for (const auto& [value, text] : rows) {
    CHECK(json_text(value) == text);
    CHECK(json_text_size(value) == std::string(text).size());
    CHECK(*dsl::parse_json(text) == value);
  }
}

TEST_CASE("what is computed has the form of the domain") {
  struct NoNames : dsl::Scope {
    const Json* find(std::string_view) const override { return nullptr; }
    const Json* step(std::string_view) const override { return nullptr; }
    const Json* step_output(std::string_view) const override { return nullptr; }
  };
  const std::pair<const char*, const char*> rows[] = {{"6 / 2", "3"},
                                                      {"9007199254740993 / 1", "9007199254740993"},
                                                      {"-9 / -1", "9"},
                                                      {"7 / 2", "3.5"},
                                                      {"0.5 + 0.5", "1"},
                                                      {"-0.0", "0"},
                                                      {"0 * -1.5", "0"},
                                                      {"1e3", "1000"},
                                                      {"number('2.0')", "2"},
                                                      {"abs(-2.5)", "2.5"},
                                                      {"1.5e15 * 2", "3000000000000000"},
                                                      {"2.5 * 4", "10"},
                                                      {"1e23 * 2 > 1e23", "true"},
                                                      {"min([2.0, 3])", "2"},
                                                      {"[1.0, {'a': 2.0}]", R"([1,{"a":2}])"}};
  for (const auto& row : rows) {
    CAPTURE(row.first);
    const auto expression = dsl::Expression::compile(row.first);
    REQUIRE(expression.has_value());
    dsl::Budget budget;
    const auto value = expression->evaluate_value(NoNames{}, budget);
    REQUIRE(value.has_value());
    CHECK(value->dump() == row.second);
  }
}

TEST_CASE("a value that a program has built is admitted as its text would be") {
  const auto admitted = [](Json value, const dsl::GateLimits& limits = {}) {
    const auto taken = dsl::admit(std::move(value), limits);
    return taken ? taken->dump() : taken.error().reason + " " + taken.error().details.at(0).pointer;
  };
  CHECK(admitted({{"a", 1.0}, {"b", {1U, -0.0}}}) == R"({"a":1,"b":[1,0]})");
  CHECK(admitted({{"a", {{"b", UINT64_MAX}}}}) == "json-integer-range /a/b");
  CHECK(admitted({1, std::numeric_limits<double>::quiet_NaN()}) == "json-number-range /1");
  CHECK(admitted({1, std::numeric_limits<double>::infinity()}) == "json-number-range /1");
  CHECK(admitted({{"a/b", std::string("x\0y", 3)}}) == "json-nul /a~1b");
  CHECK(admitted("\xc3\x28") == "json-encoding ");
  CHECK(admitted(Json::binary({1})) == "json-syntax ");
  Json deep = 1;
  for (int i = 0; i < 64; ++i) deep = Json::array({deep});
  CHECK(admitted(deep) == deep.dump());
  CHECK(admitted(Json::array({deep})).starts_with("json-too-deep /0/0/0"));
  CHECK(admitted("four", {.bytes_max = 6}) == R"("four")");
  CHECK(admitted("fours", {.bytes_max = 6}) == "json-too-large ");
}

}  // namespace
}  // namespace backstitch::test

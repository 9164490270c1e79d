// Untrusted text: what is let in, and what is refused under which code.
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>

namespace backstitch::test {
namespace {

std::string gate(const std::string& text, const dsl::GateLimits& limits = {}) {
  const auto value = dsl::parse_json(text, limits);
  return value ? value->dump() : value.error().reason;
}

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

TEST_CASE("JSON comes in as it is") {
  for (const char* text : {"null", "[]", R"({"a":[1,-2,2.5,true,"ü"]})", R"("\ud83d\ude00")",
                           "9223372036854775807", "-9223372036854775808", "1e308"}) {
    CAPTURE(text);
    const auto value = dsl::parse_json(text);
    REQUIRE(value.has_value());
    CHECK(*value == Json::parse(text));
  }
}

TEST_CASE("what the engine cannot hold is refused under its own code") {
  struct Row {
    std::string text;
    std::string code;
  };
  for (const Row& row :
       std::initializer_list<Row>{{"", "json-syntax"},
                                  {"{", "json-syntax"},
                                  {"[1,]", "json-syntax"},
                                  {"{'a': 1}", "json-syntax"},
                                  {"NaN", "json-syntax"},
                                  {"[1] 2", "json-syntax"},
                                  {"// no comments\n1", "json-syntax"},
                                  {"1e999", "json-number-range"},
                                  {"\"\xc3\x28\"", "json-encoding"},
                                  {"\"\xed\xa0\x80\"", "json-encoding"},
                                  {"\xff\xfe", "json-syntax"},
                                  {R"("\u0000")", "json-nul"},
                                  {R"({"a\u0000b": 1})", "json-nul"},
                                  {R"({"a": 1, "b": 2, "a": 3})", "json-duplicate-key"},
                                  {R"({"a": {"x": 1, "\u0078": 2}})", "json-duplicate-key"},
                                  {"18446744073709551616", "json-integer-range"},
                                  {"{\"v\":1e400}", "json-number-range"},
                                  {"-1E+999", "json-number-range"},
                                  {"9223372036854775808", "json-integer-range"},
                                  {"-9223372036854775809", "json-integer-range"},
                                  {nested(65), "json-too-deep"},
                                  {nested(100'000), "json-too-deep"},
                                  {std::string(100'000, '{'), "json-syntax"}}) {
    CAPTURE(row.text.substr(0, 40));
    CHECK(gate(row.text) == row.code);
  }
  CHECK(gate(nested(64)) == nested(64));
}

TEST_CASE("a list with too many items is refused at the first of them, within the outer levels") {
  dsl::GateLimits limits = dsl::GateLimits{}.around(2);
  limits.items_max = 2;
  CHECK(gate(R"({"list":[[1,2,3],{"a":1,"b":2,"c":3}]})", limits) ==
        R"({"list":[[1,2,3],{"a":1,"b":2,"c":3}]})");
  CHECK(gate(R"({"a":1,"b":2,"c":3})", limits) == R"({"a":1,"b":2,"c":3})");
  for (const char* third : {"3", "{}", "[]", "\"x\"", "null"}) {
    CHECK_MESSAGE(
        gate(R"({"list":[1,2,)" + std::string(third) + "]}", limits) == "json-too-many-items",
        third);
  }
  CHECK(gate(R"({"list":[1,2,3 and no JSON after it)", limits) == "json-too-many-items");
}

TEST_CASE("size is judged before anything is read") {
  CHECK(gate("[1,2,3]", {.bytes_max = 6}) == "json-too-large");
  CHECK(gate("[1,2,3]", {.bytes_max = 7}) == "[1,2,3]");
}

TEST_CASE("a refusal says where") {
  const auto refused = dsl::parse_json("{\n  \"a\": {\"b\": [1, 18446744073709551616]}\n}");
  REQUIRE_FALSE(refused.has_value());
  REQUIRE(refused.error().details.size() == 1);
  CHECK(refused.error().details[0].pointer == "/a/b/1");
  const auto escaped = dsl::parse_json(R"({"a/b": [{"c~d": 18446744073709551616}]})");
  REQUIRE_FALSE(escaped.has_value());
  CHECK(escaped.error().details.at(0).pointer == "/a~1b/0/c~0d");
  const auto broken = dsl::parse_json("{\n  \"a\": [1, 2,, 3]\n}");
  REQUIRE_FALSE(broken.has_value());
  CHECK(broken.error().details.at(0).pointer == "/a/2");
  CHECK(broken.error().message.find("line 2, column 14") != std::string::npos);
}

TEST_CASE("a refusal is itself text that can be sent, whatever was refused") {
  for (const std::string& text :
       {std::string("\"\xc3\x28\""), std::string("\xff\xfe"), std::string("{\"a\": ä}"),
        std::string("[1, €"), std::string("\"\xf0\x9f\x98"), std::string("{\"\xc3\": 1}"),
        std::string("[\"ü\", \"ü\x01\"]"), std::string("{\"ü\": 1, \"ü\": 2}")}) {
    CAPTURE(text.size());
    const auto refused = dsl::parse_json(text);
    REQUIRE_FALSE(refused.has_value());
    CHECK_NOTHROW(static_cast<void>(Json(refused.error().message).dump()));
    for (const auto& detail : refused.error().details)
      CHECK_NOTHROW(static_cast<void>(Json{detail.pointer, detail.message}.dump()));
  }
}

}  // namespace
}  // namespace backstitch::test

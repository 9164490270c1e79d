// The subset of JSON Schema for inputs: what each keyword lets through.
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/payload_schema.hpp>

namespace backstitch::test {
namespace {

std::shared_ptr<const dsl::PayloadSchema> compiled(const std::string& schema) {
  std::shared_ptr<const dsl::PayloadSchema> out;
  const auto findings = dsl::PayloadSchema::compile(Json::parse(schema), "/input", out);
  for (const auto& finding : findings) MESSAGE(finding.pointer << " " << finding.message);
  REQUIRE(out);
  return out;
}

/// The pointers of what is wrong, `ok` if nothing is.
std::string judged(const std::string& schema, const std::string& value) {
  std::string pointers;
  for (const auto& violation : compiled(schema)->validate(Json::parse(value)))
    pointers +=
        (pointers.empty() ? "" : " ") + (violation.pointer.empty() ? "(root)" : violation.pointer);
  return pointers.empty() ? "ok" : pointers;
}

TEST_CASE("each keyword lets through what it says and names the place of what it does not") {
  struct Row {
    std::string schema;
    std::string value;
    std::string judged;
  };
  for (const Row& row : std::initializer_list<Row>{
           {R"({"type":"string"})", R"("a")", "ok"},
           {R"({"type":"string"})", "1", "(root)"},
           {R"({"type":["string","null"]})", "null", "ok"},
           {R"({"type":"integer"})", "1", "ok"},
           {R"({"type":"integer"})", "1.0", "ok"},
           {R"({"type":"integer"})", "1.5", "(root)"},
           {R"({"type":"number"})", "1", "ok"},
           {R"({"type":"boolean"})", "null", "(root)"},
           {R"({"enum":["a",1]})", "1", "ok"},
           {R"({"enum":["a",1]})", R"("b")", "(root)"},
           {R"({"const":{"a":1}})", R"({"a":1.0})", "ok"},
           {R"({"const":1})", "2", "(root)"},
           {R"({"type":"object","required":["a","b"]})", R"({"a":1})", "/b"},
           {R"({"type":"object","properties":{"a":{"type":"string"}}})", R"({"a":1,"x":2})", "/a"},
           {R"({"type":"object","properties":{"a":{}},"additionalProperties":false})",
            R"({"a":1,"x":2})", "/x"},
           {R"({"type":"object","additionalProperties":{"type":"integer"}})", R"({"x":2,"y":"z"})",
            "/y"},
           {R"({"type":"array","items":{"type":"integer"}})", R"([1,"a",2,"b"])", "/1 /3"},
           {R"({"type":"array","minItems":2})", "[1]", "(root)"},
           {R"({"type":"array","maxItems":2})", "[1,2,3]", "(root)"},
           {R"({"type":"array","uniqueItems":true})", "[1,2,1.0]", "(root)"},
           {R"({"type":"array","uniqueItems":true})", R"([1,"1",[1]])", "ok"},
           {R"({"type":"array","uniqueItems":true})", R"([{"a":1,"b":2},{"b":2,"a":1.0}])",
            "(root)"},
           {R"({"type":"array","uniqueItems":true})", "[9007199254740993,9007199254740992.0]",
            "ok"},
           {R"({"type":"array","uniqueItems":true})", "[[1,2],[1],[1,3],null,false,true,null]",
            "(root)"},
           {R"({"type":"array","uniqueItems":false})", "[1,1]", "ok"},
           {R"({"const":9007199254740993})", "9007199254740992.0", "(root)"},
           {R"({"enum":[9007199254740993,"x"]})", "9007199254740992.0", "(root)"},
           {R"({"enum":[[1],{"a":2}]})", R"({"a":2.0})", "ok"},
           {R"({"maximum":9007199254740992.0})", "9007199254740993", "(root)"},
           {R"({"minimum":1,"maximum":3})", "1", "ok"},
           {R"({"minimum":1,"maximum":3})", "3", "ok"},
           {R"({"minimum":1,"maximum":3})", "0.9", "(root)"},
           {R"({"exclusiveMaximum":3})", "3", "(root)"},
           {R"({"exclusiveMinimum":1})", "1.1", "ok"},
           {R"({"minLength":2,"maxLength":3})", R"("äöüß")", "(root)"},
           {R"({"minItems":2,"maxItems":2})", "[1,2]", "ok"},
           {R"({"minimum":1,"minLength":9,"minItems":9,"pattern":"x"})", "true", "ok"},
           {R"({"additionalProperties":false})", R"({"a":1,"b":2})", "/a /b"},
           {R"({"properties":{"a":false}})", R"({"a":1})", "/a"},
           {R"({"properties":{"a":true}})", R"({"a":1})", "ok"},
           {R"({"description":"d","title":"t","x-any":{"a":[]},"x-sensitive":true})", "1", "ok"},
           {R"({"format":"date"})", R"("2024-02-29T00:00:00Z")", "(root)"},
           {R"({"type":["integer","string"]})", "1.5", "(root)"},
           {R"({"type":"integer"})", "1e300", "ok"},
           {R"({"minimum":1,"maximum":3})", "3.1", "(root)"},
           {R"({"exclusiveMinimum":1})", "1", "(root)"},
           {R"({"exclusiveMaximum":3})", "2.9", "ok"},
           {R"({"minLength":2,"maxLength":3})", R"("äö")", "ok"},
           {R"({"minLength":2})", R"("ä")", "(root)"},
           {R"({"pattern":"^[a-z]+$"})", R"("abc")", "ok"},
           {R"({"pattern":"^[a-z]+$"})", R"("aBc")", "(root)"},
           {R"({"pattern":"b"})", R"("abc")", "ok"},
           {R"({"format":"date"})", R"("2024-02-29")", "ok"},
           {R"({"format":"date"})", R"("2023-02-29")", "(root)"},
           {R"({"format":"date-time"})", R"("2024-02-29T10:00:00Z")", "ok"},
           {R"({"format":"date-time"})", R"("2024-02-29 10:00")", "(root)"},
           {R"({"format":"uuid"})", R"("019b76da-a800-7a1a-973f-0882d8f2c634")", "ok"},
           {R"({"format":"uuid"})", R"("019b76da")", "(root)"},
           {R"({"type":"object","properties":{"a/b":{"type":"object","required":["~"]}}})",
            R"({"a/b":{}})", "/a~1b/~0"}}) {
    CAPTURE(row.schema);
    CAPTURE(row.value);
    CHECK(judged(row.schema, row.value) == row.judged);
  }
}

TEST_CASE("a schema outside the subset is refused with the place of the keyword") {
  struct Row {
    std::string schema;
    std::string pointer;
  };
  for (const Row& row : std::initializer_list<Row>{
           {R"({"oneOf":[]})", "/input/oneOf"},
           {R"({"$ref":"#/a"})", "/input/$ref"},
           {R"({"type":"strin"})", "/input/type"},
           {R"({"properties":{"a":{"minimum":"1"}}})", "/input/properties/a/minimum"},
           {R"({"pattern":"("})", "/input/pattern"},
           {R"({"pattern":"(a)\\1"})", "/input/pattern"},
           {R"({"format":"email"})", "/input/format"},
           {R"({"type":"integer","default":"x"})", "/input/default"},
           {R"({"minItems":-1})", "/input/minItems"},
           {R"({"type":[]})", "/input/type"},
           {R"({"type":["string",1]})", "/input/type"},
           {R"({"enum":1})", "/input/enum"},
           {R"({"required":["a",1]})", "/input/required"},
           {R"({"properties":[]})", "/input/properties"},
           {R"({"properties":{"a/b":{"items":{"maxLength":"1"}}}})",
            "/input/properties/a~1b/items/maxLength"},
           {R"({"additionalProperties":{"type":"x"}})", "/input/additionalProperties/type"},
           {R"({"uniqueItems":"yes"})", "/input/uniqueItems"},
           {R"({"x-sensitive":1})", "/input/x-sensitive"},
           {R"({"minLength":1.5})", "/input/minLength"},
           {R"({"pattern":1})", "/input/pattern"},
           {R"({"minItems":2,"maxItems":1})", "/input/minItems"},
           {R"({"minLength":2,"maxLength":1})", "/input/minLength"},
           {R"({"minimum":2,"maximum":1})", "/input/minimum"},
           {R"({"minimum":1,"exclusiveMaximum":1})", "/input/minimum"},
           {R"({"exclusiveMinimum":1,"maximum":1})", "/input/exclusiveMinimum"},
           {R"({"required":["a"],"additionalProperties":false})", "/input/required"},
           {R"({"required":["a"],"properties":{"a":false}})", "/input/required"},
           {R"(false)", "/input"},
           {R"([])", "/input"}}) {
    CAPTURE(row.schema);
    std::shared_ptr<const dsl::PayloadSchema> out;
    const auto findings = dsl::PayloadSchema::compile(Json::parse(row.schema), "/input", out);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].code == "E501");
    CHECK(findings[0].pointer.rfind(row.pointer, 0) == 0);
    CHECK_FALSE(out);
  }
}

TEST_CASE("a schema may be as narrow as one value") {
  for (const char* schema :
       {R"({"minimum":1,"maximum":1})", R"({"minLength":1,"maxLength":1})",
        R"({"minItems":1,"maxItems":1})", R"({"exclusiveMinimum":1,"exclusiveMaximum":2})",
        R"({"required":["a"],"properties":{"a":{}},"additionalProperties":false})",
        R"({"required":["a"],"additionalProperties":{}})", "true", "{}"}) {
    CAPTURE(schema);
    CHECK(compiled(schema));
  }
}

TEST_CASE("a pattern runs in linear time") {
  const std::string evil = "\"" + std::string(5'000, 'a') + "!\"";
  CHECK(judged(R"({"pattern":"^(a+)+$"})", evil) == "(root)");
}

TEST_CASE("defaults fill what is absent, at every level that is there") {
  const auto schema = compiled(R"({"type":"object","properties":{
    "a":{"default":1},"b":{"type":"object","properties":{"c":{"default":[2]}}},"d":{"type":"object",
    "properties":{"e":{"default":3}}}}})");
  CHECK(schema->with_defaults(Json::parse(R"({"b":{}})")) ==
        Json::parse(R"({"a":1,"b":{"c":[2]}})"));
  CHECK(schema->with_defaults(Json::parse(R"({"a":null})")) == Json::parse(R"({"a":null})"));
  const auto list = compiled(R"({"items":{"properties":{"n":{"default":7}}}})");
  CHECK(list->with_defaults(Json::parse(R"([{}, {"n":1}, 3])")) ==
        Json::parse(R"([{"n":7}, {"n":1}, 3])"));
  const auto nested =
      compiled(R"({"properties":{"a":{"default":{},"properties":{"b":{"default":2}}}}})");
  CHECK(nested->with_defaults(Json::object()) == Json::parse(R"({"a":{"b":2}})"));
}

TEST_CASE("a hopeless value is not listed without end") {
  Json value = Json::array();
  for (int i = 0; i < 10'000; ++i) value.push_back("x");
  CHECK(compiled(R"({"items":{"type":"integer"}})")->validate(value).size() == 50);
}

}  // namespace
}  // namespace backstitch::test

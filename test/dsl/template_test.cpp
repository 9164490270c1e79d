// Templates: JSON with expressions inside.
#include <string>

#include <doctest/doctest.h>

#include <backstitch/dsl/template.hpp>

#include "values.hpp"

namespace backstitch::test {
namespace {

std::string rendered(const std::string& source) {
  const auto compiled = dsl::Template::compile(Json::parse(source));
  if (!compiled) return "refused";
  dsl::Budget budget;
  const auto value = compiled->render(example_values(), budget);
  return value ? value->dump() : "error";
}

std::string rendered_text(const std::string& source,
                          std::string (*encode)(std::string_view) = nullptr) {
  const auto compiled = dsl::Template::compile_text(source);
  if (!compiled) return "refused";
  dsl::Budget budget;
  if (encode == nullptr) {
    const auto value = compiled->render_text(example_values(), budget);
    return value ? *value : "error";
  }
  const auto parts = compiled->render_parts(example_values(), budget);
  if (!parts) return "error";
  std::string text;
  for (const auto& part : *parts) text += part.inserted ? encode(part.text) : part.text;
  return text;
}

TEST_CASE("a string that is one expression takes the expression's type, a longer one is text") {
  struct Row {
    std::string source;
    std::string gives;
  };
  for (const Row& row : std::initializer_list<Row>{
           {R"("${input.amount}")", "250"},
           {R"("${input.lines[0]}")", R"({"price":10,"qty":2,"sku":"x"})"},
           {R"("no. ${input.amount}")", R"("no. 250")"},
           {R"("${input.id}/${input.amount}")", R"("o-17/250")"},
           {R"("${input.yes}!")", R"("true!")"},
           {R"("${ 'a}b' }")", R"("a}b")"},
           {R"("${ {a: 1}.a }")", "1"},
           {R"("plain")", R"("plain")"},
           {R"("$${input.id}")", R"("${input.id}")"},
           {R"("cost: $5")", R"("cost: $5")"},
           {R"({"a": ["${input.amount}", {"b": "${input.id}"}]})", R"({"a":[250,{"b":"o-17"}]})"},
           {R"({"x": "${omit}", "y": ["${omit}", 1]})", R"({"y":[1]})"},
           {R"("${omit}")", "error"},
           {R"("x${omit}")", "error"},
           {R"("x${input.none}")", "error"},
           {R"("x${input.tags}")", "error"},
           {R"("x${input.lines[0]}")", "error"},
           {R"("${input.missing}")", "error"},
           {R"("${input.id")", "refused"},
           {R"("${}")", "refused"},
           {R"("${'it\\'s } here'}")", R"("it's } here")"},
           {R"("${'a'}${'b'}")", R"("ab")"},
           {R"("$${a} ${input.amount} $$${1}")", R"("${a} 250 $${1}")"},
           {R"("$")", R"("$")"},
           {R"("")", R"("")"},
           {R"("${")", "refused"},
           {R"("${'}")", "refused"},
           {R"({"a": {"b": "${omit}"}, "c": []})", R"({"a":{},"c":[]})"},
           {R"("${input.lines.map(l, {q: l.qty})}")", R"([{"q":2},{"q":1}])"},
           {R"([1, 2.5, true, null])", "[1,2.5,true,null]"}}) {
    CAPTURE(row.source);
    CHECK(rendered(row.source) == row.gives);
  }
}

TEST_CASE("names of members are never templates") {
  CHECK(rendered(R"({"${input.id}": 1})") == R"({"${input.id}":1})");
}

TEST_CASE("text templates encode what is inserted and leave the constant text alone") {
  const auto stars = [](std::string_view text) { return std::string(text.size(), '*'); };
  CHECK(rendered_text("/orders/${input.id}/x") == "/orders/o-17/x");
  CHECK(rendered_text("/orders/${input.id}/x", stars) == "/orders/****/x");
  CHECK(rendered_text("${input.amount}") == "250");
  CHECK(rendered_text("${input.tags}") == "error");
  CHECK(rendered_text("${input.none}") == "error");
  CHECK(rendered_text("${omit}") == "error");
  CHECK(rendered_text("plain", stars) == "plain");
  CHECK(rendered_text("$${a}${input.id}", stars) == "${a}****");
  dsl::Budget budget;
  const auto whole =
      dsl::Template::compile_text("${input.amount}")->render(example_values(), budget);
  REQUIRE(whole.has_value());
  CHECK(*whole == Json("250"));
}

TEST_CASE("every mistake of a template is reported with its place") {
  const auto compiled =
      dsl::Template::compile(Json::parse(R"({"a": "${1 +}", "b": ["ok", "x ${foo(1)} y"]})"));
  REQUIRE_FALSE(compiled.has_value());
  REQUIRE(compiled.error().details.size() == 2);
  CHECK(compiled.error().details[0].pointer == "/a");
  CHECK(compiled.error().details[1].pointer == "/b/1");
}

TEST_CASE("one budget serves all expressions of a template") {
  Json source = Json::array();
  for (int i = 0; i < 40; ++i) source.push_back("${input.text.x}");
  const Values values(R"({"input": {"text": {"x": ")" + std::string(10'000, 'x') + R"("}}})");
  const auto compiled = dsl::Template::compile(source);
  REQUIRE(compiled.has_value());
  dsl::Budget budget;
  CHECK_FALSE(compiled->render(values, budget).has_value());
}

TEST_CASE("a template knows whether it is constant, and its text without the inserted parts") {
  CHECK(dsl::Template::compile(Json::parse(R"({"a": [1, "x"]})"))->is_constant());
  CHECK_FALSE(dsl::Template::compile(Json::parse(R"({"a": "${1}"})"))->is_constant());
  CHECK(dsl::Template::compile_text("/a/${1}/b")->skeleton() == "/a/\x01/b");
}

}  // namespace
}  // namespace backstitch::test

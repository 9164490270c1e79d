// The expression language, row by row: an expression and what it gives.
#include <string>

#include <doctest/doctest.h>

#include "values.hpp"

namespace backstitch::test {
namespace {

TEST_CASE("literals are JSON, with strings in single or double quotes") {
  check({{"1", "1"},
         {"-3", "-3"},
         {"2.50", "2.5"},
         {"1e3", "1000"},
         {"'it''s'", "refused"},
         {R"('it\'s')", R"("it's")"},
         {R"("a\nb")", R"("a\nb")"},
         {"true", "true"},
         {"null", "null"},
         {"omit", "omit"},
         {"[1, 'a', [true]]", R"([1,"a",[true]])"},
         {"{a: 1, 'b c': [2]}", R"({"a":1,"b c":[2]})"},
         {"9223372036854775807", "9223372036854775807"},
         {"9223372036854775808", "refused"}});
}

TEST_CASE("operators bind as in the grammar, from ?: up to the postfix ones") {
  check({{"1 + 2 * 3", "7"},
         {"(1 + 2) * 3", "9"},
         {"10 - 3 - 2", "5"},
         {"7 % 4 + 1", "4"},
         {"-input.amount + 1", "-249"},
         {"!true || true", "true"},
         {"true || false && false", "true"},
         {"1 + 1 == 2 && 2 < 3", "true"},
         {"false ? 1 : true ? 2 : 3", "2"},
         {"null ?? 5 + 1", "6"},
         {"input.none ?? 'x' ", R"("x")"},
         {"input.missing", "error missing"},
         {"'a' in ['a', 'b']", "true"},
         {"1 == 1 == true", "refused"},
         {"!!input.yes", "true"}});
}

TEST_CASE("integers stay exact and apart from doubles") {
  check({{"1 == 1.0", "true"},
         {"6 / 4", "1.5"},
         {"6 / 3", "2"},
         {"div(7, 2)", "3"},
         {"div(-7, 2)", "-3"},
         {"7 % -4", "3"},
         {"-7 % 4", "-3"},
         {"input.big", "9223372036854775807"},
         {"input.big + 1", "error 64 bits"},
         {"-input.big - 2", "error 64 bits"},
         {"input.big * 2", "error 64 bits"},
         {"1 / 0", "error zero"},
         {"div(1, 0)", "error zero"},
         {"1 % 0", "error zero"},
         {"input.price + 1", "3.5"},
         {"input.big == input.big + 0.5", "false"},
         {"input.big < input.big + 0.5", "true"},
         {"9007199254740993 > 9007199254740992.0", "true"},
         {"2 < 2.5 && -2 > -2.5", "true"}});
}

TEST_CASE("nothing is converted by itself") {
  check({{"'a' + 1", "error"},
         {"1 + true", "error"},
         {"'a' < 1", "error"},
         {"[1] < [2]", "error"},
         {"1 && true", "error condition"},
         {"!1", "error condition"},
         {"1 ? 2 : 3", "error condition"},
         {"'1' == 1", "false"},
         {"null == false", "false"},
         {"'a' + 'b'", R"("ab")"},
         {"[1] + [2]", "error array"},
         {"'b' > 'a'", "true"},
         {"{a: [1, 2.0]} == {a: [1.0, 2]}", "true"}});
}

TEST_CASE("a missing member is an error, and ?. and ?[ ] give null instead") {
  check({{"input.id", R"("o-17")"},
         {"input.nothing", "error nothing"},
         {"input?.nothing", "null"},
         {"input?.nothing?.more", "null"},
         {"input.none?.more", "null"},
         {"input.none.more", "error"},
         {"input['key with space']", "1"},
         {"input.tags[0]", R"("b")"},
         {"input.tags[9]", "error"},
         {"input.tags?[9]", "null"},
         {"input.tags?[9] ?? 'none'", R"("none")"},
         {"input.tags[-1]", "error"},
         {"input.id.more", "error"},
         {"input.id?.more", "null"},
         {"input.amount?.more?.and", "null"},
         {"input.yes?['more']", "null"},
         {"input.id?[0]", "null"},
         {"input.tags?.more", "null"},
         {"input.tags?['more']", "null"},
         {"input.lines?[0]?[1]", "null"},
         {"input.tags?[input.yes]", "error"},
         {"steps.reserve.output.reservationId", R"("r-1")"},
         {"steps.reserve.status", R"("succeeded")"},
         {"steps.later?.output", "null"},
         {"steps.later?.output?.x ?? 'not yet'", R"("not yet")"}});
}

TEST_CASE("macros walk arrays") {
  check({{"input.lines.map(l, l.qty * l.price)", "[20,5]"},
         {"input.lines.filter(l, l.qty > 1).map(l, l.sku)", R"(["x"])"},
         {"input.lines.flatMap(l, [l.sku, l.qty])", R"(["x",2,"y",1])"},
         {"input.lines.find(l, l.sku == 'y').price", "5"},
         {"input.lines.find(l, l.sku == 'z')", "null"},
         {"input.lines.all(l, l.qty > 0)", "true"},
         {"input.lines.any(l, l.qty > 1)", "true"},
         {"[].all(x, false)", "true"},
         {"[].any(x, true)", "false"},
         {"input.lines.sum(l, l.qty * l.price)", "25"},
         {"[].sum(x, x)", "0"},
         {"input.tags.sortBy(t, t)", R"(["a","b","b"])"},
         {"input.lines.sortBy(l, l.price).map(l, l.sku)", R"(["y","x"])"},
         {"input.id.map(x, x)", "error array"},
         {"input.lines.filter(l, l.qty)", "error condition"},
         {"[[1, 2], [3]].map(row, row.map(x, x + 1))", "[[2,3],[4]]"}});
}

TEST_CASE("functions over text") {
  check(
      {{"len('Grüße')", "5"},
       {"lower('ÄB')", R"("Äb")"},
       {"upper('ab')", R"("AB")"},
       {"trim(' a b ')", R"("a b")"},
       {"contains('abc', 'b')", "true"},
       {"contains(['a'], 'a')", "true"},
       {"startsWith('abc', 'ab')", "true"},
       {"endsWith('abc', 'bc')", "true"},
       {"split('a,b,,c', ',')", R"(["a","b","","c"])"},
       {"join(['a', 'b'], '-')", R"("a-b")"},
       {"path('a/b')", R"("a/b")"},
       {"path(1)", "error"},
       {"replace('a.b.c', '.', '/')", R"("a/b/c")"},
       {"slice('Grüße', 2, 4)", R"("üß")"},
       {"slice([1, 2, 3], 1)", "[2,3]"},
       {"string(1.5)", R"("1.5")"},
       {"string('x')", R"("x")"},
       {"int('42')", "42"},
       {"int('4x')", "error"},
       {"int(2.0)", "2"},
       {"int(2.5)", "error"},
       {"number('2.5')", "2.5"},
       {"number('0x10')", "error"},
       {"number('nan')", "error"},
       {"json({b: 1, a: [2]})", R"("{\"a\":[2],\"b\":1}")"},
       {"parseJson('[1, 2]')[1]", "2"},
       {"parseJson('[1,')", "error"},
       {"base64('hello')", R"("aGVsbG8=")"},
       {"sha256('abc')", R"("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")"}});
}

TEST_CASE("functions over numbers, arrays and objects") {
  check({{"round(2.5)", "3"},
         {"round(-2.5)", "-3"},
         {"floor(-1.5)", "-2"},
         {"ceil(1.2)", "2"},
         {"round(1e300)", "error"},
         {"abs(-3)", "3"},
         {"min(3, 1, 2)", "1"},
         {"max([3, 1, 2])", "3"},
         {"max([])", "error"},
         {"len([1, 2])", "2"},
         {"len({a: 1})", "1"},
         {"has(input, 'id')", "true"},
         {"has(input, 'nothing')", "false"},
         {"keys({b: 1, a: 2})", R"(["a","b"])"},
         {"values({b: 1, a: 2})", "[2,1]"},
         {"merge({a: 1}, {a: 2, b: 3})", R"({"a":2,"b":3})"},
         {"concat([1], [2, 3])", "[1,2,3]"},
         {"distinct([1, 1.0, 2, 'a', 'a'])", R"([1,2,"a"])"}});
}

TEST_CASE("functions over time know no clock") {
  check({{"dateAdd('2026-01-31T10:00:00Z', '1d')", R"("2026-02-01T10:00:00.000Z")"},
         {"dateAdd('2026-03-01T12:00:00+02:00', '1h30m')", R"("2026-03-01T11:30:00.000Z")"},
         {"dateAdd('tomorrow', '1d')", "error"},
         {"dateAdd('2026-01-31T10:00:00Z', 'a while')", "error"},
         {"dateDiff('2026-01-01T00:00:10Z', '2026-01-01T00:00:00Z')", "10000"},
         {"dateFormat('2026-03-05T07:08:09Z', 'dd.MM.yyyy HH:mm')", R"("05.03.2026 07:08")"},
         {"now()", "refused now"}});
}

TEST_CASE("uuid is derived from the saga and the name, and is the same each time") {
  const std::string one = evaluated("uuid('a')");
  CHECK(one.size() == 38);
  CHECK(evaluated("uuid('a')") == one);
  CHECK(evaluated("uuid('b')") != one);
}

TEST_CASE("what does not parse is refused with its place") {
  check({{"", "refused"},
         {"1 +", "refused"},
         {"(1", "refused"},
         {"a b", "refused"},
         {"'open", "refused"},
         {"foo(1)", "refused foo"},
         {"len()", "refused len"},
         {"len(1, 2)", "refused len"},
         {"input.lines.fold(x, x)", "refused fold"},
         {"1 = 1", "refused"},
         {"input.1", "refused"},
         {"lenght('a')", "refused len"}});
  const auto compiled = dsl::Expression::compile("input.a + * 2");
  REQUIRE_FALSE(compiled.has_value());
  CHECK(compiled.error().reason == "E401");
  REQUIRE(compiled.error().details.size() == 1);
  CHECK(compiled.error().details[0].pointer == "@10");
}

TEST_CASE("an expression is bounded in length and nesting before it runs") {
  const auto nested = [](int levels) {
    return std::string(static_cast<std::size_t>(levels), '(') + "1" +
           std::string(static_cast<std::size_t>(levels), ')');
  };
  CHECK(evaluated(nested(30)) == "1");
  CHECK(evaluated(nested(40)).rfind("refused", 0) == 0);
  CHECK(evaluated(nested(100'000)).rfind("refused", 0) == 0);
  CHECK(evaluated("1" + std::string(4'000, ' ')).rfind("refused", 0) == 0);
  CHECK(evaluated("[1].map(a, [1].map(b, [1].map(c, [1].map(d, a))))") == "[[[[1]]]]");
  CHECK(evaluated("[1].map(a, [1].map(b, [1].map(c, [1].map(d, [1].map(e, a)))))")
            .rfind("refused", 0) == 0);
  std::string chain = "1";
  for (int i = 0; i < 900; ++i) chain += " + 1";
  CHECK(evaluated(chain) == "901");
}

TEST_CASE("an evaluation ends at its budget, however it is built") {
  std::string list = "[0";
  for (int i = 1; i < 60; ++i) list += "," + std::to_string(i);
  list += "]";
  const std::string steps = list + ".map(a, " + list + ".map(b, " + list + ".map(c, 1)))";
  CHECK(evaluated(steps).find("error") == 0);
  // Doubling a text at each step grows faster than any step count.
  std::string doubled = "'0123456789abcdef'";
  for (int i = 0; i < 6; ++i) doubled = "[" + doubled + "].map(x, x + x + x + x)[0]";
  const Values long_text(R"({"input": {"t": ")" + std::string(100'000, 'x') + R"("}})");
  CHECK(evaluated("input.t + input.t + input.t", long_text).find("error") == 0);
  CHECK(evaluated("[1,2,3].map(i, input.t)", long_text).find("error") == 0);
}

TEST_CASE("a failure names the expression, the place and what was read") {
  const auto compiled = dsl::Expression::compile("input.id + input.amount");
  REQUIRE(compiled.has_value());
  dsl::Budget budget;
  const auto value = compiled->evaluate(example_values(), budget);
  REQUIRE_FALSE(value.has_value());
  CHECK(value.error().reason == "EXPRESSION_FAILED");
  CHECK(value.error().message.find("input.id + input.amount") != std::string::npos);
}

TEST_CASE("omit has no meaning as a condition or a plain value") {
  const auto omit = dsl::Expression::compile("omit");
  REQUIRE(omit.has_value());
  dsl::Budget budget;
  CHECK_FALSE(omit->evaluate_value(example_values(), budget).has_value());
  CHECK_FALSE(omit->evaluate_condition(example_values(), budget).has_value());
  const auto text = dsl::Expression::compile("'yes'");
  CHECK_FALSE(text->evaluate_condition(example_values(), budget).has_value());
}

TEST_CASE("an expression tells which roots and steps it reads") {
  const auto compiled =
      dsl::Expression::compile("steps.a.output.x + input.y + [1].map(v, v + steps.b.output)[0]");
  REQUIRE(compiled.has_value());
  std::string read;
  for (const auto& reference : compiled->references())
    read += reference.root + (reference.step.empty() ? "" : "." + reference.step) + " ";
  CHECK(read == "steps.a input steps.b ");
}

}  // namespace
}  // namespace backstitch::test

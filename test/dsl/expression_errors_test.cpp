// What can go wrong while an expression is read or runs, and the edges just before it.
#include <string>

#include <doctest/doctest.h>

#include "values.hpp"

namespace backstitch::test {
namespace {

TEST_CASE("text in quotes has the escapes of JSON, and no half characters") {
  check({{R"('a\tb\r\n\\\'\"')", R"("a\tb\r\n\\'\"")"},
         {R"('\u0041\u00e4\u20ac')", R"("Aä€")"},
         {R"('\ud83d\ude00')", R"("😀")"},
         {R"(len('\ud83d\ude00'))", "1"},
         {R"('\ud83d')", "refused half a surrogate pair"},
         {R"('\ud83dx')", "refused half a surrogate pair"},
         {R"('\ud83d\u0041')", "refused half a surrogate pair"},
         {R"('\ude00')", "refused cannot be stored"},
         {R"('\u0000')", "refused cannot be stored"},
         {R"('\u12')", "refused four hex digits"},
         {R"('\u12g4')", "refused four hex digits"},
         {R"('\u-123')", "refused four hex digits"},
         {R"('\x41')", "refused unknown escape"},
         {R"('\)", "refused"},
         {R"('a\')", "refused closing quote"}});
}

TEST_CASE("numbers are read as JSON reads them, or refused") {
  check({{"1.5e2", "150"},
         {"1E-2", "0.01"},
         {"1e400", "refused out of range"},
         {"99999999999999999999", "refused 64 bits"},
         {"1.", "refused"},
         {".5", "refused"},
         {"1e", "refused"},
         {"1x", "refused"},
         {"- 3", "-3"},
         {"-'a'", "error takes a number"},
         {"-2.5", "-2.5"},
         {"-(-input.big - 1)", "error 64 bits"},
         {"1e308 * 10", "error finite"},
         {"1e308 + 1e308", "error finite"},
         {"0.1 + 0.2 == 0.3", "false"},
         {"5.5 % 2", "error integers"},
         {"1.0 / 0", "error zero"},
         {"(-input.big - 1) % -1", "0"},
         {"div(-input.big - 1, -1)", "error overflows"},
         {"div(6, -1)", "-6"},
         {"div(1.5, 1)", "error integer"},
         {"abs(-input.big - 1)", "error overflows"},
         {"abs(-2.5)", "2.5"},
         {"int(1e19)", "error whole"},
         {"int(true)", "error string"},
         {"number('')", "error cannot read"},
         {"number('+1')", "error cannot read"},
         {"number('1e999')", "error cannot read"},
         {"number(' 1')", "error cannot read"},
         {"number('-2')", "-2"},
         {"floor('1')", "error takes a number"}});
}

TEST_CASE("objects are made of keys that are not duplicated") {
  check({{"{a: 1, a: 2}", "refused duplicated"},
         {"{a: 1, 'a': 2}", "refused duplicated"},
         {"{1: 2}", "refused expected a key"},
         {"{a 1}", "refused expected `:`"},
         {"{a: 1,}", R"({"a":1})"},
         {"{}", "{}"},
         {"[1,]", "refused"},
         {"{a: omit, b: 1}", R"({"b":1})"},
         {"[omit, 1]", "[1]"},
         {"len(omit)", "error omit"},
         {"input.lines.map(l, l.qty > 1 ? l.sku : omit)", R"(["x"])"},
         {"input.lines.filter(l, omit)", "error omit"},
         {"omit == 1", "error omit"},
         {"omit ?? 1", "1"}});
}

TEST_CASE("members and items are looked for where they can be") {
  check({{"input['id']", R"("o-17")"},
         {"input['nothing']", "error there is no member"},
         {"input?['nothing']", "null"},
         {"input[0]", "error indexed with a string"},
         {"input.tags['a']", "error indexed with an integer"},
         {"input.tags[1.5]", "error indexed with an integer"},
         {"input.tags[3]", "error outside an array of 3"},
         {"input.none[0]", "error needs an array or an object"},
         {"input.none?[0]", "null"},
         {"input.id[0]", "error needs an array or an object"},
         {"{}.a", "error there are none"},
         {"'a' in {a: 1}", "true"},
         {"'b' in {a: 1}", "false"},
         {"1 in {a: 1}", "error `in` takes"},
         {"1 in 'a1'", "error `in` takes"},
         {"1 in [1.0]", "true"},
         {"nobody", "error not known here"},
         {"steps.later.output", "error has not succeeded"},
         {"steps.reserve.attempts", "1"},
         {"steps.reserve?.output.reservationId", R"("r-1")"},
         {"[1].map(steps, steps)", "refused hides"},
         {"[1].map(x, [2].map(x, x))", "refused hides"},
         {"[1].map(x, x)[0] + [2].map(x, x)[0]", "3"},
         {"input?.lines.map(l, 1)", "[1,1]"},
         {"input.lines?.map(l, 1)", "refused cannot follow"}});
}

TEST_CASE("what the body of a macro gives is held to what the macro needs") {
  check({{"input.lines.toObject(l, [l.sku, l.qty])", R"({"x":2,"y":1})"},
         {"[].toObject(l, l)", "{}"},
         {"input.lines.toObject(l, ['k', l.qty])", "error twice"},
         {"input.lines.toObject(l, [l.qty, l.sku])", "error string key"},
         {"input.lines.toObject(l, [l.sku])", "error [key, value]"},
         {"input.lines.toObject(l, l)", "error [key, value]"},
         {"[1].flatMap(x, x)", "error gives an array"},
         {"['a'].sum(x, x)", "error gives a number"},
         {"[1, 2.5].sum(x, x)", "3.5"},
         {"[9223372036854775807, 1].sum(x, x)", "error 64 bits"},
         {"[1, 'a'].sortBy(x, x)", "error all numbers or all strings"},
         {"[null].sortBy(x, x)", "error all numbers or all strings"},
         {"[[2, 'b'], [1, 'a'], [1.0, 'c']].sortBy(p, p[0]).map(p, p[1])", R"(["a","c","b"])"},
         {"['b', 'ä', 'a'].sortBy(t, t)", R"(["a","b","ä"])"},
         {"[].sortBy(x, x)", "[]"},
         {"[1].all(x, x)", "error condition"},
         {"[1, 2, 3].find(x, x > 1)", "2"},
         {"[false, 1].any(x, x)", "error condition"},
         {"[true, 1].any(x, x)", "true"}});
}

TEST_CASE("functions say which argument is wrong") {
  check({{"lower(1)", "error string as argument 1"},
         {"split('a', 1)", "error string as argument 2"},
         {"split('a', '')", "error not empty"},
         {"replace('a', '', 'b')", "error something to look for"},
         {"replace('aaa', 'aa', 'b')", R"("ba")"},
         {"join('a')", "error array as argument 1"},
         {"join([null])", "error strings, numbers and booleans"},
         {"join([1, true, 'a'])", R"("1truea")"},
         {"keys([1])", "error object as argument 1"},
         {"merge({}, [])", "error object as argument 2"},
         {"has({}, 1)", "error string as argument 2"},
         {"concat([1], 2)", "error array as argument 2"},
         {"distinct('a')", "error array as argument 1"},
         {"max('a')", "error takes numbers"},
         {"min(1, 1.0)", "1"},
         {"len(1)", "error string, an array or an object"},
         {"len(null)", "error"},
         {"string(null)", "error json()"},
         {"string([1])", "error json()"},
         {"string(true)", R"("true")"},
         {"slice('abc', -2)", R"("bc")"},
         {"slice('abc', 2, 1)", R"("")"},
         {"slice('abc', 0, 99)", R"("abc")"},
         {"slice([1, 2, 3], -9, -1)", "[1,2]"},
         {"slice('abc', 0, -9223372036854775807)", R"("")"},
         {"slice(1, 0)", "error array as argument 1"},
         {"trim(' \\t ')", R"("")"},
         {"dateAdd('2026-01-01T00:00:00Z', '6574d')", "error at most 3650 days"},
         {"parseJson('{\"a\": 1, \"a\": 2}')", "error duplicated"},
         {"parseJson('9223372036854775808')", "error 64 bits"},
         {"base64('')", R"("")"},
         {"base64('ü')", R"("w7w=")"},
         {"sha256(1)", "error string as argument 1"}});
}

TEST_CASE("times stay between the years 1 and 9999, and formats know their letters") {
  check({{"dateAdd('2026-01-01T00:00:00Z', '-1d')", R"("2025-12-31T00:00:00.000Z")"},
         {"dateAdd('2026-01-01T00:00:00Z', '--1d')", "error duration"},
         {"dateAdd('2026-01-01T00:00:00Z', '-')", "error duration"},
         {"dateAdd('9999-12-31T00:00:00Z', '1d')", "error years"},
         {"dateAdd('0001-01-01T00:00:00Z', '-1ms')", "error years"},
         {"dateDiff('2026-01-01T00:00:00Z', '2026-01-01T00:00:00.5Z')", "-500"},
         {"dateDiff('2026-01-01T00:00:00Z', 1)", "error string as argument 2"},
         {"dateFormat('2026-03-05T07:08:09.012Z', \"yyyy-MM-dd'T'HH:mm:ss.SSSZ\")",
          R"("2026-03-05'T'07:08:09.012Z")"},
         {"dateFormat('2026-03-05T07:08:09Z', 'yyyyMMddTHHmmss')", R"("20260305T070809")"},
         {"dateFormat('2026-03-05T07:08:09Z', 'EEE')", "error not `E`"},
         {"dateFormat('2026-03-05T07:08:09Z', '')", R"("")"}});
}

TEST_CASE("a name that is derived needs a saga to derive it from") {
  const Values nothing(R"({"input": {}})");
  CHECK(evaluated("uuid('a')", nothing).find("needs a saga") != std::string::npos);
  const std::string here = evaluated("uuid('a')");
  CHECK(here.substr(15, 1) == "8");
  const Values other(R"({"saga": {"root": "019b76da-a800-7a1a-973f-0882d8f2c635"}})");
  CHECK(evaluated("uuid('a')", other) != here);
}

TEST_CASE("loops within loops end at the number of steps, whatever they give") {
  std::string list = "[0";
  for (int i = 1; i < 60; ++i) list += "," + std::to_string(i);
  list += "]";
  const std::string two = list + ".all(a, " + list + ".all(b, true))";
  CHECK(evaluated(two) == "true");
  const std::string three = list + ".all(a, " + list + ".all(b, " + list + ".all(c, true)))";
  CHECK(evaluated(three).find("evaluation steps") != std::string::npos);
}

TEST_CASE("a loop that copies a large value again and again ends at the number of steps") {
  const std::string large = R"({"input": {"list": )" + Json(std::vector<int>(5'000)).dump() +
                            R"(, "text": ")" + std::string(100'000, 'a') + "\"}}";
  const Values values(large);
  for (const char* copying :
       {"len([input.text, x])", "len({a: input.text}.a)", "len([1].map(y, input.text))",
        "len([input.text].filter(y, true))", "len([input.text].find(y, true))",
        "len([1].toObject(y, ['a', input.text]))", "len([1].flatMap(y, [input.text]))"}) {
    CAPTURE(copying);
    const std::string source = "input.list.all(x, " + std::string(copying) + " > 0)";
    CHECK(evaluated(source, values).find("evaluation steps") != std::string::npos);
  }
}

TEST_CASE("a text is looked for in as many steps as it is long") {
  const std::string half(60'000, 'a');
  const Values values(R"({"input": {"text": ")" + half + half + R"(", "part": ")" + half +
                      R"(b", "list": [1, 2, 3, 4, 5, 6, 7, 8, 9]}})");
  CHECK(evaluated("input.list.any(x, contains(input.text, input.part))", values) == "false");
  CHECK(evaluated("contains('banana', 'nan') && !contains('banana', 'nab')") == "true");
  CHECK(evaluated("contains('banana', '')") == "true");
  CHECK(evaluated("split('a--b----c', '--')") == R"(["a","b","","c"])");
  CHECK(evaluated("replace('aaaa', 'aa', 'b')") == R"("bb")");
}

TEST_CASE("steps are counted over all expressions that share a budget") {
  std::string list = "[0";
  for (int i = 1; i < 60; ++i) list += "," + std::to_string(i);
  const auto compiled = dsl::Expression::compile(list + "].all(a, " + list + "].all(b, true))");
  REQUIRE(compiled.has_value());
  dsl::Budget budget;
  int done = 0;
  while (done < 100 && compiled->evaluate(example_values(), budget).has_value()) ++done;
  CHECK(done >= 5);
  CHECK(done < 100);
  CHECK_FALSE(dsl::Expression::compile("1 + 1")->evaluate(example_values(), budget).has_value());
}

TEST_CASE("what is shown of a value in a message is short and whole") {
  const auto compiled = dsl::Expression::compile("!input.t");
  REQUIRE(compiled.has_value());
  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::string letters(shift, 'x');
    for (int i = 0; i < 200; ++i) letters += "€";
    const Values values(R"({"input": {"t": ")" + letters + R"("}})");
    dsl::Budget budget;
    const auto failed = compiled->evaluate(values, budget);
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().message.size() < 200);
    // Throws on half a character: messages are stored and sent as JSON.
    CHECK_NOTHROW(static_cast<void>(Json(failed.error().message).dump()));
  }
}

TEST_CASE("an excerpt of a long expression is whole characters") {
  for (int spaces = 0; spaces < 4; ++spaces) {
    std::string source = "'" + std::string(static_cast<std::size_t>(spaces), 'x');
    for (int i = 0; i < 300; ++i) source += "€";
    CAPTURE(spaces);
    const auto refused = dsl::Expression::compile(source + "' +");
    REQUIRE_FALSE(refused.has_value());
    CHECK_NOTHROW(static_cast<void>(Json(refused.error().message).dump()));
    const auto compiled = dsl::Expression::compile(source + "' + 1");
    REQUIRE(compiled.has_value());
    dsl::Budget budget;
    const auto failed = compiled->evaluate(example_values(), budget);
    REQUIRE_FALSE(failed.has_value());
    CHECK_NOTHROW(static_cast<void>(Json(failed.error().message).dump()));
  }
  CHECK(evaluated("1 + ü").find("`ü`") != std::string::npos);
  CHECK_NOTHROW(static_cast<void>(Json(evaluated("parseJson('[ü')")).dump()));
  CHECK_NOTHROW(
      static_cast<void>(Json(evaluated("dateFormat('2026-03-05T07:08:09Z', 'ä')")).dump()));
}

}  // namespace
}  // namespace backstitch::test

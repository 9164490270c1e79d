// Where what is marked x-sensitive goes, by the definition alone.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/dsl/parse.hpp>
#include <backstitch/dsl/taint.hpp>

using namespace backstitch;
using namespace backstitch::dsl;

namespace {

constexpr const char* input = R"({"type":"object","properties":{
  "token":{"type":"string","x-sensitive":true},"id":{"type":"string"},
  "card":{"type":"object","properties":{"pan":{"x-sensitive":true},"name":{}}},
  "people":{"type":"array","items":{"type":"object","properties":{"pin":{"x-sensitive":true},"n":{}}}}}})";

std::shared_ptr<const Definition> with_steps(const std::string& steps,
                                             const std::string& more = "") {
  const auto parsed = parse_definition(
      R"({"dsl":1,"name":"t.taint","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"input":)" +
      std::string(input) + more + R"(,"steps":[)" + steps + "]}");
  for (const auto& finding : parsed.findings) MESSAGE(finding.code << " " << finding.message);
  REQUIRE(parsed.definition);
  return parsed.definition;
}

/// Of what a value step gives.
std::vector<std::string> of_value(const std::string& value, const std::string& before = "") {
  const auto definition = with_steps(before + R"({"name":"v","value":)" + value + "}");
  REQUIRE(definition->taints);
  return definition->taints->steps.at("v").output.pointers();
}

using Pointers = std::vector<std::string>;

}  // namespace

TEST_CASE("what an expression gives is sensitive where it comes from what is") {
  struct Case {
    const char* value;
    Pointers sensitive;
  };
  for (const Case& c :
       std::vector<Case>{{R"("${input.id}")", {}},
                         {R"("${input.token}")", {""}},
                         {R"("${input}")", {"/card/pan", "/people/*/pin", "/token"}},
                         {R"("${input.card}")", {"/pan"}},
                         {R"("${input.card.name}")", {}},
                         {R"("${input.people}")", {"/*/pin"}},
                         {R"("${input.people[0].n}")", {}},
                         {R"("${input.people[0].pin}")", {""}},
                         {R"("Bearer ${input.token}")", {""}},
                         {R"("Hello ${input.id}")", {}},
                         {R"("${base64('u:' + input.token)}")", {""}},
                         {R"("${input.token == 'x' ? 1 : 2}")", {""}},
                         {R"("${input.id == 'x' ? input.token : 'none'}")", {""}},
                         {R"("${input.token ?? 'none'}")", {""}},
                         {R"("${len(input.people)}")", {""}},
                         {R"({"a":"${input.token}","b":{"c":"${input.id}","d":"${input.card}"}})",
                          {"/a", "/b/d/pan"}},
                         {R"(["${input.id}","${input.token}"])", {"/*"}},
                         {R"("${{'t': input.token, 'i': input.id}}")", {"/t"}},
                         {R"("${[input.id, input.token]}")", {"/*"}},
                         {R"("${input.people.map(p, p.n)}")", {}},
                         {R"("${input.people.map(p, {'n': p.n, 'x': p.pin})}")", {"/*/x"}},
                         {R"("${input.people.filter(p, p.n == 1)}")", {"/*/pin"}},
                         {R"("${input.people.filter(p, p.pin == 1)}")", {""}},
                         {R"("${input.people.find(p, p.n == 1)}")", {"/pin"}}}) {
    CAPTURE(c.value);
    CHECK(of_value(c.value) == c.sensitive);
  }
}

TEST_CASE("it is followed through steps, loops, choices and failures") {
  CHECK(of_value(R"("${steps.a.output.x}")",
                 R"({"name":"a","value":{"x":"${input.token}","y":1}},)") == Pointers{""});
  CHECK(of_value(R"("${steps.a.output.y}")",
                 R"({"name":"a","value":{"x":"${input.token}","y":1}},)") == Pointers{});
  CHECK(of_value(R"("${steps.l.output}")",
                 R"({"name":"l","forEach":{"in":"${input.people}","as":"p","steps":[
                    {"name":"i","value":{"pin":"${p.pin}"}}],"yield":"${steps.i.output}"}},)") ==
        Pointers{"/*/pin"});
  CHECK(
      of_value(
          R"("${steps.c.output}")",
          R"({"name":"c","switch":{"cases":[{"when":"${input.id == 'x'}","steps":[],"output":"${input.token}"}],
                    "otherwise":{"steps":[],"output":"none"}}},)") == Pointers{""});
  const auto failing = with_steps(R"({"name":"t","try":{"steps":[
      {"name":"f","fail":{"code":"NO","message":"not for ${input.token}","details":{"who":"${input.token}","id":"${input.id}"}}}],
      "catch":[{"steps":[{"name":"h","value":"${failure.details}"}]}]}})");
  CHECK(failing->taints->failure.pointers() == Pointers{"/details/who", "/message"});
  CHECK(failing->taints->steps.at("h").output.pointers() == Pointers{"/who"});
}

TEST_CASE(
    "it is followed through long chains, loops in loops, lookups, and what others make of it") {
  std::string chain = R"({"name":"v0","value":"${base64(input.token)}"},)";
  for (int i = 1; i < 200; ++i)
    chain += R"({"name":"v)" + std::to_string(i) + R"(","value":"${steps.v)" +
             std::to_string(i - 1) + R"(.output}"},)";
  CHECK(of_value(R"("${steps.v199.output}")", chain) == Pointers{""});
  CHECK(of_value(R"("${steps.outer.output}")",
                 R"({"name":"outer","forEach":{"in":"${input.people}","as":"p","steps":[
                    {"name":"inner","forEach":{"in":"${[1, 2]}","as":"i","steps":[{"name":"n","value":"${i}"}],
                      "yield":"${base64(string(p.pin))}"}}],"yield":"${steps.inner.output}"}},)") ==
        Pointers{"/*/*"});
  CHECK(of_value(R"("${['a', 'b'][input.people[0].pin]}")") == Pointers{""});
  // A child may send back whatever it was given, and fail with it.
  const auto parent = with_steps(
      R"({"name":"c","saga":{"name":"t.child","version":1,"input":{"key":"${input.token}"}}},
         {"name":"v","value":"${steps.c.output.x}"})");
  CHECK(parent->taints->steps.at("v").output.whole);
  CHECK(parent->taints->steps.at("c").failure.pointers() == Pointers{"/details", "/message"});
}

TEST_CASE("whatever may fail on a sensitive value is known to read it") {
  for (
      const char* step :
      {R"({"name":"x","sleep":{"for":"${input.token}"}})",
       R"({"name":"x","wait":{"signal":"go","timeout":"${input.token}"}})",
       R"({"name":"x","when":"${input.token == 'a'}","value":1})",
       R"({"name":"x","action":{"service":"s","http":"GET /x","body":null},"kind":"readonly","timeout":"${input.token}"})"}) {
    CAPTURE(step);
    const auto parsed = parse_definition(
        R"({"dsl":1,"name":"t.reads","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"input":)" +
        std::string(input) + R"(,"steps":[)" + step + "]}");
    if (!parsed.definition) continue;
    CHECK(parsed.definition->taints->steps.at("x").reads);
  }
  const auto rules = with_steps(
      R"({"name":"x","action":{"service":"s","http":"PUT /x"},"outcomes":[
           {"status":409,"when":"${number(input.token) > 1}","is":"failure","code":"NO"}],"compensation":"none"})");
  CHECK(rules->taints->steps.at("x").rules);
}

TEST_CASE("each part of a request, a child's input and a signal are marked by themselves") {
  const auto definition = with_steps(
      R"({"name":"a","action":{"service":"s","http":"GET /check/${input.id}",
           "query":{"token":"${input.token}","id":"${input.id}"},
           "headers":{"X-Auth":"Basic ${base64(input.token)}","X-Id":"${input.id}"}},"kind":"readonly"},
         {"name":"w","wait":{"signal":"go","timeout":"1h","schema":{"properties":{"otp":{"x-sensitive":true}}}}},
         {"name":"v","value":"${steps.w.output.payload}"},
         {"name":"c","saga":{"name":"t.child","version":1,"input":{"key":"${input.card}","id":"${input.id}"}}})",
      R"(,"labels":{"l":"${input.id}"})");
  const TaintMap& map = *definition->taints;
  const RequestTaint& request = map.steps.at("a").action;
  CHECK_FALSE(request.path);
  CHECK(request.query.at("token"));
  CHECK_FALSE(request.query.at("id"));
  CHECK(request.headers.at("X-Auth"));
  CHECK_FALSE(request.headers.at("X-Id"));
  CHECK(map.signals.at("go").pointers() == Pointers{"/otp"});
  CHECK(map.steps.at("v").output.pointers() == Pointers{"/otp"});
  CHECK(map.steps.at("c").child_input.pointers() == Pointers{"/key/pan"});
  CHECK_FALSE(map.labels.at("l"));
}

TEST_CASE("pointers say all of it, and values are masked by it") {
  for (const Pointers& pointers : {Pointers{}, {""}, {"/a"}, {"/c", "/*/a~1b"}, {"/x/*/*"}}) {
    CHECK(Taint::of_pointers(pointers).pointers() == pointers);
  }
  const Json value{{"a", 1}, {"list", {{{"pin", 1}, {"n", 2}}, {{"pin", nullptr}}}}};
  CHECK(masked(value, Taint::of_pointers({"/a", "/list/*/pin"})) ==
        Json{{"a", "***"}, {"list", {{{"pin", "***"}, {"n", 2}}, {{"pin", nullptr}}}}});
  CHECK(masked(value, Taint::of_pointers({""})) == Json("***"));
  CHECK(masked(value, {}) == value);
}

TEST_CASE("a definition without marks has no map") {
  const auto parsed = parse_definition(
      R"({"dsl":1,"name":"t.plain","version":1,"steps":[{"name":"v","value":1}]})");
  REQUIRE(parsed.definition);
  CHECK(parsed.definition->taints == nullptr);
}

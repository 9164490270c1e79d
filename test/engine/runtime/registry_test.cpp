// What registering says of definitions and services that are registered already.
#include "nodes.hpp"

namespace backstitch::test {
namespace {

/// Valid before a rule was added to the checker, and not after it.
const std::string of_before = R"({"dsl":1,"name":"t.before","version":1,
  "services":{"s":{"baseUrl":"https://s.example"}},"steps":[
  {"name":"f","fail":{"code":"CANCELLED","message":"no"}}]})";

engine::Registration registered(Nodes& nodes, TestNode& node, const std::string& definition) {
  std::optional<Result<engine::Registration>> stored;
  node.engine->registry().register_definition(definition, true,
                                              [&](const auto& done) { stored = done; });
  REQUIRE(nodes.world.run_until([&] { return stored.has_value(); }));
  REQUIRE(*stored);
  return **stored;
}

engine::ServiceRegistration put(Nodes& nodes, TestNode& node, const std::string& service) {
  std::optional<Result<engine::ServiceRegistration>> stored;
  node.engine->registry().put_service("shop", service, [&](const auto& done) { stored = done; });
  REQUIRE(nodes.world.run_until([&] { return stored.has_value(); }));
  REQUIRE(*stored);
  return **stored;
}

TEST_CASE("a registered version stays startable and registrable when the checker gains rules") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  CHECK(has_errors(registered(nodes, node, of_before).findings));

  const auto parsed = dsl::parse_definition(of_before);
  REQUIRE(parsed.definition);
  engine::StoredDefinition stored;
  stored.name = "t.before";
  stored.version = 1;
  stored.hash = parsed.definition->hash;
  stored.document = parsed.definition->document.dump();
  stored.findings = "[]";
  bool is_stored = false;
  nodes.database.store.put_definition(stored, true, [&](const auto&) { is_stored = true; });
  REQUIRE(nodes.world.run_until([&] { return is_stored; }));
  bool is_known = false;
  node.engine->registry().refresh([&](const auto&) { is_known = true; });
  REQUIRE(nodes.world.run_until([&] { return is_known; }));

  const auto again = registered(nodes, node, of_before);
  CHECK(again.outcome == engine::PutOutcome::same);
  REQUIRE(again.findings.size() == 2);
  CHECK(again.findings[0].code == "W301");
  CHECK(again.findings[1].code == "E307");
  CHECK(again.findings[1].severity == dsl::Severity::warning);
  CHECK(nodes.start(node, "t.before").has_value());

  std::string other = of_before;
  other.replace(other.find("\"no\""), 4, "\"never\"");
  CHECK(has_errors(registered(nodes, node, other).findings));
}

TEST_CASE("putting a service names the compensations that relied on its success rule") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  CHECK(put(nodes, node, R"({"baseUrl":"https://shop.example"})").findings.empty());
  nodes.define(node,
               R"({"dsl":1,"name":"t.shop","version":1,"services":{"s":{"use":"shop"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
    {"name":"b","action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b",
      "outcomes":[{"status":404,"when":"${response.body.gone}","is":"success"}]}}]})");
  const auto found =
      put(nodes, node,
          R"({"baseUrl":"https://shop.example","outcomes":[{"status":404,"is":"success"}]})");
  CHECK(found.outcome != engine::PutOutcome::conflict);
  REQUIRE(found.findings.size() == 1);
  CHECK(found.findings[0].code == "W307");
  CHECK(found.findings[0].pointer == "/steps/0/compensation");
  CHECK(found.findings[0].message.find("`t.shop` version 1") == 0);

  const auto refused = put(
      nodes, node,
      R"({"baseUrl":"https://shop.example","outcomes":[{"status":503,"is":"unknown","code":"HTTP_503"}]})");
  REQUIRE(has_errors(refused.findings));
  CHECK(refused.findings[0].pointer == "/outcomes/0/code");
}

}  // namespace
}  // namespace backstitch::test

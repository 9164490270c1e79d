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

/// A pool whose queue is full.
class FullWorkers : public engine::Workers {
 public:
  Result<Done> submit(engine::Task) override {
    return Error{ErrorCode::overloaded, "work-queue-full", "full"};
  }
};

TEST_CASE("a second check that finds no room among the workers is an error of its own") {
  Nodes nodes;
  FullWorkers workers;
  engine::Registry registry(nodes.database.store, {}, workers);
  const std::string calls_unknown = R"({"dsl":1,"name":"t.calls","version":1,
    "services":{"s":{"use":"nowhere"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":"none"}]})";
  std::optional<Result<engine::Registration>> checked;
  std::optional<Result<engine::Registration>> stored;
  registry.validate(calls_unknown, [&](const auto& done) { checked = done; });
  registry.register_definition(calls_unknown, true, [&](const auto& done) { stored = done; });
  REQUIRE(nodes.world.run_until([&] { return checked && stored; }));
  for (const auto& answer : {*checked, *stored}) {
    REQUIRE_FALSE(answer);
    CHECK(answer.error().reason == "work-queue-full");
  }
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

TEST_CASE("a registered service cannot split a request or speak for the engine") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  for (const char* bad :
       {R"("headers":{"X-A: 1\r\nContent-Length: 0\r\n\r\nDELETE /x HTTP/1.1\r\nX-B":"y"})",
        R"("headers":{"X-A":"1\r\nX-B: 2"})", R"("headers":{"Transfer-Encoding":"chunked"})",
        R"("headers":{"Content-Length":"0"})", R"("headers":{"Host":"admin"})",
        R"("headers":{"Saga-Id":"fake"})", R"("headers":{"idempotency_key":"constant"})",
        R"("idempotencyHeader":"X: 1\r\nX-Evil")", R"("idempotencyHeader":"Host")",
        R"("auth":{"type":"apiKey","secret":"s","header":"X: 1\r\nX-Evil"})"}) {
    CAPTURE(bad);
    const auto refused =
        put(nodes, node, R"({"baseUrl":"https://shop.example",)" + std::string(bad) + "}");
    REQUIRE(refused.findings.size() == 1);
    CHECK(refused.findings[0].code == "E304");
    CHECK(refused.findings[0].severity == dsl::Severity::error);
    CHECK(refused.findings[0].line == 1);
    CHECK(refused.findings[0].column > 1);
  }
  CHECK(node.engine->registry().services().empty());
}

TEST_CASE("the name of a service is short and has nothing to escape") {
  Nodes nodes;
  TestNode& node = nodes.add("a");
  for (const std::string& name : {std::string(), std::string(129, 'a'), std::string("../\x1b[31m"),
                                  std::string(".."), std::string("a b"), std::string("-a")}) {
    CAPTURE(name);
    std::optional<Result<engine::ServiceRegistration>> answer;
    node.engine->registry().put_service(name, R"({"baseUrl":"https://shop.example"})",
                                        [&](const auto& done) { answer = done; });
    REQUIRE(answer.has_value());
    REQUIRE_FALSE(*answer);
    CHECK(answer->error().reason == "service-name-invalid");
  }
}

}  // namespace
}  // namespace backstitch::test

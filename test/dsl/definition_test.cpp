// The model: its words are spelled as in the language, and its steps are found wherever they stand.
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/check.hpp>
#include <backstitch/dsl/definition.hpp>

namespace backstitch::test {
namespace {

using namespace dsl;

std::shared_ptr<const Definition> parsed(const std::string& steps, const std::string& more = "") {
  const auto result = parse_definition(
      R"({"dsl": 1, "name": "t.model", "version": 1, "services": {"s": {"baseUrl": "https://s.example"}}, "steps": )" +
      steps + more + "}");
  for (const auto& finding : result.findings) MESSAGE(finding.pointer << " " << finding.message);
  REQUIRE(result.definition);
  return result.definition;
}

TEST_CASE("words of the model are the words of the language") {
  struct Row {
    std::string got;
    std::string word;
  };
  for (const Row& row :
       std::initializer_list<Row>{{to_text(StepKind::compensatable), "compensatable"},
                                  {to_text(StepKind::pivot), "pivot"},
                                  {to_text(StepKind::retryable), "retryable"},
                                  {to_text(StepKind::readonly), "readonly"},
                                  {to_text(OutcomeClass::success), "success"},
                                  {to_text(OutcomeClass::failure), "failure"},
                                  {to_text(OutcomeClass::transient), "transient"},
                                  {to_text(OutcomeClass::unknown), "unknown"},
                                  {to_text(OutcomeClass::pending), "pending"},
                                  {to_text(Transport::dns), "dns"},
                                  {to_text(Transport::connect), "connect"},
                                  {to_text(Transport::tls), "tls"},
                                  {to_text(Transport::timeout), "timeout"},
                                  {to_text(Transport::reset), "reset"},
                                  {to_text(Transport::protocol), "protocol"},
                                  {to_text(Method::get), "GET"},
                                  {to_text(Method::head), "HEAD"},
                                  {to_text(Method::post), "POST"},
                                  {to_text(Method::put), "PUT"},
                                  {to_text(Method::patch), "PATCH"},
                                  {to_text(Method::delete_), "DELETE"},
                                  {to_text(Idempotency::key), "key"},
                                  {to_text(Idempotency::natural), "natural"},
                                  {to_text(Idempotency::none), "none"}})
    CHECK(row.got == row.word);
}

TEST_CASE("a step is found by its name in every block and handler") {
  const auto definition = parsed(
      R"([
    {"name": "a", "value": 1},
    {"name": "p", "parallel": {"branches": {"x": [{"name": "b", "value": 1}], "y": [{"name": "c", "value": 1}]}}},
    {"name": "s", "switch": {"cases": [{"when": "${input.x}", "steps": [{"name": "d", "value": 1}]}],
                             "otherwise": {"steps": [{"name": "e", "value": 1}]}}},
    {"name": "l", "forEach": {"in": "${input.y}", "as": "y", "steps": [
      {"name": "t", "try": {"steps": [{"name": "f", "value": 1}], "catch": [{"steps": [{"name": "g", "value": 1}]}]}}]}},
    {"name": "w", "wait": {"signal": "go", "timeout": "1m"}}, {"name": "z", "sleep": {"for": "1s"}},
    {"name": "q", "saga": {"name": "t.child", "input": {}}}, {"name": "n", "fail": {"code": "NO"}}])",
      R"(, "onFailure": [{"name": "h", "value": 1}], "onSuspended": [{"name": "i", "value": 1}])");
  for (const char* name :
       {"a", "p", "b", "c", "s", "d", "e", "l", "t", "f", "g", "w", "z", "q", "n", "h", "i"}) {
    CAPTURE(name);
    const Step* step = find_step(*definition, name);
    REQUIRE(step != nullptr);
    CHECK(step->name == name);
  }
  CHECK(find_step(*definition, "nobody") == nullptr);
  CHECK(find_step(*definition, "x") == nullptr);
}

TEST_CASE("a step's kind follows from its method and its undo unless it is stated") {
  struct Row {
    std::string step;
    StepKind kind;
  };
  for (const Row& row : std::initializer_list<Row>{
           {R"({"http": "GET /a"}})", StepKind::readonly},
           {R"({"http": "HEAD /a"}})", StepKind::readonly},
           {R"({"http": "GET /a"}, "compensation": {"http": "DELETE /a"}})",
            StepKind::compensatable},
           {R"({"http": "PUT /a"}, "compensation": "none"})", StepKind::compensatable},
           {R"({"http": "PUT /a"}, "kind": "pivot"})", StepKind::pivot},
           {R"({"http": "GET /a"}, "kind": "retryable"})", StepKind::retryable},
           {R"({"operation": "look"}, "kind": "readonly"})", StepKind::readonly}}) {
    CAPTURE(row.step);
    std::string step = row.step;
    step.insert(1, R"("service": "s", )");
    const auto definition = parsed(R"([{"name": "a", "action": )" + step + "]");
    CHECK(to_text(definition->steps[0].kind) == std::string(to_text(row.kind)));
  }
}

TEST_CASE("named policies and the defaults of undo are written into what uses them") {
  const auto definition = parsed(
      R"([{"name": "a", "retry": "calm", "action": {"service": "s", "http": "PUT /a"}, "compensation": {"http": "DELETE /a"}},
          {"name": "b", "action": {"service": "s", "http": "PUT /b"},
           "compensation": {"http": "DELETE /b", "retry": {"maxAttempts": 2}, "attemptTimeout": "1s", "onExhausted": "suspend"}}])",
      R"(, "retryPolicies": {"calm": {"maxAttempts": 7, "factor": 3, "jitter": "equal", "on": ["transient", "unknown"], "except": ["NO"]}},
         "defaults": {"retry": {"maxAttempts": "unlimited"}, "attemptTimeout": "3s", "stepTimeout": "4s",
                      "compensation": {"retry": "calm", "attemptTimeout": "5s", "onExhausted": "continue"}})");
  const auto& retry = std::get<Action>(definition->steps[0].body).retry;
  CHECK(retry.attempts_max == 7);
  CHECK(retry.factor == 3.0);
  CHECK(retry.jitter == Jitter::equal);
  CHECK(retry.on->size() == 2);
  CHECK(retry.except == std::vector<std::string>{"NO"});
  const auto& inherited = std::get<Compensation>(definition->steps[0].undo);
  CHECK(inherited.retry.attempts_max == 7);
  CHECK(std::get<Duration>(*inherited.attempt_timeout) == Duration{5'000});
  CHECK(inherited.on_exhausted == OnExhausted::continue_);
  const auto& own = std::get<Compensation>(definition->steps[1].undo);
  CHECK(own.retry.attempts_max == 2);
  CHECK(std::get<Duration>(*own.attempt_timeout) == Duration{1'000});
  CHECK(own.on_exhausted == OnExhausted::suspend);
  CHECK(definition->default_retry.unlimited);
  CHECK(std::get<Duration>(*definition->default_step_timeout) == Duration{4'000});
}

TEST_CASE("statuses are single ones, classes and ranges, both ends included") {
  const auto definition = parsed(
      R"([{"name": "a", "action": {"service": "s", "http": "GET /a"}, "outcomes": [
        {"status": [404, "5xx", "409-411"], "is": "success"}]}])");
  const auto& ranges = std::get<Action>(definition->steps[0].body).outcomes.at(0).status;
  std::string text;
  for (const auto& range : ranges)
    text += std::to_string(range.first) + "-" + std::to_string(range.last) + " ";
  CHECK(text == "404-404 500-599 409-411 ");
}

TEST_CASE("what is not said has the default of the language") {
  const auto definition =
      parsed(R"([{"name": "l", "forEach": {"in": "${input.y}", "as": "y", "steps": []}},
    {"name": "w", "wait": {"signal": ["go", "stop"], "timeout": "1m"}}])");
  CHECK(std::get<Duration>(definition->timeout) == Duration{3'600'000});
  CHECK(definition->recovery == Recovery::backward);
  CHECK_FALSE(definition->retention.has_value());
  const auto& loop = std::get<ForEach>(definition->steps[0].body);
  CHECK(loop.items_max == 100);
  CHECK(loop.concurrency_max == 1);
  const auto& wait = std::get<Wait>(definition->steps[1].body);
  CHECK(wait.signals == std::vector<std::string>{"go", "stop"});
  CHECK(wait.on_timeout == OnTimeout::fail);
  const auto& service = definition->services.at("s");
  CHECK(service.idempotency == Idempotency::key);
  CHECK(service.idempotency_header == "Idempotency-Key");
  CHECK(service.quiet_period == Duration{0});
  CHECK(service.response_bytes_max == 1024 * 1024);
}

TEST_CASE("a finding is sent with everything that is known of it") {
  const auto result = parse_definition(R"({"dsl": 1, "name": "t", "version": 1, "timeuot": "1h",
    "steps": [{"name": "a", "value": 1}]})");
  REQUIRE(result.findings.size() == 1);
  const Json sent = to_json(result.findings[0]);
  CHECK(sent["code"] == "E002");
  CHECK(sent["severity"] == "error");
  CHECK(sent["pointer"] == "/timeuot");
  CHECK(sent["line"] == 1);
  CHECK(sent["hint"] == "did you mean `timeout`?");
  CHECK_FALSE(sent["message"].get<std::string>().empty());
}

}  // namespace
}  // namespace backstitch::test

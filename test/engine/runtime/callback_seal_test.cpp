// Who may read a saga may not complete its steps: a callback's token is only on its way to the
// participant and back.
#include "../../../engine/runtime/callback_seal.hpp"

#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

const std::string accepted_later =
    R"({"dsl":1,"name":"t.later","version":1,"services":{"s":{"baseUrl":"https://s.example"}},
  "steps":[{"name":"a","action":{"service":"s","http":"PUT /a","query":{"to":"${self.callbackUrl}"},
    "headers":{"X-To":"${self.callbackUrl}"},"body":{"to":"${self.callbackUrl}"}},
    "completion":{"callback":true,"timeout":"1h"},"compensation":"none"}]})";

std::string token_of(const engine::Call& call) {
  return call.request.callback.substr(call.request.callback.rfind('/') + 1);
}

std::string log_text(Nodes& nodes, SagaId saga) {
  std::string text;
  bool answered = false;
  nodes.database.store.history(saga, engine::Sequence{0}, 1'000, [&](const auto& events) {
    for (const auto& event : events->events) text += event.data + "\n";
    answered = true;
  });
  REQUIRE(nodes.world.run_until([&] { return answered; }));
  return text;
}

}  // namespace

TEST_CASE("a token names its handle under its own key only, and nothing else is a token") {
  const engine::CallbackSeal seal("one key");
  const std::string handle = SagaId::make(TimePoint{}, 1, 2, 3).text() + "-" + std::string(32, 'a');
  const std::string token = seal.token(handle);
  CHECK(token.starts_with(handle + "-"));
  CHECK(seal.handle(token) == handle);
  CHECK_FALSE(engine::CallbackSeal("another key").handle(token));
  CHECK_FALSE(seal.handle(handle));
  CHECK_FALSE(seal.handle(""));
  CHECK_FALSE(seal.handle(token + "0"));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'a' ? 'b' : 'a';
    CHECK_FALSE(seal.handle(changed));
  }
}

TEST_CASE("the token is in what is sent, and neither in the log nor in what readers see") {
  Nodes nodes;
  nodes.script = [](const engine::Call&) { return answers(202); };
  TestNode& node = nodes.add("a");
  nodes.define(node, accepted_later);
  const auto started = nodes.start(node, "t.later");
  REQUIRE(nodes.world.run_until([&] { return !nodes.sent.empty(); }));
  nodes.world.run_for(1s);
  const engine::Call& call = nodes.sent.front();
  const std::string token = token_of(call);
  const std::string handle = token.substr(0, token.rfind('-'));
  CHECK(call.request.target.find(token) != std::string::npos);
  CHECK(call.request.body.find(token) != std::string::npos);
  CHECK(call.request.headers.front().second.find(token) != std::string::npos);
  CHECK(log_text(nodes, started->id).find(token) == std::string::npos);
  CHECK(log_text(nodes, started->id).find(handle) != std::string::npos);
  CHECK(nodes.view(node, started->id)->dump().find(token) == std::string::npos);

  SUBCASE("what readers see completes no step") {
    const auto refused =
        nodes.command(node, started->id, engine::Callback{handle, engine::Response{200, {}, 1}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().reason == "callback-unknown");
    CHECK(status_of(nodes.view(node, started->id)) == "RUNNING");
  }
  SUBCASE("the token completes it, also by way of another node") {
    TestNode& other = nodes.add("b");
    nodes.world.run_for(30s);
    REQUIRE(
        nodes.command(other, started->id,
                      engine::Callback{token, engine::Response{200, {}, Json{{"echo", token}}}}));
    CHECK(status_of(nodes.view(node, started->id)) == "COMPLETED");
    CHECK(log_text(nodes, started->id).find(token) == std::string::npos);
    CHECK(log_text(nodes, started->id).find("\"echo\":\"" + handle) != std::string::npos);
  }
}

TEST_CASE("an answer that repeats the token is stored without its secret") {
  Nodes nodes;
  nodes.script = [](const engine::Call& call) {
    const std::string token = token_of(call);
    const Json body{
        {"url", call.request.callback}, {"twice", token + token}, {token, Json{{"in", token}}}};
    return Reaction{engine::Response{409, {{"x-echo", token}}, body}};
  };
  TestNode& node = nodes.add("a");
  nodes.define(node, accepted_later);
  const auto started = nodes.start(node, "t.later");
  REQUIRE(started);
  CHECK(status_of(nodes.await_end(node, started->id, 1min)) == "FAILED");
  const std::string token = token_of(nodes.sent.front());
  const std::string log = log_text(nodes, started->id);
  CHECK(log.find(token) == std::string::npos);
  CHECK(log.find(token.substr(0, token.rfind('-'))) != std::string::npos);
}

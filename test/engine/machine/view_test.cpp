#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

/// `path status` of every step shown, in order.
std::vector<std::string> shown(const Play& play) {
  std::vector<std::string> lines;
  const Json view = engine::view(play.program, play.state);
  for (const auto& step : view["steps"]) {
    lines.push_back(step["path"].get<std::string>() + " " + step["status"].get<std::string>());
  }
  return lines;
}
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("every step is shown with its path and status, inside blocks, too") {
  Play play(saga(step("a") + R"(,{"name":"both","parallel":{"branches":{"l":[)" + step("x") +
                 R"(],"r":[{"name":"save","try":{"steps":[)" + step("y") +
                 R"(],"catch":[{"steps":[)" + step("z") + R"(]}]}}]}}},
    {"name":"way","switch":{"cases":[{"when":"${true}","steps":[)" +
                 step("u") + R"(]}],"otherwise":{"steps":[)" + step("v") +
                 R"(]}}},{"name":"loop","forEach":{"in":"${[1,2]}","as":"i","steps":[)" +
                 step("w") + "]}}"));
  play.start();
  CHECK(shown(play) == Lines{"a running", "both pending", "both/l/x pending", "both/r/save pending",
                             "both/r/save/y pending", "both/r/save/z pending", "way pending",
                             "way/u pending", "way/v pending", "loop pending"});
  play.answer("a", 200);
  play.answer("both/l/x", 200);
  play.answer("both/r/save/y", 409);
  CHECK(shown(play) == Lines{"a succeeded", "both running", "both/l/x succeeded",
                             "both/r/save running", "both/r/save/y failed", "both/r/save/z running",
                             "way pending", "way/u pending", "way/v pending", "loop pending"});
  play.answer("both/r/save/z", 200);
  play.answer("way/u", 200);
  CHECK(shown(play) == Lines{"a succeeded", "both succeeded", "both/l/x succeeded",
                             "both/r/save succeeded", "both/r/save/y failed",
                             "both/r/save/z succeeded", "way succeeded", "way/u succeeded",
                             "way/v skipped", "loop running", "loop[0]/w running"});
}

TEST_CASE("arms that were not taken, blocks that were passed over and catches not needed") {
  Play play(saga(
      R"({"name":"way","switch":{"cases":[{"when":"${false}","steps":[)" + step("u") +
      R"(]}],"otherwise":{"steps":[{"name":"save","try":{"steps":[{"name":"ok","value":1}],"catch":[{"steps":[)" +
      step("z") + R"(]}]}}]}}},
    {"name":"off","when":"${false}","parallel":{"branches":{"l":[)" +
      step("x") + R"(],"r":[)" + step("y") + "]}}}"));
  play.start();
  CHECK(shown(play) == Lines{"way succeeded", "way/u skipped", "way/save succeeded",
                             "way/save/ok succeeded", "way/save/z skipped", "off skipped",
                             "off/l/x skipped", "off/r/y skipped"});
}

TEST_CASE("handlers and notices are shown once they run") {
  Play play(saga(
      step("a") + "," + step("b"),
      R"(,"onFailure":[)" + retryable("tell") + R"(],"onSuspended":[)" + retryable("page") + "]"));
  play.start();
  play.answer("a", 200);
  CHECK(shown(play) == Lines{"a succeeded", "b running"});
  play.answer("b", 409);
  play.undo("a", 200);
  play.answer("onFailure/tell", 404);
  CHECK(shown(play) == Lines{"a compensated", "b failed", "onFailure/tell running",
                             "onSuspended[1]/page running"});
}

TEST_CASE("of iterations only the first two thousand steps are shown; the others are counted") {
  Play play(
      saga(
          R"({"name":"loop","forEach":{"in":"${input.list}","as":"i","maxItems":3000,"steps":[{"name":"v","value":1}]}},)" +
          step("b")),
      R"({"list":)" + Json(std::vector<int>(2'500, 1)).dump() + "}");
  play.start();
  const Json view = engine::view(play.program, play.state);
  // The loop, 1,999 of its iterations, and what stands behind it.
  CHECK(view["steps"].size() == 2'001);
  CHECK(view["steps"].back()["path"] == "b");
  CHECK(view["stepsOmitted"] == 501);
}

TEST_CASE("a wait shows its signals and its end, a child its saga, a suspension its reason") {
  Play play(saga(
      R"({"name":"w","wait":{"signal":["go","halt"],"timeout":"10m"}},{"name":"sub","saga":{"name":"t.c","version":1,"input":{}}})"));
  play.start();
  auto view = engine::view(play.program, play.state);
  CHECK(view["steps"][0]["signals"] == Json{"go", "halt"});
  CHECK(view["steps"][0]["waitsUntil"] == "2026-01-01T00:10:00.000Z");
  play.signal("halt");
  play.child("sub", engine::SagaStatus::suspended, "null", "X");
  view = engine::view(play.program, play.state);
  CHECK(view["steps"][1]["child"] == play.state.steps.at("sub").child->id.text());
  CHECK(view["suspensions"].size() == 1);
  CHECK(view["suspension"]["reason"] == "CHILD_SUSPENDED");
  CHECK(view["suspension"]["step"] == "sub");
}

TEST_CASE("why and actions are part of a saga until it has ended") {
  Play play(saga(step("a")));
  play.start();
  play.refused_connection("a");
  auto view = engine::view(play.program, play.state);
  const std::string began = to_rfc3339(play.now);
  CHECK(view["why"]["code"] == "retry-scheduled");
  CHECK(view["why"]["since"] == began);
  CHECK(view["why"]["nextAttemptAt"] == view["steps"][0]["nextAttemptAt"]);
  CHECK(view["why"]["participant"] ==
        Json{{"url", "https://s.example/a"}, {"key", play.request("a").key}});
  CHECK(view["why"]["lastAnswer"] ==
        Json{{"code", "TRANSPORT_CONNECT"}, {"class", "transient"}, {"message", "refused"}});
  CHECK(view["actions"][1] == Json{{"action", "suspend"},
                                   {"step", "a"},
                                   {"as", nullptr},
                                   {"signal", nullptr},
                                   {"needs", nullptr},
                                   {"does", view["actions"][1]["does"]}});
  play.wake();
  play.answer("a", 200);
  view = engine::view(play.program, play.state);
  CHECK(view["why"] == nullptr);
  CHECK(view["actions"] == Json::array());
}

TEST_CASE("a suspended step is shown as suspended, with who acted on the saga and why") {
  Play play(saga(step("a") + "," + step("b")));
  play.start();
  play.refused_connection("a");
  play.suspend();
  auto view = engine::view(play.program, play.state);
  CHECK(view["steps"][0]["suspended"] == "forward");
  CHECK(view["steps"][1]["suspended"] == nullptr);
  const std::string first = to_rfc3339(play.now);
  CHECK(view["acted"] == Json::array({{{"at", first},
                                       {"action", "suspend"},
                                       {"step", "a"},
                                       {"as", nullptr},
                                       {"by", "me"},
                                       {"reason", "why"}}}));
  play.cancel();
  view = engine::view(play.program, play.state);
  CHECK(view["acted"].size() == 2);
  CHECK(view["acted"][1]["action"] == "cancel");
  CHECK(view["acted"][1]["step"] == nullptr);
}

TEST_CASE("the URL to ask a participant at is masked whole where a part of it is sensitive") {
  const std::string input =
      R"(,"input":{"type":"object","required":["card"],"properties":{"card":{"type":"string","x-sensitive":true}}})";
  for (const char* request : {R"("http":"PUT /cards/${input.card}")",
                              R"("http":"PUT /a","query":{"card":"${input.card}"})"}) {
    Play play(saga(std::string(R"({"name":"a","action":{"service":"s",)") + request +
                       R"(},"compensation":{"http":"DELETE /a"}})",
                   input),
              R"({"card":"4111-secret"})");
    play.start();
    play.answer("a", 500, R"({"said":"4111-secret"})");
    const Json why = engine::view(play.program, play.state)["why"];
    CHECK(why["participant"]["url"] == "***");
    CHECK(why["participant"]["key"] == play.request("a").key);
    CHECK(why.dump().find("secret") == std::string::npos);
  }
}

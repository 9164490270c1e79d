#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

/// `path status` of every step shown, in order.
std::vector<std::string> shown(const Play& play) {
  std::vector<std::string> lines;
  const Json view = engine::view(*play.program.definition, play.state);
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
  const Json view = engine::view(*play.program.definition, play.state);
  // The loop, 1,999 of its iterations, and what stands behind it.
  CHECK(view["steps"].size() == 2'001);
  CHECK(view["steps"].back()["path"] == "b");
  CHECK(view["stepsOmitted"] == 501);
}

TEST_CASE("a wait shows its signals and its end, a child its saga, a suspension its reason") {
  Play play(saga(
      R"({"name":"w","wait":{"signal":["go","halt"],"timeout":"10m"}},{"name":"sub","saga":{"name":"t.c","version":1,"input":{}}})"));
  play.start();
  auto view = engine::view(*play.program.definition, play.state);
  CHECK(view["steps"][0]["signals"] == Json{"go", "halt"});
  CHECK(view["steps"][0]["waitsUntil"] == "2026-01-01T00:10:00.000Z");
  play.signal("halt");
  play.child("sub", engine::SagaStatus::suspended, "null", "X");
  view = engine::view(*play.program.definition, play.state);
  CHECK(view["steps"][1]["child"] == play.state.steps.at("sub").child->id.text());
  CHECK(view["suspensions"].size() == 1);
  CHECK(view["suspension"]["reason"] == "CHILD_SUSPENDED");
  CHECK(view["suspension"]["step"] == "sub");
}

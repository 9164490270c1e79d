#include <backstitch/base/digest.hpp>

#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

/// A loop of `hold` over input.list, with further members; `after` follows it.
std::string loop(const std::string& more, const std::string& steps = step("hold")) {
  return saga(R"({"name":"loop","forEach":{"in":"${input.list}","as":"item",)" + more +
                  R"("steps":[)" + steps + "]}}," + step("after"),
              R"(,"output":"${steps.loop.output}")");
}

const char* const keyed_hold =
    R"({"name":"hold","action":{"service":"s","http":"PUT /h/${item.id}","body":{"n":"${n}"}},"output":"${response.body}",
       "compensation":{"http":"DELETE /h/${item.id}/${n}"}})";

/// The key of a call in an iteration of `loop`: the item is named by a digest of its key.
std::string of_item(const Play& play, const std::string& key, const std::string& rest) {
  return play.key_for("loop-" + sha256_hex(key).substr(0, 32) + rest);
}

std::size_t linear_events(Play& play, std::size_t calls) {
  // At most a request, an answer and the end of its iteration for every call.
  CHECK(play.log.size() <= 3 * calls + 20);
  return play.log.size();
}

}  // namespace

TEST_CASE("the list is evaluated once and stored; its items, index and key are seen inside") {
  Play play(loop(R"("key":"${item.id}","indexAs":"n","yield":"${steps.hold.output.price + n}",)",
                 keyed_hold),
            R"({"list":[{"id":"x 1"},{"id":"y"}]})");
  CHECK(play.start() ==
        "SagaStarted, BlockStarted loop 2 items, StepScheduled loop[0]/hold | call loop[0]/hold "
        "forward #1");
  CHECK(play.request("loop[0]/hold").target == "/h/x%201");
  CHECK(play.request("loop[0]/hold").key == of_item(play, "x 1", "-hold-f"));
  CHECK(play.answer("loop[0]/hold", 200, R"({"price":10})") ==
        "StepSucceeded loop[0]/hold, IterationEnded loop #0, StepScheduled loop[1]/hold | call "
        "loop[1]/hold forward #1");
  CHECK(play.request("loop[1]/hold").body == R"({"n":1})");
  CHECK(play.request("loop[1]/hold").key == of_item(play, "y", "-hold-f"));
  CHECK(play.answer("loop[1]/hold", 200, R"({"price":20})") ==
        "StepSucceeded loop[1]/hold, IterationEnded loop #1, StepSucceeded loop, StepScheduled "
        "after | call after forward #1");
  SUBCASE("the output is what the iterations yield, in the order of the items") {
    play.answer("after", 200);
    CHECK(play.state.output == Json{10, 21});
  }
  SUBCASE("the undo sees the same item, the last iteration first") {
    CHECK(play.answer("after", 409) ==
          "StepFailed after HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled "
          "loop[1]/hold | call loop[1]/hold compensate #1");
    CHECK(play.request("loop[1]/hold", engine::Phase::compensate).target == "/h/y/1");
    CHECK(play.request("loop[1]/hold", engine::Phase::compensate).compensates ==
          of_item(play, "y", "-hold-f"));
    CHECK(play.undo("loop[1]/hold", 200) ==
          "StepCompensated loop[1]/hold, StepCompensationScheduled loop[0]/hold | call "
          "loop[0]/hold compensate #1");
    CHECK(play.request("loop[0]/hold", engine::Phase::compensate).target == "/h/x%201/0");
    CHECK(play.undo("loop[0]/hold", 200) == "StepCompensated loop[0]/hold, SagaEnded FAILED");
  }
}

TEST_CASE("without a key an item is known by its index") {
  Play play(loop(""), R"({"list":[7]})");
  play.start();
  CHECK(play.request("loop[0]/hold").key == play.key_for("loop-0-hold-f"));
}

TEST_CASE("a list that cannot be run fails the step before anything of it begins") {
  struct Row {
    const char* more;
    const char* list;
    const char* code;
  };
  const Row rows[] = {
      {R"("key":"${item}",)", R"(["a","b","a"])", "EXPRESSION_FAILED"},
      {R"("key":"${item.id}",)", R"([{"id":1},{}])", "EXPRESSION_FAILED"},
      {R"("key":"${item}",)", R"([null])", "EXPRESSION_FAILED"},
      {"", R"({"a":1})", "EXPRESSION_FAILED"},
      {"", "null", "EXPRESSION_FAILED"},
      {R"("maxItems":2,)", "[1,2,3]", "LIMIT_EXCEEDED"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.list);
    Play play(loop(row.more), std::string(R"({"list":)") + row.list + "}");
    CHECK(play.start() == std::string("SagaStarted, StepFailed loop ") + row.code +
                              ", CompensationStarted " + row.code + ", SagaEnded FAILED");
  }
}

TEST_CASE("an empty list is done at once, with an empty output") {
  Play play(loop(R"("yield":"${item}",)"), R"({"list":[]})");
  CHECK(play.start() ==
        "SagaStarted, BlockStarted loop 0 items, StepSucceeded loop, StepScheduled after | call "
        "after forward #1");
  CHECK(play.answer("after", 200) == "StepSucceeded after, SagaEnded COMPLETED");
  CHECK(play.state.output == Json::array());
}

TEST_CASE("as many iterations as maxConcurrency run at once, and yield in the order of the items") {
  Play play(loop(R"("maxConcurrency":2,"yield":"${item * 2}",)"), R"({"list":[1,2,3]})");
  CHECK(play.start() ==
        "SagaStarted, BlockStarted loop 3 items, StepScheduled loop[0]/hold, StepScheduled "
        "loop[1]/hold | call loop[0]/hold forward #1 | call loop[1]/hold forward #1");
  CHECK(play.answer("loop[1]/hold", 200) ==
        "StepSucceeded loop[1]/hold, IterationEnded loop #1, StepScheduled loop[2]/hold | call "
        "loop[2]/hold forward #1");
  play.answer("loop[2]/hold", 200);
  play.answer("loop[0]/hold", 200);
  SUBCASE("forward") {
    play.answer("after", 200);
    CHECK(play.state.output == Json{2, 4, 6});
  }
  SUBCASE("mirror: as many undone at once, the last first") {
    CHECK(play.answer("after", 409) ==
          "StepFailed after HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled "
          "loop[2]/hold, StepCompensationScheduled loop[1]/hold | call loop[2]/hold compensate #1 "
          "| call loop[1]/hold compensate #1");
    CHECK(play.undo("loop[1]/hold", 200) ==
          "StepCompensated loop[1]/hold, StepCompensationScheduled loop[0]/hold | call "
          "loop[0]/hold compensate #1");
    CHECK(play.undo("loop[0]/hold", 200) == "StepCompensated loop[0]/hold");
    CHECK(play.undo("loop[2]/hold", 200) == "StepCompensated loop[2]/hold, SagaEnded FAILED");
  }
}

TEST_CASE("serial: iterations are undone one at a time, whatever ran at once") {
  Play play(loop(R"("maxConcurrency":3,"compensationOrder":"serial",)"), R"({"list":[1,2]})");
  play.start();
  play.answer("loop[1]/hold", 200);
  play.answer("loop[0]/hold", 200);
  CHECK(play.answer("after", 409) ==
        "StepFailed after HTTP_409, CompensationStarted HTTP_409, StepCompensationScheduled "
        "loop[1]/hold | call loop[1]/hold compensate #1");
  CHECK(play.take_over() ==
        "Resumed, AttemptFailed loop[1]/hold compensate #1 unknown again in 0s, AttemptStarted "
        "loop[1]/hold compensate #2 | call loop[1]/hold compensate #2");
  CHECK(play.undo("loop[1]/hold", 200) ==
        "StepCompensated loop[1]/hold, StepCompensationScheduled loop[0]/hold | call "
        "loop[0]/hold compensate #1");
}

TEST_CASE("a failed iteration begins no other, awaits those on their way, and fails the loop") {
  Play play(loop(R"("maxConcurrency":2,)"), R"({"list":[1,2,3]})");
  play.start();
  CHECK(play.answer("loop[1]/hold", 409) ==
        "StepFailed loop[1]/hold HTTP_409, IterationEnded loop #1");
  CHECK(play.answer("loop[0]/hold", 200) ==
        "StepSucceeded loop[0]/hold, IterationEnded loop #0, StepFailed loop HTTP_409, "
        "CompensationStarted HTTP_409, StepCompensationScheduled loop[0]/hold | call loop[0]/hold "
        "compensate #1");
  CHECK(play.state.failure->step == "loop[1]/hold");
  CHECK(play.undo("loop[0]/hold", 200) == "StepCompensated loop[0]/hold, SagaEnded FAILED");
}

TEST_CASE("with onFailure finish every item has its turn before the loop fails") {
  Play play(loop(R"("onFailure":"finish",)"), R"({"list":[1,2,3]})");
  play.start();
  CHECK(play.answer("loop[0]/hold", 409) ==
        "StepFailed loop[0]/hold HTTP_409, IterationEnded loop #0, StepScheduled loop[1]/hold | "
        "call loop[1]/hold forward #1");
  play.answer("loop[1]/hold", 200);
  CHECK(play.answer("loop[2]/hold", 410) ==
        "StepFailed loop[2]/hold HTTP_410, IterationEnded loop #2, StepFailed loop HTTP_409, "
        "CompensationStarted HTTP_409, StepCompensationScheduled loop[1]/hold | call loop[1]/hold "
        "compensate #1");
  CHECK(play.state.failure->details["others"][0]["step"] == "loop[2]/hold");
}

TEST_CASE("steps of an iteration read their siblings, in the undo and the yield, too") {
  const std::string first =
      R"({"name":"hold","action":{"service":"s","http":"PUT /h"},"output":"${response.body}","compensation":{"http":"DELETE /h"}})";
  const std::string second =
      R"({"name":"pay","action":{"service":"s","http":"PUT /p/${steps.hold.output}"},"compensation":{"http":"DELETE /p/${steps.hold.output}"}})";
  Play play(loop(R"("maxConcurrency":2,"yield":"${steps.hold.output}",)", first + "," + second),
            R"({"list":["a","b"]})");
  play.start();
  play.answer("loop[1]/hold", 200, "\"two\"");
  play.answer("loop[0]/hold", 200, "\"one\"");
  CHECK(play.request("loop[0]/pay").target == "/p/one");
  CHECK(play.request("loop[1]/pay").target == "/p/two");
  play.answer("loop[1]/pay", 200);
  play.answer("loop[0]/pay", 200);
  CHECK(play.state.steps.at("loop").output == Json{"one", "two"});
  play.answer("after", 409);
  CHECK(play.request("loop[0]/pay", engine::Phase::compensate).target == "/p/one");
  CHECK(play.request("loop[1]/pay", engine::Phase::compensate).target == "/p/two");
}

TEST_CASE("a loop in a loop: both items are seen, and both keys stand in the request's") {
  const std::string inner =
      R"({"name":"seats","forEach":{"in":"${item.seats}","as":"seat","key":"${seat}","steps":[
        {"name":"hold","action":{"service":"s","http":"PUT /${item.id}/${seat}"},"compensation":{"http":"DELETE /${item.id}/${seat}"}}],
        "yield":"${seat}"}})";
  Play play(loop(R"("key":"${item.id}","yield":"${steps.seats.output}",)", inner),
            R"({"list":[{"id":"k","seats":["p","q"]},{"id":"l","seats":["p"]}]})");
  CHECK(play.start() ==
        "SagaStarted, BlockStarted loop 2 items, BlockStarted loop[0]/seats 2 items, StepScheduled "
        "loop[0]/seats[0]/hold | call loop[0]/seats[0]/hold forward #1");
  CHECK(play.request("loop[0]/seats[0]/hold").target == "/k/p");
  CHECK(play.request("loop[0]/seats[0]/hold").key ==
        of_item(play, "k", "-seats-" + sha256_hex("p").substr(0, 32) + "-hold-f"));
  play.answer("loop[0]/seats[0]/hold", 200);
  CHECK(play.answer("loop[0]/seats[1]/hold", 200) ==
        "StepSucceeded loop[0]/seats[1]/hold, IterationEnded loop[0]/seats #1, StepSucceeded "
        "loop[0]/seats, IterationEnded loop #0, BlockStarted loop[1]/seats 1 items, StepScheduled "
        "loop[1]/seats[0]/hold | call loop[1]/seats[0]/hold forward #1");
  play.answer("loop[1]/seats[0]/hold", 200);
  CHECK(play.state.steps.at("loop").output == Json::parse(R"([["p","q"],["p"]])"));
  CHECK(play.answer("after", 409).find("call loop[1]/seats[0]/hold compensate #1") !=
        std::string::npos);
  play.undo("loop[1]/seats[0]/hold", 200);
  play.undo("loop[0]/seats[1]/hold", 200);
  CHECK(play.request("loop[0]/seats[0]/hold", engine::Phase::compensate).target == "/k/p");
}

TEST_CASE("a yield that cannot be rendered fails the loop, and its calls are undone") {
  Play play(loop(R"("yield":"${item + 1}",)"), R"({"list":["text"]})");
  play.start();
  CHECK(play.answer("loop[0]/hold", 200) ==
        "StepSucceeded loop[0]/hold, IterationEnded loop #0 EXPRESSION_FAILED, StepFailed loop "
        "EXPRESSION_FAILED, CompensationStarted EXPRESSION_FAILED, StepCompensationScheduled "
        "loop[0]/hold | call loop[0]/hold compensate #1");
}

TEST_CASE("after the pivot a refused iteration suspends, and the loop goes on where it stood") {
  Play play(
      saga(
          pivot("go") +
          R"(,{"name":"loop","forEach":{"in":"${input.list}","as":"i","maxConcurrency":2,"steps":[)" +
          retryable("x") + "," + retryable("y") + "]}}"),
      R"({"list":[1,2,3]})");
  play.start();
  play.answer("go", 200);
  CHECK(play.answer("loop[1]/x", 404) ==
        "AttemptFailed loop[1]/x forward #1 failure, SagaSuspended loop[1]/x HTTP_404");
  CHECK(play.answer("loop[0]/x", 200) == "StepSucceeded loop[0]/x");
  CHECK(play.skip("x") ==
        "OperatorActed loop[1]/x skip, StepSkipped loop[1]/x, StepScheduled loop[0]/y, "
        "StepScheduled loop[1]/y | call loop[0]/y forward #1 | call loop[1]/y forward #1");
  play.answer("loop[0]/y", 200);
  play.answer("loop[2]/x", 200);
  play.answer("loop[1]/y", 200);
  CHECK(play.answer("loop[2]/y", 200) ==
        "StepSucceeded loop[2]/y, IterationEnded loop #2, StepSucceeded loop, SagaEnded COMPLETED");
}

TEST_CASE("ten thousand items run and are undone in linear time") {
  constexpr std::size_t items = 10'000;
  std::string list = "0";
  for (std::size_t i = 1; i < items; ++i) list += "," + std::to_string(i);
  Play play(loop(R"("maxItems":10000,"maxConcurrency":8,)"), R"({"list":[)" + list + "]}");
  play.checks_fold = false;
  play.start();
  std::size_t decisions = 1;
  const auto answer_all = [&](engine::Phase phase) {
    while (engine::has_call_in_flight(play.state)) {
      REQUIRE(play.state.open.size() <= 8);
      const std::string path = *play.state.open.begin();
      play.answer(path, path == "after" ? 409 : 200, "null", phase);
      ++decisions;
      if (path == "after") break;
    }
  };
  answer_all(engine::Phase::forward);
  CHECK(decisions == items + 2);
  linear_events(play, items);
  SUBCASE("by one node") {
    answer_all(engine::Phase::compensate);
    CHECK(play.status() == "FAILED");
    CHECK(decisions == 2 * items + 2);
    linear_events(play, 2 * items);
  }
  SUBCASE("by one that took over in the middle") {
    for (int i = 0; i < 5'000; ++i) play.undo(*play.state.open.begin(), 200);
    play.take_over();
    answer_all(engine::Phase::compensate);
    CHECK(play.status() == "FAILED");
    linear_events(play, 2 * items + 16);
  }
  CHECK(engine::view(play.program, play.state)["steps"].size() == 2'001);
}

// What one transition may cost: it is cut between two events, goes on with a Tick, and what an
// expression comes to never depends on where it was cut.
#include <ctime>

#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

/// An object of 300 members as text: reading it costs 1,200 steps, and making it the same again.
std::string object_text(int members) {
  Json object = Json::object();
  for (int i = 0; i < members; ++i) object["k" + std::to_string(1000 + i)] = 0;
  return object.dump();
}

Json list_of(int items) {
  return std::vector<int>(static_cast<std::size_t>(items), 1);
}

/// A loop whose every item reads `input.text` as JSON, once for each of `input.few`.
std::string costly_loop() {
  return saga(R"({"name":"loop","forEach":{"in":"${input.list}","as":"i","maxItems":10000,"steps":[
      {"name":"v","value":"${input.few.map(x, len(parseJson(input.text))).sum(n, n)}"}],"yield":"${i}"}})",
              R"(,"output":"${len(steps.loop.output)}")");
}

std::string costly_input(int items, int times) {
  return Json{{"list", list_of(items)}, {"few", list_of(times)}, {"text", object_text(300)}}.dump();
}

double cpu_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

}  // namespace

TEST_CASE("a loop of costly items is cut between events, and ends as if it had not been") {
  Play whole(costly_loop(), costly_input(100, 30));
  whole.checks_fold = false;
  whole.start();
  CHECK(whole.status() == "COMPLETED");

  Play cut(costly_loop(), costly_input(100, 30));
  cut.checks_fold = false;
  cut.stops_at_cuts = true;
  cut.start();
  std::size_t cuts = 0;
  double longest = 0;
  while (cut.last.cut && ++cuts < 1'000) {
    CHECK_FALSE(cut.last.events.empty());
    const double began = cpu_ms();
    cut.on(engine::Tick{});
    longest = std::max(longest, cpu_ms() - began);
  }
  CHECK(cuts >= 5);
  CHECK(cut.log == whole.log);
  // Far from what it takes here; the bound is of steps, and holds on every machine.
  CHECK(longest < 1'000);
}

TEST_CASE("a node that takes over a saga that was cut goes on with it") {
  Play play(costly_loop(), costly_input(100, 30));
  play.checks_fold = false;
  play.stops_at_cuts = true;
  play.start();
  for (int i = 0; i < 100 && play.status() == "RUNNING"; ++i) {
    REQUIRE(play.last.cut);
    play.take_over();
  }
  CHECK(play.status() == "COMPLETED");
  CHECK(play.state.output == 100);
}

TEST_CASE("many cheap events are cut as well") {
  Play play(
      saga(R"({"name":"loop","forEach":{"in":"${input.list}","as":"i","maxItems":10000,"steps":[
      {"name":"v","value":1}]}})"),
      Json{{"list", list_of(10'000)}}.dump());
  play.checks_fold = false;
  play.stops_at_cuts = true;
  play.start();
  CHECK(play.last.cut);
  CHECK(play.last.events.size() < 10'000);
}

TEST_CASE("a small saga is not cut") {
  Play play(three_steps());
  play.stops_at_cuts = true;
  play.start();
  play.answer("a", 200);
  CHECK_FALSE(play.last.cut);
  CHECK(play.log.size() == 4);
}

TEST_CASE("what is evaluated for one event has a bound of its own, and the step fails beyond it") {
  std::string cases;
  for (int i = 0; i < 20; ++i) {
    cases +=
        R"({"when":"${input.few.map(x, len(parseJson(input.text))).sum(n, n) < 0}","steps":[]},)";
  }
  Play play(saga(R"({"name":"way","switch":{"cases":[)" + cases.substr(0, cases.size() - 1) +
                 R"(],"otherwise":{"steps":[]}}})"),
            costly_input(1, 30));
  play.start();
  REQUIRE(play.status() == "FAILED");
  CHECK(play.state.failure->code == "EXPRESSION_FAILED");
  CHECK(play.state.failure->message.find("500000 evaluation steps for one event") !=
        std::string::npos);
}

TEST_CASE("signals that are too costly to judge fail their wait and are not lost unseen") {
  Play play(saga(R"({"name":"hold","sleep":{"for":"1h"}},
      {"name":"w","wait":{"signal":"go","timeout":"1h",
       "accept":"${steps.hold.output == null && input.few.map(x, len(parseJson(signal.payload.t))).sum(n, n) < 0}"}})",
                 R"(,"timeout":"1d")"),
            Json{{"few", list_of(40)}}.dump());
  play.start();
  const std::string payload = Json{{"t", object_text(300)}}.dump();
  for (int i = 0; i < 20; ++i) CHECK(play.signal("go", payload) == "SignalReceived go");
  play.wake();
  CHECK(play.status() == "FAILED");
  CHECK(play.state.failure->code == "LIMIT_EXCEEDED");
  CHECK(play.state.signals.size() == 20);
}

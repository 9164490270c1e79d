#include <algorithm>
#include <cctype>
#include <set>

#include <backstitch/base/digest.hpp>

#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;
using engine::Phase;

namespace {

bool survives_a_url(const std::string& key) {
  return !key.empty() && key.size() <= 128 &&
         std::all_of(key.begin(), key.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

const std::string probed_step =
    R"("retry":{"maxAttempts":1},"probe":{"http":"GET /by-key/${self.key}","sealed":true},)"
    R"("compensation":{"http":"DELETE /c/${self.key}"})";
const std::string polled_step =
    R"("completion":{"timeout":"5m","poll":{"http":"GET /c/${self.key}","every":"20s"}},)"
    R"("compensation":{"http":"DELETE /c"})";

Play at_c(const std::string& third) {
  Play play(three_steps("", third));
  play.start();
  play.answer("a", 200);
  play.answer("b", 200);
  return play;
}

}  // namespace

TEST_CASE("the root of a saga's keys is an event's field, and keys follow it") {
  Play play(three_steps());
  play.start();
  CHECK(Json::parse(play.log.front().data)["root"] == play.state.id.text());
  CHECK(play.state.root == play.state.id.text());
  play.state.root = "other_root-1";
  play.answer("a", 200);
  CHECK(play.request("b").key == "other_root-1-b-f");
}

TEST_CASE("a probe has no key of its own and names the key of the action") {
  auto play = at_c(probed_step);
  const std::string key = play.request("c").key;
  play.lost("c");
  const auto& probe = play.request("c", Phase::probe);
  CHECK(probe.key.empty());
  CHECK(probe.probes == key);
  CHECK(probe.target == "/by-key/" + key);
}

TEST_CASE("a poll has no key of its own and names the key of the action") {
  auto play = at_c(polled_step);
  const std::string key = play.request("c").key;
  play.answer("c", 202);
  const auto& poll = play.request("c", Phase::poll);
  CHECK(poll.key.empty());
  CHECK(poll.probes == key);
  CHECK(poll.target == "/c/" + key);
}

TEST_CASE("later calls take the key from the stored request and never compute it again") {
  auto play = at_c(probed_step);
  // As if the rule for keys had changed since the action was sent.
  const std::string key = play.request("c").key;
  play.state.root = "another";
  play.lost("c");
  CHECK(play.request("c", Phase::probe).probes == key);
  CHECK(play.request("c", Phase::probe).target == "/by-key/" + key);
  play.probe("c", 200);
  CHECK(play.status() == "COMPLETED");

  auto back = at_c(
      R"("compensation":{"http":"DELETE /c","body":"${self.key}"}},{"name":"end","fail":{"code":"X"})");
  const std::string undone = back.request("c").key;
  back.state.root = "another";
  back.answer("c", 200);
  CHECK(back.request("c", Phase::compensate).compensates == undone);
  CHECK(back.request("c", Phase::compensate).body == "\"" + undone + "\"");
  CHECK(back.request("c", Phase::compensate).key != undone);
}

TEST_CASE("every attempt of a direction has the same key") {
  Play play(saga(step("a", R"(,"retry":{"maxAttempts":3,"delay":"1s"})")));
  play.start();
  const std::string key = play.request("a").key;
  play.lost("a");
  play.wake();
  CHECK(play.request("a").key == key);
  play.state = play.folded_log();
  CHECK(play.request("a").key == key);
}

TEST_CASE("whatever the key of an item is, the keys of its steps survive a URL and differ") {
  const std::string loop =
      R"({"name":"loop","forEach":{"in":"${input.list}","as":"item","key":"${item}","maxConcurrency":9,"steps":[)" +
      step("hold") + "]}}";
  Play play(saga(loop), R"({"list":["a/b","a%2Fb","A","a","","..","é\n","1"]})");
  play.start();
  std::set<std::string> without_case;
  for (std::uint32_t i = 0; i < 8; ++i) {
    std::string key = play.request("loop[" + std::to_string(i) + "]/hold").key;
    CHECK_MESSAGE(survives_a_url(key), key);
    std::transform(key.begin(), key.end(), key.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    without_case.insert(key);
  }
  CHECK(without_case.size() == 8);
}

TEST_CASE("a key of more than 128 characters has a digest of its path instead") {
  const std::string name(60, 'n');
  const std::string deep = R"({"name":")" + name + R"(","parallel":{"branches":{")" +
                           std::string(60, 'b') + R"(":[)" + step("hold") + R"(],"other":[)" +
                           step("x") + "]}}}";
  Play play(saga(deep));
  play.start();
  const std::string path = name + "/" + std::string(60, 'b') + "/hold";
  const std::string joined = name + "-" + std::string(60, 'b') + "-hold";
  const std::string& key = play.request(path).key;
  CHECK(key == play.state.id.text() + "-" + sha256_hex(joined).substr(0, 32) + "-f");
  CHECK(survives_a_url(key));
}

TEST_CASE("the id of a child comes from a digest of its parent, its step and chance") {
  const std::string definition =
      R"({"dsl":1,"name":"t.p","version":1,"steps":[{"name":"both","parallel":{"branches":{
        "l":[{"name":"one","saga":{"name":"t.c","version":1,"input":{}}}],
        "r":[{"name":"two","saga":{"name":"t.c","version":1,"input":{}}}]}}}]})";
  Play play(definition);
  play.start();
  const auto child = [](const Play& one, const char* path) {
    return one.state.steps.at(path).child->id;
  };
  const SagaId one = child(play, "both/l/one");
  CHECK(one != child(play, "both/r/two"));
  CHECK(one.shard() == play.state.id.shard());
  // Fixed for ever: the same on every machine and with every standard library.
  CHECK(one.text() == "019b76da-a800-7bae-b476-3e5afe55ce03");
}

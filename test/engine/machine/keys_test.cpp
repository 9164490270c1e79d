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
  CHECK(Json::parse(play.log.front().data)["root"] == play.state.root);
  play.state.root = "other_root-1";
  play.program.key_secret = std::make_shared<const std::string>("secret");
  play.answer("a", 200);
  const std::string fields = "11:participant12:other_root-19:t.three/s";
  CHECK(play.request("b").key == hex_of(hmac_sha256("secret", fields), 16) + "-b-f");
}

TEST_CASE("the same start has the same root, whatever its id is, and every other one another") {
  const std::string definition = three_steps();
  const auto root = [&](const engine::StartIdentity& identity,
                        const std::optional<std::string>& business_key, std::uint64_t id = 1,
                        const std::string& secret = "secret") {
    Play play(definition);
    play.program.key_secret = std::make_shared<const std::string>(secret);
    engine::Start start{SagaId::make(play.now, id, 2, 3), Json::object(), {}, business_key};
    start.identity = identity;
    return engine::root_of_start(play.program, start, business_key);
  };
  const engine::StartIdentity none;
  const engine::StartIdentity business{0, ""};
  const engine::StartIdentity again{1, ""};
  const engine::StartIdentity both{0, "k"};
  const engine::StartIdentity caller{std::nullopt, "k"};
  const engine::StartIdentity child{0, "k", "parent", "a"};
  // A business key goes before the caller's, and the parent before both.
  CHECK(root(business, "b") == root(both, "b", 7));
  CHECK(root(caller, std::nullopt) == root(both, std::nullopt, 7));
  CHECK(root(child, "b") == root(child, std::nullopt, 7));
  const std::set<std::string> all{root(none, std::nullopt),
                                  root(none, std::nullopt, 7),
                                  root(business, "b"),
                                  root(business, "c"),
                                  root(again, "b"),
                                  root(caller, std::nullopt),
                                  root(business, "b", 1, "other"),
                                  root(child, "b"),
                                  root({0, "", "parent", "b"}, "b"),
                                  root({0, "", "other", "a"}, "b"),
                                  root(none, "b", 8)};
  CHECK(all.size() == 11);
}

TEST_CASE("sub-sagas of iterations have roots of their own, whatever the order of the list") {
  const auto roots = [](const std::string& list) {
    Play play(R"({"dsl":1,"name":"t.each","version":1,"steps":[
      {"name":"l","forEach":{"in":"${input.list}","as":"it","key":"${it}","maxItems":9,"steps":[
        {"name":"c","saga":{"name":"t.child","input":{}}}]}}]})",
              R"({"list":)" + list + "}");
    play.start();
    std::set<std::string> all;
    for (const char* path : {"l[0]/c", "l[1]/c"})
      all.insert(engine::identity_of_child(*play.program.definition, play.state, path).parent_path);
    return all;
  };
  CHECK(roots(R"(["x","y"])").size() == 2);
  CHECK(roots(R"(["x","y"])") == roots(R"(["y","x"])"));
}

TEST_CASE("the keys of two participants begin with what neither can derive from the other's") {
  Play play(R"({"dsl":1,"name":"t.two","version":1,
    "services":{"s":{"baseUrl":"https://s.example"},"t":{"baseUrl":"https://t.example"},"u":{"use":"bank"}},
    "steps":[
      {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"service":"t","http":"DELETE /a"}},
      {"name":"b","action":{"service":"t","http":"PUT /b"},"compensation":{"http":"DELETE /b"}},
      {"name":"c","action":{"service":"u","http":"PUT /c"},"compensation":{"http":"DELETE /c"}},
      {"name":"end","fail":{"code":"X"}}]})");
  play.provide("bank");
  play.start();
  const auto root = [&](const std::string& participant) {
    return engine::root_of(play.program, play.state, participant);
  };
  CHECK(play.request("a").key == root("t.two/s") + "-a-f");
  play.answer("a", 200);
  CHECK(play.request("b").key == root("t.two/t") + "-b-f");
  play.answer("b", 200);
  CHECK(play.request("c").key == root("bank") + "-c-f");
  play.answer("c", 200);
  play.answer("c", 200, "null", Phase::compensate);
  play.answer("b", 200, "null", Phase::compensate);
  // The undo names the key of the action, and its own is of whom it goes to.
  CHECK(play.request("a", Phase::compensate).compensates == root("t.two/s") + "-a-f");
  CHECK(play.request("a", Phase::compensate).key == root("t.two/t") + "-a-c");
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
  CHECK(key == play.key_for(sha256_hex(joined).substr(0, 32) + "-f"));
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

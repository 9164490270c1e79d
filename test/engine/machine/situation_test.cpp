// Why a saga has not ended, and what an operator may do about it.
#include <backstitch/engine/machine/situation.hpp>

#include "tried_commands.hpp"

using namespace backstitch;
using namespace backstitch::test;
using engine::Phase;

namespace {

using Texts = std::vector<std::string>;

/// The situation of the saga, in which every command does what `actions` says of it.
engine::Situation seen(const Play& play) {
  CHECK(TriedCommands(play.program, play.state, play.queued, play.now).difference() == "");
  return engine::situation_of(play.program, play.state, play.queued);
}

std::string url(const engine::Why& why) {
  REQUIRE(why.participant);
  return why.participant->base_url + why.participant->target;
}

Play started(const std::string& definition, const std::string& input = "{}") {
  Play play(definition, input);
  play.start();
  return play;
}

const std::string single_attempt = R"(,"retry":{"maxAttempts":1})";
const std::string bounded_retry =
    R"(,"retry":{"maxAttempts":5,"maxElapsed":"20m","delay":"20s","jitter":"none"})";

}  // namespace

TEST_CASE("a call in flight is awaited until its attempt times out") {
  auto play = started(saga(step("a")));
  const auto [why, actions] = seen(play);
  CHECK(why->code == "call-in-flight");
  CHECK(why->sentence == "The answer of `s` to attempt 1 of `a` is awaited.");
  CHECK(why->step == "a");
  CHECK(why->since == play.now);
  CHECK(why->until == play.now + 10s);
  CHECK(url(*why) == "https://s.example/a");
  CHECK(why->participant->key == play.request("a").key);
  CHECK(why->possibly_done);
  CHECK_FALSE(why->last_answer);
  CHECK(to_texts(actions) == Texts{"cancel"});
}

TEST_CASE("a call that waits in the node's queue has certainly not been done") {
  auto play = started(saga(pivot("p")));
  CHECK(to_texts(seen(play).actions) == Texts{});
  play.queued = {{"p", Phase::forward}};
  const auto [why, actions] = seen(play);
  CHECK(why->code == "call-queued");
  CHECK(why->sentence == "Attempt 1 of `p` waits for its turn among the calls to `s`.");
  CHECK_FALSE(why->possibly_done);
  CHECK_FALSE(why->until);
  CHECK(to_texts(actions) == Texts{"cancel"});
}

TEST_CASE("a retry says when it is due, when it is given up, and what the last answer was") {
  auto play = started(saga(step("a", bounded_retry)));
  const TimePoint first = play.now;
  play.refused_connection("a");
  auto [why, actions] = seen(play);
  CHECK(why->code == "retry-scheduled");
  CHECK(why->sentence ==
        "`a` has not succeeded in 1 attempt(s) of 5, the last with TRANSPORT_CONNECT; the next "
        "attempt is scheduled.");
  CHECK(why->since == first);
  CHECK(why->next_attempt_at == first + 20s);
  CHECK(why->until == first + 20min);
  CHECK(why->last_answer->code == "TRANSPORT_CONNECT");
  CHECK_FALSE(why->possibly_done);
  CHECK(to_texts(actions) == Texts{"retry", "suspend a", "cancel"});
  play.wake();
  play.answer("a", 503);
  why = seen(play).why;
  CHECK(why->last_answer->code == "HTTP_503");
  CHECK(why->possibly_done);
}

TEST_CASE("the saga's timeout ends the retries of what is not the pivot") {
  const std::string unbounded = R"(,"retry":{"maxElapsed":"50m","maxAttempts":100})";
  auto play = started(saga(step("a", unbounded), R"(,"timeout":"30m")"));
  play.refused_connection("a");
  CHECK(seen(play).why->until == play.now + 30min);
  auto resolved = started(saga(pivot("p", unbounded), R"(,"timeout":"30m")"));
  resolved.refused_connection("p");
  CHECK(seen(resolved).why->until == play.now + 50min);
}

TEST_CASE("a wait names its signals, and `actions` offers them") {
  auto play = started(saga(R"({"name":"w","wait":{"signal":["go","halt"],"timeout":"10m"}})"));
  const auto [why, actions] = seen(play);
  CHECK(why->code == "signal-awaited");
  CHECK(why->sentence == "`w` waits for the signal `go` or `halt`.");
  CHECK(why->until == play.now + 10min);
  CHECK_FALSE(why->participant);
  CHECK_FALSE(why->possibly_done);
  CHECK(to_texts(actions) == Texts{"signal go w", "signal halt w", "cancel"});
}

TEST_CASE("a sleep ends at its time, a sub-saga is named") {
  auto play = started(saga(
      R"({"name":"nap","sleep":{"for":"1m"}},{"name":"sub","saga":{"name":"t.c","version":1,"input":{}}})"));
  auto why = seen(play).why;
  CHECK(why->code == "sleeping");
  CHECK(why->until == play.now + 1min);
  play.wake();
  const std::string child = play.state.steps.at("sub").child->id.text();
  why = seen(play).why;
  CHECK(why->code == "child-awaited");
  CHECK(why->sentence == "`sub` waits for its sub-saga " + child + ".");
  CHECK(why->possibly_done);
  play.child("sub", engine::SagaStatus::suspended, "null", "X");
  const auto [stopped, actions] = seen(play);
  CHECK(stopped->code == "child-suspended");
  CHECK(stopped->reason == "CHILD_SUSPENDED");
  CHECK(stopped->sentence.find(child) != std::string::npos);
  CHECK(to_texts(actions) == Texts{"retry", "cancel"});
}

TEST_CASE("a completion is awaited until its timeout, and its next poll is the next attempt") {
  auto play = started(saga(
      step("a", R"(,"completion":{"timeout":"5m","poll":{"http":"GET /polled","every":"20s"}})")));
  play.answer("a", 202);
  const auto why = seen(play).why;
  CHECK(why->code == "completion-awaited");
  CHECK(why->sentence == "`s` has accepted `a`; its final answer is awaited.");
  CHECK(why->next_attempt_at == play.now + 20s);
  CHECK(why->until == play.now + 5min);
  CHECK(url(*why) == "https://s.example/a");
  CHECK(why->possibly_done);
}

TEST_CASE("a probe asks about the action: its URL and its key") {
  auto play = started(saga(step("a", single_attempt + R"(,"probe":{"http":"GET /probed"})")));
  const std::string key = play.request("a").key;
  play.lost("a");
  const auto why = seen(play).why;
  CHECK(why->code == "call-in-flight");
  CHECK(why->phase == Phase::probe);
  CHECK(why->sentence == "The answer of `s` to attempt 1 of the probe of `a` is awaited.");
  CHECK(url(*why) == "https://s.example/a");
  CHECK(why->participant->key == key);
  CHECK(why->possibly_done);
}

TEST_CASE("of several waits the one that fails tells most, wherever it stands") {
  const auto both = [](const std::string& left, const std::string& right) {
    return saga(R"({"name":"both","parallel":{"branches":{"l":[)" + left + R"(],"r":[)" + right +
                "]}}}");
  };
  auto play = started(both(step("x"), step("y")));
  CHECK(seen(play).why->step == "both/l/x");
  play.refused_connection("both/r/y");
  CHECK(seen(play).why->step == "both/r/y");
  auto mixed = started(both(R"({"name":"nap","sleep":{"for":"1m"}})",
                            R"({"name":"w","wait":{"signal":"go","timeout":"10m"}})"));
  CHECK(seen(mixed).why->step == "both/r/w");
}

TEST_CASE("a compensation is asked about by its own URL and key") {
  auto play = started(saga(step("a") + "," + step("b")));
  play.answer("a", 200);
  play.answer("b", 409);
  auto why = seen(play).why;
  CHECK(why->code == "call-in-flight");
  CHECK(why->phase == Phase::compensate);
  CHECK(url(*why) == "https://s.example/a");
  CHECK(why->participant->key == play.request("a", Phase::compensate).key);
  const TimePoint sent = play.now;
  play.undo("a", 503);
  const auto [retrying, actions] = seen(play);
  CHECK(retrying->code == "retry-scheduled");
  CHECK(retrying->sentence.starts_with(
      "The compensation of `a` has not succeeded in 1 attempt(s), the last with HTTP_503"));
  CHECK(retrying->until == sent + 24h);
  CHECK(to_texts(actions) == Texts{"retry", "suspend a"});
  play.now += 25h;
  play.wake();
  play.undo("a", 500);
  const auto [stopped, possible] = seen(play);
  CHECK(stopped->code == "suspended");
  CHECK(stopped->reason == "COMPENSATION_FAILED");
  CHECK(stopped->phase == Phase::compensate);
  CHECK(stopped->since == play.now);
  CHECK(stopped->last_answer->code == "HTTP_500");
  CHECK(to_texts(possible) == Texts{"retry", "resolve a done", "resolve a compensated", "skip a"});
}

TEST_CASE("what the database refused, what an operator stopped and what nobody can render") {
  auto refused = started(saga(step("a")));
  refused.on(engine::ContentRefused{"a", Phase::forward, 1});
  auto why = seen(refused).why;
  CHECK(why->code == "suspended");
  CHECK(why->reason == "CONTENT_REFUSED");
  CHECK(why->possibly_done);

  auto stopped = started(saga(step("a")));
  stopped.refused_connection("a");
  stopped.suspend();
  const auto [by_operator, actions] = seen(stopped);
  CHECK(by_operator->code == "suspended-by-operator");
  CHECK(by_operator->sentence == "An operator suspended the saga at `a`.");
  CHECK_FALSE(by_operator->possibly_done);
  CHECK(to_texts(actions) == Texts{"retry", "resolve a done", "resolve a not-done", "cancel"});

  auto mute = started(saga(R"({"name":"p","kind":"pivot","action":{"service":"s","http":"POST /p"},
      "output":{"id":"${response.body.id}"}})"));
  mute.answer("p", 200, "{}");
  const auto [lacking, possible] = seen(mute);
  CHECK(lacking->reason == "EXPRESSION_FAILED");
  CHECK(lacking->possibly_done);
  CHECK(to_texts(possible) == Texts{"resolve p done needs output", "skip p"});
}

TEST_CASE("a quiet period, a handler and a cancellation that waits") {
  auto quiet = started(saga(step("a", single_attempt), "", R"(,"quietPeriod":"30s")"));
  quiet.lost("a");
  auto why = seen(quiet).why;
  CHECK(why->code == "quiet-period");
  CHECK(why->until == quiet.now + 30s);
  CHECK(why->possibly_done);

  auto handler = started(saga(step("a"), R"(,"onFailure":[)" + retryable("tell") + "]"));
  handler.answer("a", 409);
  why = seen(handler).why;
  CHECK(why->step == "onFailure/tell");
  CHECK(why->code == "call-in-flight");

  auto cancelled = started(saga(step("a")));
  cancelled.cancel();
  const auto [waits, actions] = seen(cancelled);
  CHECK(waits->sentence ==
        "The answer of `s` to attempt 1 of `a` is awaited. The cancellation takes effect as soon "
        "as this has ended.");
  CHECK(actions.empty());
}

TEST_CASE("a start that waits to be taken up says so, and a saga that has ended says nothing") {
  auto play = started(saga(step("a")));
  Play waiting = play;
  waiting.state.steps.clear();
  waiting.state.open.clear();
  waiting.state.sequence = {};
  CHECK(seen(waiting).why->code == "start-queued");
  play.answer("a", 200);
  const auto [why, actions] = seen(play);
  CHECK_FALSE(why);
  CHECK(actions.empty());
}

/// Every way a saga with a parallel, a try, a loop and a wait can go: each call is done, refused or
/// lost on its way there or back, the signal comes or does not, somebody cancels at any point, the
/// node dies at any point. Bounded by how much goes wrong in one life. Holds I3, I4, I5 and I9 on
/// the way and a clean end of every life.
#include <deque>

#include "world.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

/// Not as many lives as grains of sand: so much may go wrong in one of them.
constexpr int faults_max = 2;

struct Life {
  Play play;
  World world;
  std::deque<engine::CallParticipant> pending;
  int faults = 0;
  bool cancelled = false;
};

class Walk {
 public:
  Walk(const dsl::Definition& definition, bool last_first)
      : order_(definition), last_first_(last_first) {}

  std::size_t lives = 0;
  std::map<std::string, std::size_t> endings;

  void on(Life life, engine::StimulusBody body) {
    life.play.on(std::move(body));
    for (const auto& effect : life.play.last.effects)
      life.pending.push_back(std::get<engine::CallParticipant>(effect));
    branch(std::move(life));
  }

 private:
  void branch(Life life) {
    if (engine::is_terminal(life.play.state.status)) return end(life);
    REQUIRE(life.play.state.status != engine::SagaStatus::suspended);
    if (!life.cancelled && life.faults < faults_max) {
      Life cancelled = life;
      cancelled.cancelled = true;
      ++cancelled.faults;
      on(std::move(cancelled), engine::Cancel{"me", "why"});
    }
    if (!life.pending.empty()) return answer(std::move(life));
    const bool listening =
        std::any_of(life.play.state.open.begin(), life.play.state.open.end(),
                    [](const std::string& path) { return last_name(path) == "w"; });
    if (listening) on(life, engine::Signal{"go", nullptr, "someone", {}});
    const auto wake = engine::next_wake(life.play.state);
    REQUIRE(wake);
    life.play.now = std::max(life.play.now, *wake);
    on(std::move(life), engine::Tick{});
  }

  void answer(Life life) {
    const auto call = last_first_ ? life.pending.back() : life.pending.front();
    last_first_ ? life.pending.pop_back() : life.pending.pop_front();
    const bool undo = call.phase == engine::Phase::compensate;
    const bool may_go_wrong = life.faults < faults_max;
    const engine::TransportError lost{dsl::Transport::timeout, true, "no answer"};
    const auto told = [&](Life next, engine::CallResult result) {
      on(std::move(next),
         engine::CallEnded{call.path, call.phase, call.attempt, std::move(result)});
    };
    Life wrong = life;
    ++wrong.faults;
    ++wrong.world.asked[call.path];
    const bool acted = life.world.done.count(call.path) > 0;
    if (may_go_wrong && (undo || !acted)) told(wrong, lost);
    if (may_go_wrong && !acted && !undo) told(wrong, engine::Response{422, {}, nullptr});
    ++life.world.asked[call.path];
    undo ? life.world.undo(call.path, order_)
         : life.world.act(call.path, last_name(call.path) == "p");
    if (may_go_wrong) {
      wrong.world = life.world;
      told(wrong, lost);
      crash(std::move(wrong));
    }
    told(std::move(life), engine::Response{200, {}, nullptr});
  }

  void crash(Life life) {
    life.world.crashed = true;
    life.pending.clear();
    life.play.state = life.play.folded_log();
    on(std::move(life), engine::TakenOver{"node-b"});
  }

  void end(const Life& life) {
    ++lives;
    const std::string status = life.play.status();
    ++endings[status];
    const auto& done = life.world.done;
    const bool pivot_done = life.world.pivot_done;
    if (status == "FAILED") {
      CHECK(done.empty());
      CHECK_FALSE(pivot_done);
    } else {
      CHECK(status == "COMPLETED");
      CHECK(pivot_done);
      const bool body = done.count("both/l/save/b") > 0;
      CHECK(done.count("both/l/save/a") == (body ? 1 : 0));
      CHECK(done.count("both/l/save/c") == (body ? 0 : 1));
      CHECK(done.count("both/r/loop[0]/d") + done.count("both/r/loop[1]/d") == 2);
    }
    CHECK(digest(life.play.folded_log()) == digest(life.play.state));
  }

  MirrorOrder order_;
  bool last_first_;
};

std::string quick(const std::string& name) {
  return step(name, R"(,"retry":{"maxAttempts":2})");
}

}  // namespace

TEST_CASE("whatever goes wrong in a saga of blocks, it ends all done or all undone") {
  Play play(saga(
      R"({"name":"both","parallel":{"branches":{"l":[{"name":"save","try":{"steps":[)" +
      quick("a") + "," + quick("b") + R"(],"catch":[{"steps":[)" + quick("c") +
      R"(]}]}}],"r":[{"name":"loop","forEach":{"in":"${[1,2]}","as":"i","maxConcurrency":2,"steps":[)" +
      quick("d") + R"(]}},{"name":"w","wait":{"signal":"go","timeout":"1m"}}]}}},)" + pivot("p")));
  play.checks_fold = false;
  for (const bool last_first : {false, true}) {
    Walk walk(*play.program.definition, last_first);
    walk.on({play, {}, {}, 0, false},
            engine::Start{SagaId::make(play.now, 1, 2, 3), Json::object(), {}, std::nullopt});
    CHECK(walk.lives > 900);
    CHECK(walk.endings["COMPLETED"] > 100);
    CHECK(walk.endings["FAILED"] > 100);
  }
}

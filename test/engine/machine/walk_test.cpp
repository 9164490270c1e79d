/// Every way a saga of three steps can go, with a participant that does or does not do what it is
/// asked, answers or does not, and a node that may die at any point. Holds I3, I4 and I9 at every
/// end.
#include <map>
#include <set>

#include "play.hpp"

using backstitch::test::Play;
using namespace backstitch;

namespace {

/// What really happened outside.
struct World {
  std::vector<std::string> done;  ///< effects that exist, in order
  std::set<std::string> closed;   ///< keys that were undone: a late action is refused
  std::vector<std::string> undone;
};

struct Node {
  Play play;
  World world;
  int crashes = 0;
  int lost = 0;
};

struct Walk {
  std::size_t ends = 0;
  std::map<std::string, std::size_t> endings;

  /// The participant does its work (or refuses), and the answer may get lost on its way back.
  void branch(const Node& node) {
    const auto& effects = node.play.last.effects;
    if (effects.empty()) return step_time(node);
    const auto call = std::get<engine::CallParticipant>(effects.front());
    if (call.phase == engine::Phase::compensate) return undo(node, call.path);
    forward(node, call.path);
  }

  void step_time(Node node) {
    if (engine::is_terminal(node.play.state.status) ||
        node.play.state.status == engine::SagaStatus::suspended)
      return end(node);
    node.play.wake();
    branch(node);
  }

  static void act(World& world, const std::string& step) {
    if (std::find(world.done.begin(), world.done.end(), step) == world.done.end())
      world.done.push_back(step);
  }

  void forward(const Node& node, const std::string& path) {
    const bool closed = node.world.closed.count(path) > 0;
    CHECK_FALSE(closed);
    Node done = node;
    act(done.world, path);
    const bool was_done = node.world.done.size() == done.world.done.size();
    if (!was_done) {
      Node refused = node;
      refused.play.answer(path, 422);
      branch(refused);
    }
    Node answered = done;
    answered.play.answer(path, 200);
    branch(answered);
    if (node.lost < 4) {
      Node lost_answer = done;
      ++lost_answer.lost;
      lost_answer.play.lost(path);
      branch(lost_answer);
    }
    if (node.lost < 4 && !was_done) {
      Node never_arrived = node;
      ++never_arrived.lost;
      never_arrived.play.lost(path);
      branch(never_arrived);
    }
    if (node.crashes < 1) {
      Node crashed = done;
      ++crashed.crashes;
      crashed.play.take_over();
      branch(crashed);
    }
  }

  void undo(const Node& node, const std::string& path) {
    Node undone = node;
    const auto found = std::find(undone.world.done.begin(), undone.world.done.end(), path);
    if (found != undone.world.done.end()) {
      // Mirror order: nothing that was done later may still stand.
      CHECK(found + 1 == undone.world.done.end());
      undone.world.done.erase(found);
      undone.world.undone.push_back(path);
    }
    undone.world.closed.insert(path);
    Node answered = undone;
    answered.play.undo(path, 200);
    branch(answered);
    if (node.crashes < 1) {
      Node crashed = undone;
      ++crashed.crashes;
      crashed.play.take_over();
      branch(crashed);
    }
  }

  void end(const Node& node) {
    ++ends;
    const std::string status = node.play.status();
    ++endings[status];
    const bool pivot_done =
        std::find(node.world.done.begin(), node.world.done.end(), "p") != node.world.done.end();
    if (status == "COMPLETED") CHECK(node.world.done == std::vector<std::string>{"a", "b", "p"});
    if (status == "FAILED") CHECK(node.world.done.empty());
    if (pivot_done) CHECK(node.world.undone.empty());
  }
};

}  // namespace

TEST_CASE(
    "whatever is lost, refused or killed, a saga ends all done or all undone, in mirror order") {
  Play play(
      R"({"dsl":1,"name":"t.w","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
    {"name":"a","retry":{"maxAttempts":2},"action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
    {"name":"b","retry":{"maxAttempts":2},"action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b"}},
    {"name":"p","kind":"pivot","action":{"service":"s","http":"PUT /p"}}]})");
  play.start();
  Walk walk;
  walk.branch({play, {}, 0, 0});
  CHECK(walk.ends > 400);
  CHECK(walk.endings["COMPLETED"] > 0);
  CHECK(walk.endings["FAILED"] > 0);
}

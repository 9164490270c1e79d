#include "reference_player.hpp"

#include <algorithm>

#include "reference_answers.hpp"
#include "reference_player_inside.hpp"

namespace backstitch::test {
namespace {

const TimePoint began{std::chrono::milliseconds{1'767'225'600'000}};  // 2026-01-01

/// What is wrong with the effects that stand at the end.
void judge_effects(PlayedWorld& world, bool completed) {
  std::map<std::string, std::string> meant;  // by key, those that are to stand
  for (const auto& deed : world.deeds) {
    if (!completed || !deed.has_effect) continue;
    const std::string name = deed.step->at("name");
    const std::string key = ReferenceParticipants::folded(deed.key);
    if (!meant.emplace(key, name).second) world.wrong.insert(name + " has no effect of its own");
    const auto effect = world.participants.effects().find(key);
    if (effect == world.participants.effects().end() || !effect->second.stands)
      world.wrong.insert(name + " is missing though the saga completed");
  }
  for (const auto& [key, effect] : world.participants.effects()) {
    const std::string name = without_iteration(effect.step);
    if (effect.applied > 1) world.wrong.insert(name + " took effect twice");
    if (effect.stands && meant.count(key) == 0 && world.of_handlers.count(name) == 0)
      world.wrong.insert(name + " is left over");
  }
}

}  // namespace

PlayedWorld::PlayedWorld(std::uint64_t seed, const PlayedChildren& known)
    : participants(seed), children(known), now(began) {
  Dice dice = participants.dice_at("cancel");
  if (dice.chance(20)) cancelled_after = Duration{dice.pick({1, 60, 130, 300, 700, 9'000})};
}

SagaPlayer::SagaPlayer(PlayedWorld& world, const Json& definition, Json input, std::string root,
                       SagaPlayer* parent)
    : world_(world),
      definition_(definition),
      input_(std::move(input)),
      saga_{{"id", root},
            {"name", definition["name"]},
            {"version", definition["version"]},
            {"businessKey", "bk-" + root},
            {"startedAt", to_rfc3339(world.now)},
            {"labels", Json::object()}},
      root_(std::move(root)),
      parent_(parent),
      frame_(std::make_shared<PlayedFrame>()) {
  const auto timeout = duration(definition.value("timeout", "1h"), *frame_);
  deadline_ = world.now + timeout.value_or(Duration{3'600'000});
}

SagaPlayer& SagaPlayer::begin(PlayedWorld& world, const Json& definition, const Json& input,
                              const std::string& root, SagaPlayer* parent) {
  world.players.push_back(std::make_shared<SagaPlayer>(world, definition, input, root, parent));
  return *world.players.back();
}

bool SagaPlayer::went_forward_only() const {
  return definition_.value("recovery", "backward") == "forward";
}

/// Why nothing new may begin.
Outcome SagaPlayer::stopped() const {
  if (in_handler_ || pivot_sent_ || went_forward_only()) return std::nullopt;
  if (world_.cancelled_after && world_.now >= began + *world_.cancelled_after)
    return PlayedFailure{"CANCELLED", "cancelled", "", nullptr, true};
  if (world_.now > deadline_) return PlayedFailure{"SAGA_TIMEOUT", "timeout", "", nullptr, true};
  return parent_ == nullptr ? std::nullopt : parent_->stopped();
}

Outcome SagaPlayer::run() {
  const std::size_t mark = world_.deeds.size();
  Outcome failure = steps(definition_["steps"], {frame_, "", ""});
  if (!failure && definition_.contains("output")) {
    const auto rendered = render(definition_["output"], *frame_);
    if (rendered)
      output = *rendered;
    else
      failure = broken({{"name", "the saga's output"}});
  }
  if (!failure) return std::nullopt;
  if (went_forward_only() || (failure->by_itself && pivot_passed_))
    throw PlayedSuspension{failure->step, failure->code};
  undo_to(mark, *failure);
  run_handlers(*failure);
  return failure;
}

void SagaPlayer::run_handlers(const PlayedFailure& failure) {
  const Json handlers = definition_.value("onFailure", Json::array());
  if (handlers.empty()) return;
  auto frame = std::make_shared<PlayedFrame>();
  frame->outer = frame_;
  frame->failure = failure_to_json(failure);
  const std::size_t mark = world_.deeds.size();
  in_handler_ = true;
  for (const auto& step : definition_["onFailure"]) world_.of_handlers.insert(step["name"]);
  const Outcome failed = steps(definition_["onFailure"], {frame, "onFailure-", ""});
  if (failed) throw PlayedSuspension{failed->step, failed->code};
  world_.deeds.resize(mark);
}

/// The mirror of the way forward: the last deed first.
void SagaPlayer::undo_to(std::size_t mark, const PlayedFailure& failure) {
  while (world_.deeds.size() > mark) {
    const PlayedDeed deed = std::move(world_.deeds.back());
    world_.deeds.pop_back();
    deed.player->undo(deed, failure);
  }
}

void SagaPlayer::undo(const PlayedDeed& deed, const PlayedFailure& failure) const {
  const Json& step = *deed.step;
  if (!step.contains("compensation") || !step["compensation"].is_object()) return;
  const Json& undo = step["compensation"];
  PlayedFrame frame;
  frame.outer = deed.place.frame;
  frame.failure = failure_to_json(failure);
  const Json self{{"key", deed.key},
                  {"outcome", deed.known_done ? "succeeded" : "unknown"},
                  {"output", deed.output},
                  {"captured", deed.captured}};
  if (!undo_is_wanted(deed, undo, frame, self)) return;
  const std::string name = step["name"];
  if (!renders_request(undo, frame, {&self, nullptr, nullptr})) {
    world_.wrong.insert("the undo of " + name + " cannot be rendered");
    throw PlayedSuspension{"the undo of " + name, "EXPRESSION_FAILED"};
  }
  const Json defaults = definition_.value("defaults", Json::object());
  const Json inherited = defaults.value("compensation", Json::object());
  PlayedPolicy table{0, Duration{1'000}, 2, Duration{300'000}, Duration{86'400'000}};
  const PlayedPolicy policy = policy_of({&undo, &inherited}, table);
  const Json& service = service_of(undo, step["action"]);
  PlayedCall call{"compensation", name + deed.place.iteration, deed.key, method_of(undo)};
  call.attempt_timeout = attempt_timeout(step);
  const TimePoint first = world_.now;
  for (call.attempt = 1;; ++call.attempt) {
    const PlayedAnswer answer = world_.participants.answer(call);
    world_.now += answer.took;
    const bool answered = answer.loss == PlayedAnswer::Loss::none;
    if (answered && meaning_by_contract({"compensation", false, step, service, answer.status,
                                         answer.body}) == "success")
      return;
    const bool tried_enough = policy.attempts != 0 && call.attempt >= policy.attempts;
    if (tried_enough || world_.now - first > policy.elapsed_max.value_or(Duration::max())) break;
    world_.now += policy.delay;
  }
  const Json on_exhausted = undo.value("onExhausted", inherited.value("onExhausted", "suspend"));
  if (on_exhausted != "continue")
    throw PlayedSuspension{"the undo of " + name, "COMPENSATION_FAILED"};
  world_.incomplete = true;
}

bool SagaPlayer::undo_is_wanted(const PlayedDeed& deed, const Json& undo, const PlayedFrame& frame,
                                const Json& self) const {
  if (!undo.contains("when")) return true;
  const auto wanted = holds(undo["when"], frame, {&self, nullptr, nullptr});
  if (wanted) return *wanted;
  const std::string name = deed.step->at("name");
  world_.wrong.insert("the undo of " + name + " cannot be evaluated");
  throw PlayedSuspension{"the undo of " + name, "EXPRESSION_FAILED"};
}

Play play(const Json& definition, const Json& input, std::uint64_t seed,
          const PlayedChildren& children) {
  PlayedWorld world(seed, children);
  Play end;
  try {
    const Outcome failure = SagaPlayer::begin(world, definition, input, "saga", nullptr).run();
    end.status = !failure ? "COMPLETED" : world.incomplete ? "FAILED_INCOMPLETE" : "FAILED";
    if (failure) end.code = failure->code;
    judge_effects(world, !failure);
  } catch (const PlayedSuspension& suspension) {
    end.status = "SUSPENDED";
    end.code = suspension.code;
    for (const auto& notice : definition.value("onSuspended", Json::array()))
      world.reached.insert(notice["name"].get<std::string>());
    world.wrong.insert(suspension.step + " suspends the saga: " + suspension.code);
    for (const auto& [key, effect] : world.participants.effects())
      if (effect.applied > 1)
        world.wrong.insert(without_iteration(effect.step) + " took effect twice");
  }
  end.wrong = std::move(world.wrong);
  end.reached = std::move(world.reached);
  return end;
}

}  // namespace backstitch::test

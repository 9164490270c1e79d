#pragma once
/// Drives a saga to its end by a script: what every participant does, and what people do. Can kill
/// the node, or cancel the saga, after any transition.
#include <deque>

#include <backstitch/base/match.hpp>

#include "world.hpp"

namespace backstitch::test {

struct Script {
  std::string name;
  std::string ends;  ///< COMPLETED, or the code of the failure
  std::string definition;
  std::string input = "{}";
  /// Step, or the end of its path -> what its participant does with the action:
  /// `refuse` 409; `lost` done, the first answer lost; `mute` done, never answers; `gone` not done,
  /// never answers; `flaky` no connection at first; `late` 202, done, then a callback; `late-no`
  /// 202, then a callback that refuses; `fixed` 404 until an operator's retry. Else it is done.
  std::map<std::string, std::string> forward{};
  /// Step -> `lost`: the first answer to the undo is lost.
  std::map<std::string, std::string> undo{};
  /// Step that waits -> the signal it gets.
  std::map<std::string, std::string> signals{};
  /// Step -> what becomes of its child: `failed`; else it completes.
  std::map<std::string, std::string> children{};
};

struct Ending {
  std::string status;
  std::string code;
  Json output;
  std::set<std::string> done;
  bool operator==(const Ending&) const = default;
};
inline doctest::String toString(const Ending& ending) {
  std::string text = ending.status + " " + ending.code + " " + ending.output.dump() + " done:";
  for (const auto& path : ending.done) text += " " + path;
  return text.c_str();
}

class Drive {
 public:
  static constexpr std::size_t never = ~std::size_t{0};

  explicit Drive(const Script& script)
      : script_(script), play_(script.definition, script.input), order_(*play_.program.definition) {
    play_.checks_fold = false;
  }

  std::size_t crash_after = never;   ///< the n-th transition, counted from one
  bool crash_when_sent = false;      ///< what it asked for was done, and the answer got lost
  std::size_t cancel_after = never;  ///< the n-th transition
  bool last_first = false;           ///< the call that was made last is answered first

  Ending run() {
    play_.start();
    after();
    constexpr std::size_t steps_max = 3'000;
    for (std::size_t i = 0; i < steps_max && !engine::is_terminal(play_.state.status); ++i) move();
    REQUIRE_MESSAGE(engine::is_terminal(play_.state.status), story());
    CHECK(digest(play_.folded_log()) == digest(play_.state));
    return {play_.status(), play_.state.failure ? play_.state.failure->code : "",
            play_.state.output, world_.done};
  }
  std::size_t transitions() const { return transitions_; }
  std::string story() const {
    std::string text = script_.name + ":";
    for (const auto& line : story_) text += "\n  " + line;
    return text;
  }

 private:
  void on(engine::StimulusBody body) {
    story_.push_back(play_.on(std::move(body)));
    after();
  }

  void after() {
    ++transitions_;
    for (const auto& effect : play_.last.effects) pending_.push_back(effect);
    if (transitions_ == crash_after) return crash();
    if (transitions_ == cancel_after) on(engine::Cancel{"me", "why"});
  }

  void crash() {
    if (crash_when_sent) {
      for (const auto& effect : pending_) perform(effect);
    }
    world_.crashed = true;
    pending_.clear();
    play_.state = play_.folded_log();
    for (const auto& effect : engine::effects_to_repeat(play_.state)) pending_.push_back(effect);
    on(engine::TakenOver{"node-b"});
  }

  void move() {
    if (!pending_.empty()) {
      const auto effect = last_first ? pending_.back() : pending_.front();
      last_first ? pending_.pop_back() : pending_.pop_front();
      if (auto answer = perform(effect)) on(std::move(*answer));
      return;
    }
    if (speak()) return;
    if (play_.state.status == engine::SagaStatus::suspended) return on(engine::Retry{"me", "why"});
    const auto wake = engine::next_wake(*play_.program.definition, play_.state);
    REQUIRE_MESSAGE(wake, story());
    play_.now = std::max(play_.now, *wake);
    on(engine::Tick{});
  }

  /// People and participants that were waited for.
  bool speak() {
    for (const auto& path : play_.state.open) {
      const auto& step = play_.state.steps.at(path);
      if (step.status != engine::StepStatus::waiting) continue;
      if (const auto signal = script_.signals.find(last_name(path));
          signal != script_.signals.end()) {
        on(engine::Signal{signal->second, nullptr, "someone", {"*"}});
        return true;
      }
      const std::string how = find(script_.forward, path);
      if (how == "late" || how == "late-no") {
        on(engine::Callback{step.callback_token, {how == "late" ? 200 : 409, {}, path}});
        return true;
      }
    }
    return false;
  }

  std::optional<engine::StimulusBody> perform(const engine::Effect& effect) {
    return std::visit(
        Match{[&](const engine::CallParticipant& e) { return call(e); },
              [&](const engine::StartChild& e) { return child(e.path, ""); },
              [&](const engine::CancelChild& e) { return child(e.path, "cancel"); },
              [&](const engine::UndoChild& e) { return child(e.path, "undo"); },
              [](const engine::RetryChild&) { return std::optional<engine::StimulusBody>{}; },
              [](const engine::TellParent&) { return std::optional<engine::StimulusBody>{}; }},
        effect);
  }

  std::optional<engine::StimulusBody> call(const engine::CallParticipant& call) {
    const auto answer = [&](engine::CallResult result) {
      return engine::StimulusBody(
          engine::CallEnded{call.path, call.phase, call.attempt, std::move(result)});
    };
    const engine::TransportError lost{dsl::Transport::timeout, true, "no answer"};
    if (call.phase == engine::Phase::compensate) {
      world_.undo(call.path, order_);
      const bool first = ++undo_asked_[call.path] == 1;
      return first && find(script_.undo, call.path) == "lost"
                 ? answer(lost)
                 : answer(engine::Response{200, {}, nullptr});
    }
    const std::string how = find(script_.forward, call.path);
    const bool first = ++world_.asked[call.path] == 1;
    if (how == "refuse") return answer(engine::Response{409, {}, nullptr});
    if (how == "gone") return answer(lost);
    if (how == "late-no") return answer(engine::Response{202, {}, nullptr});
    if (how == "fixed" && first) return answer(engine::Response{404, {}, nullptr});
    if (how == "flaky" && first)
      return answer(engine::TransportError{dsl::Transport::connect, false, "refused"});
    const auto* step = dsl::find_step(*play_.program.definition, last_name(call.path));
    world_.act(call.path, step->kind == dsl::StepKind::pivot);
    if (how == "mute" || (how == "lost" && first)) return answer(lost);
    return answer(engine::Response{how == "late" ? 202 : 200, {}, call.path});
  }

  std::optional<engine::StimulusBody> child(const std::string& path, const std::string& order) {
    const auto& id = play_.state.steps.at(path).child->id;
    auto known = world_.children.find(id.text());
    if (known == world_.children.end()) {
      if (!order.empty()) return std::nullopt;
      ++world_.asked[path];
      const bool fails = find(script_.children, path) == "failed";
      if (!fails) world_.act(path, false);
      known = world_.children
                  .emplace(id.text(),
                           fails ? engine::SagaStatus::failed : engine::SagaStatus::completed)
                  .first;
    }
    if (order == "undo" && known->second == engine::SagaStatus::completed) {
      world_.undo(path, order_);
      known->second = engine::SagaStatus::failed;
    }
    return engine::ChildChanged{id, known->second, path,
                                engine::Failure{"CHILD", "failure", "", "", nullptr}};
  }

  static std::string find(const std::map<std::string, std::string>& how, const std::string& path) {
    const auto found = std::find_if(how.begin(), how.end(), [&](const auto& entry) {
      return path == entry.first || path.ends_with("/" + entry.first);
    });
    return found == how.end() ? "" : found->second;
  }

  const Script& script_;
  Play play_;
  MirrorOrder order_;
  World world_;
  std::map<std::string, int> undo_asked_;
  std::deque<engine::Effect> pending_;
  std::vector<std::string> story_;
  std::size_t transitions_ = 0;
};

}  // namespace backstitch::test

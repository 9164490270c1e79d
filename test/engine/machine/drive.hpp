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
  /// Step -> `lost`: the first answer to the undo is lost; `fixed`: 500 at first.
  std::map<std::string, std::string> undo{};
  /// Step that waits -> the signal it gets.
  std::map<std::string, std::string> signals{};
  /// Step -> what becomes of its child: `failed`; `stuck`, suspended until a retry; else it
  /// completes.
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

  std::size_t crash_after = never;  ///< the n-th transition, counted from one
  std::size_t crash_again_after = never;
  bool crash_when_sent = false;      ///< what it asked for was done, and the answer got lost
  std::size_t cancel_after = never;  ///< the n-th transition
  bool last_first = false;           ///< the call that was made last is answered first
  /// Every transition is cut after its first event, and goes on with the next one.
  void cut_everywhere() {
    play_.program.transition_steps_max = 0;
    play_.stops_at_cuts = true;
  }

  Ending run() {
    play_.start();
    after();
    constexpr std::size_t steps_max = 3'000;
    for (std::size_t i = 0; i < steps_max && !engine::is_terminal(play_.state.status); ++i) move();
    REQUIRE_MESSAGE(engine::is_terminal(play_.state.status), story());
    CHECK(digest(play_.folded_log()) == digest(play_.state));
    // Notices are sent as often as it takes.
    std::erase_if(world_.done, [](const auto& path) { return path.starts_with("onSuspended"); });
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
    if (transitions_ == crash_after || transitions_ == crash_again_after) return crash();
    const bool goes_on = play_.last.cut;
    if (transitions_ == cancel_after) on(engine::Cancel{"me", "why"});
    if (goes_on) on(engine::Tick{});
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
    const auto wake = engine::next_wake(play_.state);
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
        on(engine::Callback{step.callback_token, {how == "late" ? 200 : 422, {}, path}});
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
              [&](const engine::RetryChild& e) { return child(e.path, "retry"); },
              [](const engine::TellParent&) { return std::optional<engine::StimulusBody>{}; }},
        effect);
  }

  std::optional<engine::StimulusBody> call(const engine::CallParticipant& call) {
    const auto answer = [&](engine::CallResult result) {
      return engine::StimulusBody(
          engine::CallEnded{call.path, call.phase, call.attempt, std::move(result)});
    };
    const engine::TransportError lost{dsl::Transport::timeout, true, "no answer"};
    const auto* step = dsl::find_step(*play_.program.definition, last_name(call.path));
    if (call.phase == engine::Phase::compensate) return answer(undo(call.path));
    if (call.phase == engine::Phase::probe) {
      const bool seen = world_.done.count(call.path) > 0;
      // A sealed "not seen" closes the key.
      if (!seen && std::get<dsl::Action>(step->body).probe->sealed) world_.undone.insert(call.path);
      return answer(engine::Response{seen ? 200 : 404, {}, call.path});
    }
    const std::string how = find(script_.forward, call.path);
    const bool first = ++world_.asked[call.path] == 1;
    if (how == "refuse") return answer(engine::Response{422, {}, nullptr});
    if (how == "gone") return answer(lost);
    if (how == "late-no") return answer(engine::Response{202, {}, nullptr});
    if (how == "fixed" && first) return answer(engine::Response{404, {}, nullptr});
    if (how == "flaky" && first)
      return answer(engine::TransportError{dsl::Transport::connect, false, "refused"});
    world_.act(call.path, step->kind == dsl::StepKind::pivot);
    if (how == "mute" || (how == "lost" && first)) return answer(lost);
    return answer(engine::Response{how == "late" ? 202 : 200, {}, call.path});
  }

  engine::CallResult undo(const std::string& path) {
    const bool known_not_done =
        std::any_of(play_.log.begin(), play_.log.end(), [&](const engine::EventRecord& record) {
          return record.type == "StepFailed" && record.path == path;
        });
    CHECK_MESSAGE(!known_not_done, path << " is undone and was known not to be done");
    const std::string how = find(script_.undo, path);
    const bool first = ++undo_asked_[path] == 1;
    if (first && how == "fixed") return engine::Response{500, {}, nullptr};
    world_.undo(path, order_);
    if (first && how == "lost")
      return engine::TransportError{dsl::Transport::timeout, true, "no answer"};
    return engine::Response{200, {}, nullptr};
  }

  std::optional<engine::StimulusBody> child(const std::string& path, const std::string& order) {
    using engine::SagaStatus;
    const auto& id = play_.state.steps.at(path).child->id;
    auto known = world_.children.find(id.text());
    if (known == world_.children.end()) {
      if (!order.empty()) return std::nullopt;
      ++world_.asked[path];
      const std::string how = find(script_.children, path);
      known = world_.children.emplace(id.text(), SagaStatus::completed).first;
      if (how == "failed") known->second = SagaStatus::failed;
      if (how == "stuck") known->second = SagaStatus::suspended;
      if (how.empty()) world_.act(path, false);
    }
    SagaStatus& status = known->second;
    if (order == "undo" && status == SagaStatus::completed) {
      world_.undo(path, order_);
      status = SagaStatus::failed;
    }
    if (order == "retry" && status == SagaStatus::suspended) {
      world_.act(path, false);
      status = SagaStatus::completed;
    }
    if (order == "cancel" && status == SagaStatus::suspended) status = SagaStatus::failed;
    const std::string code = order == "cancel" ? "CANCELLED" : "CHILD";
    return engine::ChildChanged{
        id, status, path,
        engine::Failure{code, code == "CANCELLED" ? "cancelled" : "failure", "", "", nullptr}};
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

#pragma once
/// Tries every operator command on a copy of a saga and compares what comes of it with what
/// `actions` said.
#include <set>
#include <string>
#include <vector>

#include <backstitch/engine/machine/situation.hpp>

#include "play.hpp"

namespace backstitch::test {

/// `resolve both/l/x done needs output`, `retry`, `signal go`.
inline std::string to_text(const engine::PossibleCommand& command) {
  std::string text = command.action;
  for (const std::string& part : {command.signal, command.step, command.as})
    if (!part.empty()) text += " " + part;
  if (*command.needs != '\0') text += std::string(" needs ") + command.needs;
  return text;
}
inline std::vector<std::string> to_texts(const std::vector<engine::PossibleCommand>& commands) {
  std::vector<std::string> texts;
  for (const auto& one : commands) texts.push_back(to_text(one));
  return texts;
}

class TriedCommands {
 public:
  TriedCommands(const engine::Program& program, const engine::SagaState& state,
                const std::vector<engine::QueuedCall>& queued, TimePoint now)
      : program_(program), state_(state), queued_(queued), now_(now) {
    for (const auto& one : engine::situation_of(program, state, queued).actions)
      listed_.insert(to_text(one));
  }

  /// The first command on which `actions` and the decider differ. Empty: there is none.
  std::string difference() {
    using engine::Resolution;
    const auto cancelled = tried(engine::Cancel{"me", "why"});
    compare("cancel", !cancelled.refused && !cancelled.events.empty());
    compare("retry", !tried(engine::Retry{"me", "why"}).refused);
    const bool any = listed_.lower_bound("suspend") != listed_.end() &&
                     listed_.lower_bound("suspend")->starts_with("suspend ");
    if (any != !tried(engine::Suspend{"", "me", "why"}).refused) note("suspend without a step");
    for (const auto& path : paths()) {
      if (!path.empty())
        compare("suspend " + path, !tried(engine::Suspend{path, "me", "why"}).refused);
      compare("skip " + path, !tried(engine::Skip{path, "me", "why"}).refused);
      for (const auto as : {Resolution::done, Resolution::not_done, Resolution::compensated}) {
        const auto done = tried(engine::Resolve{path, as, {}, {}, "me", "why"});
        const std::string reason = done.refused ? done.refused->reason : "";
        const std::string text = "resolve " + path + " " + engine::to_text(as);
        compare(text, reason.empty());
        compare(text + " needs output",
                reason == "output-missing" || reason == "compensation-not-renderable");
      }
    }
    try_signals();
    return difference_;
  }

 private:
  /// The steps that a command may be about, and one more that it may not.
  std::set<std::string> paths() const {
    std::set<std::string> all(state_.open.begin(), state_.open.end());
    for (const auto& suspension : state_.suspensions) all.insert(suspension.step);
    if (!state_.steps.empty()) all.insert(state_.steps.begin()->first);
    all.insert("");
    return all;
  }

  engine::Transition tried(engine::StimulusBody body) const {
    return engine::decide(program_, state_, {now_, 1, std::move(body), queued_});
  }

  void try_signals() {
    for (const auto& text : listed_) {
      if (!text.starts_with("signal ") || text.ends_with("payload")) continue;
      const std::string name = text.substr(7, text.find(' ', 7) - 7);
      if (tried(engine::Signal{name, nullptr, "me", {"*"}}).refused) note(text);
    }
  }

  void compare(const std::string& text, bool possible) {
    if ((listed_.count(text) > 0) != possible) note(text);
  }
  void note(const std::string& text) {
    if (difference_.empty()) difference_ = text;
  }

  const engine::Program& program_;
  const engine::SagaState& state_;
  const std::vector<engine::QueuedCall>& queued_;
  TimePoint now_;
  std::set<std::string> listed_;
  std::string difference_;
};

}  // namespace backstitch::test

#pragma once
/// The virtual world of adapters/virtual, with participants and an observer that tests script and
/// ask.
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/engine/ports/observer.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/virtual/world.hpp>

namespace backstitch::test {

using virtual_time::SeededRandom;
using virtual_time::VirtualExecutor;
using virtual_time::VirtualWorld;

/// What a participant does with one attempt.
struct Reaction {
  engine::CallResult result;
  Duration after{5};
};
inline Reaction answers(int status, Json body = nullptr) {
  return {engine::Response{status, {}, std::move(body)}, Duration{5}};
}
/// The request left, no answer came within the attempt's timeout.
inline Reaction stays_silent() {
  return {engine::TransportError{dsl::Transport::timeout, true, "no answer"}, Duration{10'000}};
}

/// Participants of one node. Every attempt is noted before it is answered.
class ScriptedParticipants : public engine::Participants {
 public:
  using Script = std::function<Reaction(const engine::Call&)>;
  ScriptedParticipants(engine::Executor& executor, std::vector<engine::Call>& sent, Script& script)
      : executor_(executor), sent_(sent), script_(script) {}
  void call(engine::Call call, std::function<void(engine::CallResult)> done) override;

 private:
  engine::Executor& executor_;
  std::vector<engine::Call>& sent_;
  Script& script_;
};

/// Keeps the names of what it was told.
class RecordingObserver : public engine::Observer {
 public:
  void note(engine::Level, std::string_view event, std::initializer_list<engine::Field>) override {
    ++counts_[std::string(event)];
  }
  int count(const std::string& event) const {
    const auto found = counts_.find(event);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  std::map<std::string, int> counts_;
};

}  // namespace backstitch::test

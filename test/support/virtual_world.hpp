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

/// Keeps what it was told.
class RecordingObserver : public engine::Observer {
 public:
  struct Note {
    engine::Level level;
    std::string event;
    std::map<std::string, std::string> fields;
  };

  void note(engine::Level level, std::string_view event,
            std::initializer_list<engine::Field> fields) override {
    Note note{level, std::string(event), {}};
    for (const auto& [name, value] : fields) note.fields[std::string(name)] = value;
    notes_.push_back(std::move(note));
  }
  std::vector<Note> of(const std::string& event) const {
    std::vector<Note> all;
    for (const auto& note : notes_)
      if (note.event == event) all.push_back(note);
    return all;
  }
  int count(const std::string& event) const { return static_cast<int>(of(event).size()); }

 private:
  std::vector<Note> notes_;
};

}  // namespace backstitch::test

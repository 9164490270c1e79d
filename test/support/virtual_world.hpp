#pragma once
/// Time, threads and participants without a clock, a thread or a socket: the production runtime
/// runs on these, in one thread, and the same calls always give the same run.
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/observer.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/engine/ports/random.hpp>

namespace backstitch::test {

class VirtualExecutor;

/// A clock that stands still while anything can be done, then jumps to the next timer.
class VirtualWorld {
 public:
  /// Runs until `condition` holds. @return whether it did within `most` of virtual time
  bool run_until(const std::function<bool()>& condition, Duration most = Duration{3'600'000});
  /// Runs everything that is due within `time`.
  void run_for(Duration time);
  engine::SteadyTime now() const { return now_; }

 private:
  friend class VirtualExecutor;
  bool run_one();
  std::optional<engine::SteadyTime> next_due() const;

  engine::SteadyTime now_{std::chrono::hours{1}};
  std::vector<VirtualExecutor*> executors_;
};

/// One thread of the virtual world.
class VirtualExecutor : public engine::Executor {
 public:
  explicit VirtualExecutor(VirtualWorld& world) : world_(world) {
    world.executors_.push_back(this);
  }
  ~VirtualExecutor() override;
  VirtualExecutor(const VirtualExecutor&) = delete;
  VirtualExecutor& operator=(const VirtualExecutor&) = delete;

  void post(engine::Task task) override { ready_.push_back(std::move(task)); }
  engine::TimerId call_after(Duration delay, engine::Task task) override;
  void cancel(engine::TimerId timer) override;
  engine::SteadyTime now() const override { return world_.now(); }

  /// Like SIGSTOP: nothing runs, what arrives waits, time goes on.
  void pause(bool paused) { paused_ = paused; }

 private:
  friend class VirtualWorld;
  bool run_one();
  std::optional<engine::SteadyTime> next_due() const;

  VirtualWorld& world_;
  std::deque<engine::Task> ready_;
  std::map<std::pair<engine::SteadyTime, engine::TimerId>, engine::Task> timers_;
  engine::TimerId last_timer_ = 0;
  bool paused_ = false;
};

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

/// A sequence without end (SplitMix64, Steele, Lea and Flood 2014).
class SeededRandom : public engine::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override;

 private:
  std::uint64_t state_;
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

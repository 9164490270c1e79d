#pragma once
/// Time and threads without a clock or a thread: the production runtime runs on these, in one
/// thread, and the same calls always give the same run.
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/random.hpp>

namespace backstitch::virtual_time {

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

/// A sequence without end (SplitMix64, Steele, Lea and Flood 2014).
class SeededRandom : public engine::Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override;

 private:
  std::uint64_t state_;
};

}  // namespace backstitch::virtual_time

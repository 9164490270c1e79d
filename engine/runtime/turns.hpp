#pragma once
#include <cstddef>
#include <deque>
#include <mutex>

#include <backstitch/engine/ports/executor.hpp>

namespace backstitch::engine {

/// What a process does a few at a time, or alone, whichever of its reactors does it. First come,
/// first served. Thread-safe.
class Turns {
 public:
  static constexpr std::size_t together_max = 64;

  /// Runs `task` on the executor when it is its turn, which lasts until `leave`.
  /// @param alone  no other turn lasts meanwhile
  void enter(Executor& executor, bool alone, Task task) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back({&executor, alone, std::move(task)});
    }
    begin();
  }
  void leave() {
    {
      const std::lock_guard lock(mutex_);
      --begun_;
      is_alone_ = false;
    }
    begin();
  }

 private:
  struct Turn {
    Executor* executor;
    bool alone;
    Task task;
  };

  bool may_begin(const Turn& turn) const {
    return turn.alone ? begun_ == 0 : !is_alone_ && begun_ < together_max;
  }
  void begin() {
    std::deque<Turn> now;
    {
      const std::lock_guard lock(mutex_);
      while (!waiting_.empty() && may_begin(waiting_.front())) {
        ++begun_;
        is_alone_ = waiting_.front().alone;
        now.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    }
    for (Turn& turn : now) turn.executor->post(std::move(turn.task));
  }

  std::mutex mutex_;
  std::deque<Turn> waiting_;
  std::size_t begun_ = 0;  ///< and not over
  bool is_alone_ = false;
};

}  // namespace backstitch::engine

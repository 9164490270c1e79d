#pragma once
#include <atomic>
#include <condition_variable>
#include <mutex>

namespace backstitch::postgres {

/// Stops the lanes of this node before their next append while it gives shards up: the update of
/// its fence waits for every lock that appends share, and appends of several lanes overlap, so that
/// it could wait for ever. What is in flight already is awaited by the database, not here.
/// A lane passes with one atomic load. Threads: any.
class LaneGate {
 public:
  class Pause {
   public:
    explicit Pause(LaneGate& gate) : gate_(gate) { gate_.add(1); }
    ~Pause() { gate_.add(-1); }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    LaneGate& gate_;
  };

  /// Returns at once unless there is a Pause, else when it is over.
  void pass() {
    if (pauses_.load(std::memory_order_acquire) == 0) return;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return pauses_.load(std::memory_order_relaxed) == 0 || abandoned_; });
  }
  /// Nothing waits here any more.
  void abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    changed_.notify_all();
  }

 private:
  void add(int pauses) {
    const std::lock_guard lock(mutex_);
    pauses_.fetch_add(pauses, std::memory_order_release);
    changed_.notify_all();
  }

  std::atomic<int> pauses_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool abandoned_ = false;
};

}  // namespace backstitch::postgres

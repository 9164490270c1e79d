#pragma once
#include <atomic>
#include <cstdint>

#include <backstitch/base/time.hpp>
#include <backstitch/engine/ports/executor.hpp>

namespace backstitch::engine {

/// The database's time as this node knows it: its own steady clock plus an offset measured at every
/// lease renewal. The answer took some time to get here, so this clock runs a little behind the
/// database's and never ahead: no timer fires early. Thread-safe; never goes backwards.
class DatabaseClock {
 public:
  /// `database_now` came with an answer that was received at `received`.
  void set(TimePoint database_now, SteadyTime received) {
    const std::int64_t offset = database_now.time_since_epoch().count() - millis(received);
    offset_.store(offset, std::memory_order_relaxed);
  }
  /// Only while nobody acts on this clock: lets it go back with a database's that was set back.
  void restart() { last_.store(0, std::memory_order_relaxed); }
  TimePoint now(SteadyTime steady) {
    const std::int64_t read = millis(steady) + offset_.load(std::memory_order_relaxed);
    std::int64_t last = last_.load(std::memory_order_relaxed);
    while (read > last && !last_.compare_exchange_weak(last, read, std::memory_order_relaxed)) {
    }
    return TimePoint{Duration{std::max(read, last)}};
  }

 private:
  static std::int64_t millis(SteadyTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  }
  std::atomic<std::int64_t> offset_{0};
  std::atomic<std::int64_t> last_{0};
};

}  // namespace backstitch::engine

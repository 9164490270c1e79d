#pragma once
#include <atomic>
#include <cstdint>
#include <optional>

#include <backstitch/engine/ports/executor.hpp>

namespace backstitch::engine {

/// Until when this node may act on its shards. Written by the thread that renews the leases, read
/// by every reactor: one that is late learns of a renewal all the same. A lease that lapsed and
/// came back is another term, in which a reactor may act only once it knows what it holds in it.
class LeaseTerm {
 public:
  /// The lease was renewed before it ended.
  void extend(SteadyTime until) { until_.store(count(until), std::memory_order_release); }
  /// It ended, and is held again. @return the number of the new term
  std::uint64_t restart(SteadyTime until) {
    const std::uint64_t number = number_.fetch_add(1, std::memory_order_relaxed) + 1;
    until_.store(count(until), std::memory_order_release);
    return number;
  }
  std::uint64_t number() const { return number_.load(std::memory_order_relaxed); }
  bool is_current(std::uint64_t number, SteadyTime now) const {
    // In this order: who sees the end of a new term sees its number.
    const std::int64_t until = until_.load(std::memory_order_acquire);
    return count(now) < until && number_.load(std::memory_order_relaxed) == number;
  }
  /// Nothing before the first renewal.
  std::optional<SteadyTime> until() const {
    const std::int64_t until = until_.load(std::memory_order_acquire);
    if (until == 0) return std::nullopt;
    return SteadyTime(SteadyTime::duration(until));
  }

 private:
  static std::int64_t count(SteadyTime time) { return time.time_since_epoch().count(); }
  std::atomic<std::uint64_t> number_{0};
  std::atomic<std::int64_t> until_{0};
};

}  // namespace backstitch::engine

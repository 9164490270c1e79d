#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <backstitch/engine/ports/store_figures.hpp>

namespace backstitch::postgres {

/// Counts values by size without a lock. Threads: any.
template <std::size_t N>
class HistogramMeter {
 public:
  /// @param bounds rising, in the unit of the values
  explicit HistogramMeter(const std::array<std::uint64_t, N>& bounds) : bounds_(bounds) {}

  void observe(std::uint64_t value) {
    std::size_t place = 0;
    while (place < N && value > bounds_[place]) ++place;
    counts_[place].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }
  /// @param unit what a value of 1 is, e.g. 1e-6 for microseconds in seconds
  engine::Histogram read(double unit) const {
    engine::Histogram read;
    for (const std::uint64_t bound : bounds_)
      read.bounds.push_back(static_cast<double>(bound) * unit);
    for (const auto& count : counts_) read.counts.push_back(count.load(std::memory_order_relaxed));
    read.sum = static_cast<double>(sum_.load(std::memory_order_relaxed)) * unit;
    return read;
  }

 private:
  const std::array<std::uint64_t, N> bounds_;
  std::array<std::atomic<std::uint64_t>, N + 1> counts_{};
  std::atomic<std::uint64_t> sum_{0};
};

/// What the connections of a store count. Threads: any.
struct Meters {
  HistogramMeter<13> append_us{{500, 1'000, 2'000, 5'000, 10'000, 20'000, 50'000, 100'000, 200'000,
                                500'000, 1'000'000, 5'000'000, 30'000'000}};
  HistogramMeter<10> append_batch{{1, 2, 5, 10, 20, 50, 100, 200, 500, 1'000}};
  std::atomic<std::uint64_t> reconnects{0};
  std::atomic<std::uint64_t> read_backs{0};
};

}  // namespace backstitch::postgres

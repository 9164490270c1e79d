#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <backstitch/base/time.hpp>

namespace backstitch::test {

/// Calls again and again on some threads, and keeps how long each call took.
class Callers {
 public:
  Callers(std::size_t count, std::function<void(std::size_t)> call) : call_(std::move(call)) {
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
  }
  ~Callers() {
    stopped_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  std::size_t count() const { return number_; }
  /// Of those since the last time.
  std::vector<Duration> take() {
    const std::lock_guard lock(mutex_);
    std::sort(times_.begin(), times_.end());
    return std::exchange(times_, {});
  }

 private:
  void run() {
    while (!stopped_) {
      const auto began = std::chrono::steady_clock::now();
      call_(number_.fetch_add(1));
      const auto took = std::chrono::steady_clock::now() - began;
      const std::lock_guard lock(mutex_);
      times_.push_back(std::chrono::ceil<Duration>(took));
    }
  }

  std::function<void(std::size_t)> call_;
  std::atomic<std::size_t> number_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<Duration> times_;
  std::vector<std::thread> threads_;
};

inline Duration p99(const std::vector<Duration>& sorted) {
  return sorted[sorted.size() * 99 / 100];
}

}  // namespace backstitch::test

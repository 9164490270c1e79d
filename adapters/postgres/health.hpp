#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include <backstitch/base/result.hpp>

namespace backstitch::postgres {

/// Which of the connections that matter are down, and why. Threads: any.
class Health {
 public:
  bool good() const { return down_.load(std::memory_order_relaxed) == 0; }
  /// Why one of them is down, if one is.
  std::optional<Error> reason() const {
    const std::lock_guard lock(mutex_);
    if (reasons_.empty()) return std::nullopt;
    return reasons_.begin()->second;
  }

 private:
  friend class HealthFlag;
  std::atomic<int> down_{0};
  mutable std::mutex mutex_;
  std::map<const void*, Error> reasons_;  ///< by the flag
};

/// One connection's part in it. One thread.
class HealthFlag {
 public:
  explicit HealthFlag(Health& health) : health_(health) {}
  ~HealthFlag() { set_up(); }
  HealthFlag(const HealthFlag&) = delete;
  HealthFlag& operator=(const HealthFlag&) = delete;

  void set_up() {
    if (up_) return;
    up_ = true;
    const std::lock_guard lock(health_.mutex_);
    health_.reasons_.erase(this);
    health_.down_.fetch_sub(1, std::memory_order_relaxed);
  }
  bool is_up() const { return up_; }
  /// @param reason in our own words; the latest one counts
  void set_down(Error reason) {
    const std::lock_guard lock(health_.mutex_);
    health_.reasons_[this] = std::move(reason);
    if (std::exchange(up_, false)) health_.down_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  Health& health_;
  bool up_ = true;
};

}  // namespace backstitch::postgres

#pragma once
#include <atomic>

namespace backstitch::postgres {

/// How many of the connections that matter are down.
class Health {
 public:
  bool good() const { return down_.load(std::memory_order_relaxed) == 0; }

 private:
  friend class HealthFlag;
  std::atomic<int> down_{0};
};

/// One connection's part in it. One thread.
class HealthFlag {
 public:
  explicit HealthFlag(Health& health) : health_(health) {}
  ~HealthFlag() { set(true); }
  HealthFlag(const HealthFlag&) = delete;
  HealthFlag& operator=(const HealthFlag&) = delete;

  void set(bool good) {
    if (good == good_) return;
    good_ = good;
    health_.down_.fetch_add(good ? -1 : 1, std::memory_order_relaxed);
  }
  bool good() const { return good_; }

 private:
  Health& health_;
  bool good_ = true;
};

}  // namespace backstitch::postgres

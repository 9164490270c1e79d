#pragma once
#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>

namespace backstitch::engine {

/// The sagas that the store fails at and that it cannot suspend either: each is left alone for a
/// while and then taken up from its log. A node has one; threads: any.
class SetAside {
 public:
  static constexpr Duration wait_min{5'000};
  static constexpr Duration wait_max{300'000};

  /// @return how long the saga is to be left alone: longer each time
  Duration add(const SagaId& saga);
  /// Something was written for it, or it is another node's.
  void remove(const SagaId& saga);

  std::size_t size() const { return size_.load(std::memory_order_relaxed); }
  std::vector<SagaId> first(std::size_t most) const;

 private:
  mutable std::mutex mutex_;
  std::map<SagaId, Duration> waits_;
  std::atomic<std::size_t> size_{0};  ///< usually none, and then nobody needs the lock
};

}  // namespace backstitch::engine

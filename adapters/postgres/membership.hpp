#pragma once
#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string>

#include <backstitch/engine/ports/store.hpp>

namespace backstitch::postgres {

/// What the row of this node in backstitch.fence has to say, or an append writes nothing.
struct Fence {
  /// Until the first renewal no process.
  engine::NodeIdentity node{"", "00000000-0000-0000-0000-000000000000"};
  std::int64_t generation = 0;
};

/// This process as the database knows it: set by renewals, read by lanes. Threads: any.
class Membership {
 public:
  void enter(const engine::NodeIdentity& node) {
    const std::lock_guard lock(mutex_);
    if (fence_.node != node) fence_ = {node, 0};
  }
  /// Generations only rise, so an answer that comes late changes nothing.
  void learn(const engine::NodeIdentity& node, std::int64_t generation) {
    const std::lock_guard lock(mutex_);
    if (fence_.node == node) fence_.generation = std::max(fence_.generation, generation);
  }
  Fence fence() const {
    const std::lock_guard lock(mutex_);
    return fence_;
  }

 private:
  mutable std::mutex mutex_;
  Fence fence_;
};

}  // namespace backstitch::postgres

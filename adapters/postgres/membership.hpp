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
  std::uint64_t era = 0;  ///< in which the generation was learned, see Lineage
};

/// This process as the database knows it: set by renewals, read by lanes. Threads: any.
class Membership {
 public:
  void enter(const engine::NodeIdentity& node) {
    const std::lock_guard lock(mutex_);
    if (fence_.node != node) fence_ = {node, 0, 0};
  }
  /// In an era generations only rise, so an answer that comes late changes nothing.
  void learn(const engine::NodeIdentity& node, std::int64_t generation, std::uint64_t era) {
    const std::lock_guard lock(mutex_);
    if (fence_.node != node || era < fence_.era) return;
    if (era > fence_.era) fence_.generation = 0;
    fence_.era = era;
    fence_.generation = std::max(fence_.generation, generation);
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

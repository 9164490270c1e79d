#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <backstitch/engine/ports/store.hpp>

namespace backstitch::engine {

/// The start keys that transactions of other programs were found to hold, until they are found
/// free. A node has one; threads: any. Of more than keys_max the one that was met longest ago is
/// forgotten, which costs the next start under it another wait.
class BlockedKeys {
 public:
  static constexpr std::size_t keys_max = 10'000;

  /// Whether any of them is known to be held.
  bool contains(const std::vector<StartKey>& keys) const;
  void add(const std::vector<StartKey>& keys);
  void remove(const std::vector<StartKey>& keys);

  /// How many starts were answered so.
  std::uint64_t starts() const { return starts_.load(std::memory_order_relaxed); }

 private:
  using Names = std::list<std::string>;

  mutable std::mutex mutex_;
  Names names_;  ///< the one that was met last is the first
  std::unordered_map<std::string_view, Names::iterator> places_;
  std::atomic<std::size_t> size_{0};  ///< usually none, and then nobody needs the lock
  std::atomic<std::uint64_t> starts_{0};
};

}  // namespace backstitch::engine

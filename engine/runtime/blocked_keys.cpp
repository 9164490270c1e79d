#include "blocked_keys.hpp"

#include <algorithm>

namespace backstitch::engine {
namespace {

std::string name_of(const StartKey& key) {
  return key.scope + '\n' + key.key;
}

}  // namespace

bool BlockedKeys::contains(const std::vector<StartKey>& keys) const {
  if (size_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard lock(mutex_);
  return std::any_of(keys.begin(), keys.end(),
                     [this](const StartKey& key) { return places_.contains(name_of(key)); });
}

void BlockedKeys::add(const std::vector<StartKey>& keys) {
  starts_.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  for (const StartKey& key : keys) {
    const auto known = places_.find(name_of(key));
    if (known != places_.end()) {
      names_.splice(names_.begin(), names_, known->second);
      continue;
    }
    names_.push_front(name_of(key));
    places_.emplace(names_.front(), names_.begin());
    if (names_.size() <= keys_max) continue;
    places_.erase(names_.back());
    names_.pop_back();
  }
  size_.store(names_.size(), std::memory_order_relaxed);
}

void BlockedKeys::remove(const std::vector<StartKey>& keys) {
  const std::lock_guard lock(mutex_);
  for (const StartKey& key : keys) {
    const auto known = places_.find(name_of(key));
    if (known == places_.end()) continue;
    const Names::iterator place = known->second;
    places_.erase(known);
    names_.erase(place);
  }
  size_.store(names_.size(), std::memory_order_relaxed);
}

}  // namespace backstitch::engine

#include <algorithm>

#include <backstitch/memory/store.hpp>

namespace backstitch::memory {

using namespace engine;

void MemoryStore::renew(LeaseRequest request, std::function<void(Result<LeaseAnswer>)> done) {
  LeaseAnswer leases;
  {
    const std::lock_guard lock(mutex_);
    leases.database_now = now();
    NodeInfo& node = nodes_[request.node];
    if (node.name.empty() || request.first) node.started_at = leases.database_now;
    node.name = request.node;
    node.address = request.address;
    node.shards_max = request.shards_max;
    node.renewed_at = leases.database_now;
    node.expires_at = leases.database_now + request.lease;
    const std::size_t share = fair_share(request.node);
    std::size_t held = 0;
    for (Owner& owner : shards_) {
      if (owner.node != request.node) continue;
      ++held;
      if (request.first) owner.epoch = Epoch(owner.epoch.get() + 1);
    }
    // Free ones first, then those of nodes whose lease ended, the longest dead first.
    for (std::size_t i = 0; i < shards_.size() && held < share; ++i) {
      if (!shards_[i].node.empty()) continue;
      take(i, request.node);
      ++held;
    }
    std::vector<std::pair<TimePoint, std::string>> dead;
    for (const auto& [name, other] : nodes_) {
      if (name != request.node && other.expires_at <= leases.database_now)
        dead.emplace_back(other.expires_at, name);
    }
    std::sort(dead.begin(), dead.end());
    for (const auto& [end, name] : dead) {
      bool left = false;
      for (std::size_t i = 0; i < shards_.size(); ++i) {
        if (shards_[i].node != name) continue;
        left = held >= share;
        if (left) break;
        take(i, request.node);
        ++held;
      }
      if (!left) nodes_.erase(name);
    }
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      if (shards_[i].node == request.node)
        leases.held.push_back({static_cast<Shard>(i), shards_[i].epoch});
    }
    leases.surplus = held > share ? held - share : 0;
  }
  answer<Result<LeaseAnswer>>(std::move(done), std::move(leases));
}

/// The level to which all living nodes can fill up, each to its own limit at most, so that all
/// shards are held.
std::size_t MemoryStore::fair_share(const std::string& node) const {
  const TimePoint present = now();
  std::size_t level = 0;
  for (std::size_t held = 0; held < shard_count && level < shard_count;) {
    ++level;
    held = 0;
    for (const auto& [name, one] : nodes_) {
      if (one.expires_at > present) held += std::min(one.shards_max, level);
    }
  }
  return std::min(nodes_.at(node).shards_max, level);
}

void MemoryStore::take(std::size_t shard, const std::string& node) {
  shards_[shard] = {node, Epoch(shards_[shard].epoch.get() + 1)};
}

void MemoryStore::give_up(std::string node, std::vector<Shard> shards,
                          std::function<void(Result<Done>)> done) {
  {
    const std::lock_guard lock(mutex_);
    for (const Shard shard : shards) {
      if (shards_[shard].node == node) shards_[shard].node.clear();
    }
    tell_of_free_shards();
  }
  answer<Result<Done>>(std::move(done), Done{});
}

void MemoryStore::release(std::string node, std::function<void(Result<Done>)> done) {
  {
    const std::lock_guard lock(mutex_);
    for (Owner& owner : shards_) {
      if (owner.node == node) owner.node.clear();
    }
    nodes_.erase(node);
    tell_of_free_shards();
  }
  answer<Result<Done>>(std::move(done), Done{});
}

void MemoryStore::nodes(std::function<void(Result<std::vector<NodeInfo>>)> done) {
  std::vector<NodeInfo> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, node] : nodes_) {
      NodeInfo& info = all.emplace_back(node);
      info.alive = info.expires_at > now();
      info.shards = static_cast<std::size_t>(
          std::count_if(shards_.begin(), shards_.end(),
                        [&](const Owner& owner) { return owner.node == info.name; }));
    }
  }
  answer<Result<std::vector<NodeInfo>>>(std::move(done), std::move(all));
}

void MemoryStore::on_free_shards(std::function<void()> hint) {
  const std::lock_guard lock(mutex_);
  free_shards_hints_.push_back(std::move(hint));
}

void MemoryStore::tell_of_free_shards() {
  for (const auto& hint : free_shards_hints_) executor_.post(hint);
}

}  // namespace backstitch::memory

#include <algorithm>
#include <tuple>
#include <utility>

#include <backstitch/memory/store.hpp>

namespace backstitch::memory {

using namespace engine;

namespace {

template <class... T>
std::tuple<T...> copy_of(const std::tuple<const T&...>& all) {
  return all;
}

}  // namespace

void MemoryStore::renew(LeaseRequest request, std::function<void(Result<LeaseAnswer>)> done) {
  LeaseAnswer leases;
  {
    const std::lock_guard lock(mutex_);
    leases.database_now = now();
    leases.lineage = lineage_;
    leases.on_hold = on_hold_;
    if (request.lineage != 0 && request.lineage != lineage_) {
      // Nothing is renewed.
    } else if (const Process* namesake = namesake_of(request)) {
      leases.namesake = Namesake{namesake->info.address, namesake->info.renewed_at};
    } else {
      renew_and_take(request, leases);
    }
  }
  answer<Result<LeaseAnswer>>(std::move(done), std::move(leases));
}

/// @return the process that keeps the name, if that is another one
const MemoryStore::Process* MemoryStore::namesake_of(const LeaseRequest& request) const {
  const auto found = nodes_.find(request.node.name);
  if (found == nodes_.end()) return nullptr;
  const Process& process = found->second;
  if (process.incarnation == request.node.incarnation) return nullptr;
  const bool lives =
      process.info.expires_at > now() && has_sessions_ && has_sessions_(process.incarnation);
  return !request.first || lives ? &process : nullptr;
}

/// Makes the caller the process of its name: an earlier one is shut out.
void MemoryStore::enter(const LeaseRequest& request) {
  Process& process = nodes_[request.node.name];
  if (process.incarnation != request.node.incarnation) {
    process.incarnation = request.node.incarnation;
    process.info.name = request.node.name;
    process.info.started_at = now();
    for (Owner& owner : shards_) {
      if (owner.node == request.node.name) owner = taken(owner, owner.node, {});
    }
  }
  process.info.address = request.address;
  process.info.shards_max = request.shards_max;
  process.info.renewed_at = now();
  process.info.expires_at = now() + request.lease;
}

bool MemoryStore::is_current(const NodeIdentity& node) const {
  const auto found = nodes_.find(node.name);
  return found != nodes_.end() && found->second.incarnation == node.incarnation;
}

void MemoryStore::set_sessions(std::function<bool(const std::string& incarnation)> has_sessions) {
  const std::lock_guard lock(mutex_);
  has_sessions_ = std::move(has_sessions);
}

void MemoryStore::renew_and_take(const LeaseRequest& request, LeaseAnswer& leases) {
  enter(request);
  const std::string& name = request.node.name;
  for (Owner& owner : shards_) {
    if (owner.node == name && owner.epoch <= request.epoch_floor)
      owner.epoch = Epoch(request.epoch_floor.get() + 1);
  }
  const std::size_t share = on_hold_ ? 0 : fair_share(name);
  auto held = static_cast<std::size_t>(std::count_if(
      shards_.begin(), shards_.end(), [&](const Owner& owner) { return owner.node == name; }));
  // Free ones first, then those of nodes whose lease ended, the longest dead first.
  for (std::size_t i = 0; i < shards_.size() && held < share; ++i) {
    if (!shards_[i].node.empty()) continue;
    take(i, request);
    ++held;
  }
  std::vector<std::pair<TimePoint, std::string>> dead;
  for (const auto& [other, process] : nodes_) {
    if (other != name && process.info.expires_at <= leases.database_now)
      dead.emplace_back(process.info.expires_at, other);
  }
  std::sort(dead.begin(), dead.end());
  for (const auto& [end, other] : dead) {
    bool left = false;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      if (shards_[i].node != other) continue;
      left = held >= share;
      if (left) break;
      take(i, request);
      ++held;
    }
    if (!left) nodes_.erase(other);
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].node == name)
      leases.held.push_back({static_cast<Shard>(i), shards_[i].epoch, shards_[i].suspect});
  }
  leases.surplus = held > share ? held - share : 0;
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
      if (one.info.expires_at > present) held += std::min(one.info.shards_max, level);
    }
  }
  return std::min(nodes_.at(node).info.shards_max, level);
}

MemoryStore::Owner MemoryStore::taken(const Owner& from, const std::string& node, Epoch floor) {
  return {node, Epoch(std::max(from.epoch, floor).get() + 1), false, !from.proven};
}

void MemoryStore::take(std::size_t shard, const engine::LeaseRequest& request) {
  shards_[shard] = taken(shards_[shard], request.node.name, request.epoch_floor);
}

void MemoryStore::set_hold(bool on_hold) {
  const std::lock_guard lock(mutex_);
  on_hold_ = on_hold;
}

void MemoryStore::begin_lineage() {
  ++lineage_;
  tell_of_free_shards();
}

template <class Self>
auto MemoryStore::stored(Self& self) {
  return std::tie(self.sagas_, self.keys_, self.shards_, self.nodes_, self.strikes_, self.inbox_,
                  self.inbox_failures_, self.answers_, self.inbox_last_, self.revision_,
                  self.definitions_, self.services_, self.audited_);
}

class MemoryStore::Content {
 public:
  decltype(copy_of(stored(std::declval<const MemoryStore&>()))) all;
};

std::shared_ptr<const MemoryStore::Content> MemoryStore::content() const {
  const std::lock_guard lock(mutex_);
  return std::make_shared<const Content>(Content{copy_of(stored(*this))});
}

void MemoryStore::set_back(const Content& content) {
  const std::lock_guard lock(mutex_);
  stored(*this) = content.all;
  begin_lineage();
}

void MemoryStore::set_back(SagaId saga, Sequence last) {
  const std::lock_guard lock(mutex_);
  begin_lineage();
  const auto found = sagas_.find(saga);
  if (found == sagas_.end()) return;
  std::erase_if(found->second.log, [&](const auto& event) { return event.sequence > last; });
  if (!found->second.log.empty()) {
    // The row may be older than the log, never younger.
    found->second.summary.status = "RUNNING";
    found->second.summary.ended_at.reset();
    found->second.wake_at.reset();
    found->second.expires_at.reset();
    return;
  }
  sagas_.erase(found);
  std::erase_if(keys_, [&](const auto& key) { return key.second.saga == saga; });
}

void MemoryStore::forget_definition(const std::string& name) {
  const std::lock_guard lock(mutex_);
  begin_lineage();
  std::erase_if(definitions_, [&](const auto& one) { return one.first.first == name; });
}

void MemoryStore::prove(NodeIdentity node, std::vector<Shard> shards,
                        std::function<void(Result<Done>)> done) {
  {
    const std::lock_guard lock(mutex_);
    for (const Shard shard : shards) {
      if (shards_[shard].node != node.name || !is_current(node)) continue;
      shards_[shard].proven = true;
      shards_[shard].suspect = false;
    }
  }
  answer<Result<Done>>(std::move(done), Done{});
}

void MemoryStore::strike(SagaId saga, bool again, std::function<void(Result<std::int64_t>)> done) {
  std::int64_t strikes = 0;
  {
    const std::lock_guard lock(mutex_);
    std::int64_t& counted = strikes_[saga];
    if (counted == 0 || again) strikes = ++counted;
  }
  answer<Result<std::int64_t>>(std::move(done), strikes);
}

void MemoryStore::forgive(SagaId saga, std::function<void(Result<Done>)> done) {
  {
    const std::lock_guard lock(mutex_);
    strikes_.erase(saga);
  }
  answer<Result<Done>>(std::move(done), Done{});
}

/// Whoever can give a shard up has survived it.
void MemoryStore::set_free(Owner& owner) {
  owner.node.clear();
  owner.proven = true;
}

void MemoryStore::give_up(NodeIdentity node, std::vector<Shard> shards,
                          std::function<void(Result<Done>)> done) {
  {
    const std::lock_guard lock(mutex_);
    for (const Shard shard : shards) {
      if (shards_[shard].node == node.name && is_current(node)) set_free(shards_[shard]);
    }
    tell_of_free_shards();
  }
  answer<Result<Done>>(std::move(done), Done{});
}

void MemoryStore::release(NodeIdentity node, std::function<void(Result<Done>)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (is_current(node)) {
      for (Owner& owner : shards_) {
        if (owner.node == node.name) set_free(owner);
      }
      nodes_.erase(node.name);
      tell_of_free_shards();
    }
  }
  answer<Result<Done>>(std::move(done), Done{});
}

void MemoryStore::nodes(std::function<void(Result<std::vector<NodeInfo>>)> done) {
  std::vector<NodeInfo> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, node] : nodes_) {
      NodeInfo& info = all.emplace_back(node.info);
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

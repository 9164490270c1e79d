#include <algorithm>
#include <cstdint>

#include <backstitch/memory/store.hpp>

// Leases and the catalogue; the sagas are in store.cpp.

namespace backstitch::memory {

using namespace engine;

void MemoryStore::renew(std::string node, Duration lease, std::size_t shards_max, bool first,
                        std::function<void(Result<LeaseAnswer>)> done) {
  LeaseAnswer leases;
  {
    const std::lock_guard lock(mutex_);
    leases.database_now = now();
    lease_ends_[node] = leases.database_now + lease;
    std::size_t held = 0;
    for (Owner& owner : shards_) {
      if (owner.node != node) continue;
      ++held;
      if (first) owner.epoch = Epoch(owner.epoch.get() + 1);
    }
    // Free ones first, then those of nodes whose lease ended, the longest dead first.
    for (std::size_t i = 0; i < shards_.size() && held < shards_max; ++i) {
      if (!shards_[i].node.empty()) continue;
      take(i, node);
      ++held;
    }
    std::vector<std::pair<TimePoint, std::string>> dead;
    for (const auto& [name, end] : lease_ends_) {
      if (name != node && end <= leases.database_now) dead.emplace_back(end, name);
    }
    std::sort(dead.begin(), dead.end());
    for (const auto& [end, name] : dead) {
      for (std::size_t i = 0; i < shards_.size() && held < shards_max; ++i) {
        if (shards_[i].node != name) continue;
        take(i, node);
        ++held;
      }
    }
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      if (shards_[i].node == node) leases.held.push_back({static_cast<Shard>(i), shards_[i].epoch});
    }
  }
  answer<Result<LeaseAnswer>>(std::move(done), std::move(leases));
}

void MemoryStore::take(std::size_t shard, const std::string& node) {
  shards_[shard] = {node, Epoch(shards_[shard].epoch.get() + 1)};
}

void MemoryStore::release(std::string node, std::function<void(Result<Done>)> done) {
  {
    const std::lock_guard lock(mutex_);
    for (Owner& owner : shards_) {
      if (owner.node == node) owner.node.clear();
    }
    lease_ends_.erase(node);
  }
  answer<Result<Done>>(std::move(done), Done{});
}

void MemoryStore::changes(std::int64_t revision, std::function<void(Result<CatalogContent>)> done) {
  CatalogContent content;
  {
    const std::lock_guard lock(mutex_);
    content.revision = revision_;
    for (const auto& [key, definition] : definitions_) {
      if (definition.revision > revision) content.definitions.push_back(definition.value);
    }
    for (const auto& [name, service] : services_) {
      if (service.revision > revision) content.services.push_back(service.value);
    }
  }
  answer<Result<CatalogContent>>(std::move(done), std::move(content));
}

void MemoryStore::put_definition(StoredDefinition definition, bool activate,
                                 std::function<void(Result<PutOutcome>)> done) {
  PutOutcome outcome = PutOutcome::created;
  {
    const std::lock_guard lock(mutex_);
    const DefinitionKey key{definition.name, definition.version};
    const auto found = definitions_.find(key);
    if (found != definitions_.end()) {
      outcome =
          found->second.value.hash == definition.hash ? PutOutcome::same : PutOutcome::conflict;
    } else {
      const auto next = definitions_.lower_bound({definition.name, INT64_MIN});
      const bool first = next == definitions_.end() || next->first.first != definition.name;
      definition.active = first;
      if (definition.registered_at == TimePoint{}) definition.registered_at = now();
      if (definition.findings.empty()) definition.findings = "[]";
      definitions_[key] = {++revision_, std::move(definition)};
    }
    if (activate && outcome != PutOutcome::conflict) make_active(key.first, key.second);
  }
  answer<Result<PutOutcome>>(std::move(done), outcome);
}

void MemoryStore::activate(std::string name, std::int64_t version,
                           std::function<void(Result<Done>)> done) {
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    known = make_active(name, version);
  }
  if (known) return answer<Result<Done>>(std::move(done), Done{});
  answer<Result<Done>>(std::move(done), Error{ErrorCode::not_found, "definition-not-found",
                                              "there is no definition " + name + " version " +
                                                  std::to_string(version)});
}

bool MemoryStore::make_active(const std::string& name, std::int64_t version) {
  if (!definitions_.contains({name, version})) return false;
  ++revision_;
  for (auto& [key, definition] : definitions_) {
    if (key.first != name || definition.value.active == (key.second == version)) continue;
    definition.value.active = key.second == version;
    definition.revision = revision_;
  }
  return true;
}

void MemoryStore::put_service(StoredService service, std::function<void(Result<PutOutcome>)> done) {
  PutOutcome outcome = PutOutcome::same;
  {
    const std::lock_guard lock(mutex_);
    auto& known = services_[service.name];
    if (known.revision == 0 || known.value.document != service.document) {
      outcome = PutOutcome::created;
      known = {++revision_, std::move(service)};
    }
  }
  answer<Result<PutOutcome>>(std::move(done), outcome);
}

TimePoint MemoryStore::now() const {
  return start_ + std::chrono::duration_cast<Duration>(executor_.now() - origin_);
}

}  // namespace backstitch::memory

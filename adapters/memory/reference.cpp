#include <algorithm>
#include <cstdint>

#include <backstitch/memory/store.hpp>

// The catalogue; leases are in leases.cpp, the sagas in store.cpp.

namespace backstitch::memory {

using namespace engine;

/// Whoever has this store has everything in it.
void MemoryStore::secret(std::function<void(Result<std::string>)> done) {
  answer<Result<std::string>>(std::move(done), std::string("the key of a store in memory"));
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

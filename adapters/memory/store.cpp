#include <algorithm>
#include <set>

#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/memory/store.hpp>
#include <nlohmann/json.hpp>

namespace backstitch::memory {

using namespace engine;

MemoryStore::MemoryStore(Executor& executor, TimePoint start)
    : executor_(executor), start_(start), origin_(executor.now()) {}

void MemoryStore::append(std::size_t, std::vector<Append> batch,
                         std::function<void(std::vector<AppendResult>)> done) {
  std::vector<AppendResult> results;
  results.reserve(batch.size());
  {
    const std::lock_guard lock(mutex_);
    for (const Append& item : batch) results.push_back(write(item));
  }
  answer(std::move(done), std::move(results));
}

AppendResult MemoryStore::write(const Append& item) {
  const Owner& owner = shards_[item.saga.shard()];
  if (owner.node.empty() || owner.epoch != item.epoch) return {.outcome = AppendOutcome::fenced};
  if (item.inbox && !inbox_.contains(item.inbox->id)) return {.outcome = AppendOutcome::conflict};
  if (item.start) {
    if (auto known = known_key(item)) return *known;
  }
  const auto found = sagas_.find(item.saga);
  const std::int64_t stored =
      found == sagas_.end() ? 0 : static_cast<std::int64_t>(found->second.log.size());
  const bool whichever = item.expected.get() < 0;
  if (!whichever && stored != item.expected.get()) return {.outcome = AppendOutcome::conflict};

  for (std::size_t i = 0; i < item.events.size(); ++i) {
    BACKSTITCH_INVARIANT(item.events[i].sequence.get() == stored + 1 + static_cast<std::int64_t>(i),
                         "events of an append follow each other");
  }
  BACKSTITCH_INVARIANT(
      !item.events.empty() || item.inbox || (item.row && !item.start && !item.audit),
      "only a change of the row or a settled command comes without an event");
  if (item.inbox) settle(*item.inbox);
  if (item.audit) audited_.emplace_back(item.saga, *item.audit);
  if (item.events.empty() && !item.row) return {};
  Saga& saga = sagas_[item.saga];
  if (item.start) create(saga, item);
  saga.log.insert(saga.log.end(), item.events.begin(), item.events.end());
  if (item.row) {
    saga.summary.status = item.row->status;
    saga.summary.failure = item.row->failure;
    saga.summary.pivot_passed = item.row->pivot_passed;
    saga.summary.ended_at = item.row->ended_at;
    saga.failure_code = item.row->failure_code;
    saga.wake_at = item.row->wake_at;
    saga.expires_at = item.row->expires_at;
  }
  return {};
}

/// A start from the inbox meets its own reservation; another start meets one as `reserved`. The
/// caller's key is bound to what a business key names.
std::optional<AppendResult> MemoryStore::known_key(const Append& item) {
  const AskedFor& asked = item.start->asked;
  for (const StartKey& key : item.start->keys) {
    const auto found = keys_.find({key.scope, key.key});
    const Key known = found == keys_.end() ? Key{item.saga} : found->second;
    const auto saga = sagas_.find(known.saga);
    const bool failed = known.removed == "FAILED" ||
                        (saga != sagas_.end() && saga->second.summary.status == "FAILED");
    if (known.saga == item.saga || (key.reuses_failed && failed)) {
      const std::int64_t generation = known.generation + (known.saga == item.saga ? 0 : 1);
      if (key.generation.value_or(generation) == generation) continue;
      return AppendResult{.outcome = AppendOutcome::regenerated, .generation = generation};
    }
    if (known.hash.empty()) return AppendResult{.outcome = AppendOutcome::reserved};
    const bool same = known.removed.empty() && known.hash == asked.hash &&
                      asked.stated_version.value_or(known.version) == known.version;
    if (same && key.is_business_key()) {
      for (const StartKey& other : item.start->keys)
        if (!other.is_business_key()) keys_.try_emplace({other.scope, other.key}, known);
    }
    return AppendResult{AppendOutcome::duplicate, known.saga, same, key.is_business_key(),
                        !known.removed.empty()};
  }
  if (item.only_asks) return AppendResult{.outcome = AppendOutcome::unknown};
  return std::nullopt;
}

void MemoryStore::keep_keys(const Append& item) {
  const NewSaga& start = *item.start;
  for (const StartKey& key : start.keys) {
    const auto known = keys_.try_emplace({key.scope, key.key}, Key{item.saga}).first;
    const bool is_own = known->second.saga == item.saga;
    known->second = {item.saga, start.asked.hash, start.version,
                     known->second.generation + (is_own ? 0 : 1)};
  }
  if (!item.inbox) return;
  // Callers' keys are kept; a start that cannot be kept gives its business key back.
  for (auto& [key, known] : keys_)
    if (known.saga == item.saga && key.first == "key") known.hash = start.asked.hash;
  std::erase_if(keys_, [&](const auto& key) {
    return key.second.saga == item.saga && key.second.hash.empty();
  });
}

void MemoryStore::create(Saga& saga, const Append& item) {
  const NewSaga& start = *item.start;
  saga.summary.id = item.saga;
  saga.summary.definition = start.definition;
  saga.summary.version = start.version;
  saga.summary.status = "RUNNING";
  saga.summary.business_key = start.business_key;
  saga.summary.labels = start.labels.empty() ? "{}" : start.labels;
  saga.summary.started_at = start.started_at;
  saga.summary.sensitive = start.sensitive;
  saga.parent = start.parent;
  saga.labels = dsl::stored_json(saga.summary.labels).get<std::map<std::string, std::string>>();
  keep_keys(item);
}

void MemoryStore::load(std::vector<SagaId> sagas,
                       std::function<void(Result<std::vector<StoredSaga>>)> done) {
  std::vector<StoredSaga> loaded;
  {
    const std::lock_guard lock(mutex_);
    for (const SagaId& id : sagas) {
      const auto found = sagas_.find(id);
      if (found != sagas_.end()) loaded.push_back({id, found->second.log});
    }
  }
  answer<Result<std::vector<StoredSaga>>>(std::move(done), std::move(loaded));
}

void MemoryStore::due(DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) {
  std::vector<SagaId> ids;
  {
    const std::lock_guard lock(mutex_);
    const TimePoint until = now() + query.horizon;
    for (auto at = sagas_.upper_bound(query.after); at != sagas_.end(); ++at) {
      if (ids.size() >= std::min(query.limit, limit_max)) break;
      const Saga& saga = at->second;
      const bool ours = std::find(query.shards.begin(), query.shards.end(), at->first.shard()) !=
                        query.shards.end();
      const bool recent =
          !query.lookback || !saga.wake_at || *saga.wake_at >= now() - *query.lookback;
      const bool asleep = saga.wake_at && *saga.wake_at <= until && recent;
      const bool wanted = query.parents_only ? asleep && saga.has_had_child()
                                             : asleep || (!saga.wake_at && query.resident_too);
      if (ours && wanted && (saga.active() || saga.goes_on())) ids.push_back(at->first);
    }
  }
  answer<Result<std::vector<SagaId>>>(std::move(done), std::move(ids));
}

void MemoryStore::remove_expired(std::vector<Shard> shards, std::size_t limit,
                                 Duration key_retention,
                                 std::function<void(Result<std::size_t>)> done) {
  std::size_t removed = 0;
  {
    const std::lock_guard lock(mutex_);
    std::set<SagaId> gone;
    for (const auto& [id, saga] : sagas_) {
      const bool ours = std::find(shards.begin(), shards.end(), id.shard()) != shards.end();
      if (removed >= std::min(limit, limit_max)) break;
      if (!ours || !saga.expires_at || *saga.expires_at > now()) continue;
      gone.insert(id);
      ++removed;
    }
    // Children are younger than their parents, so one pass in the order of ids finds them all.
    for (const auto& [id, saga] : sagas_) {
      if (saga.parent && gone.count(*saga.parent) > 0) gone.insert(id);
    }
    std::erase_if(keys_, [&](const auto& key) {
      const Key& known = key.second;
      const bool is_over = !known.removed.empty() && known.expires_at <= now();
      return is_over || (key.first.first == "child" && gone.count(known.saga) > 0);
    });
    for (auto& [key, known] : keys_) {
      if (gone.count(known.saga) == 0) continue;
      known.removed = sagas_.at(known.saga).summary.status;
      known.expires_at = now() + key_retention;
    }
    for (const auto& id : gone) sagas_.erase(id);
  }
  answer<Result<std::size_t>>(std::move(done), removed);
}

void MemoryStore::list(ListQuery query,
                       std::function<void(Result<std::vector<SagaSummary>>)> done) {
  std::vector<SagaSummary> summaries;
  {
    const std::lock_guard lock(mutex_);
    auto at = query.before ? sagas_.lower_bound(*query.before) : sagas_.end();
    while (at != sagas_.begin() && summaries.size() < std::min(query.limit, page_max)) {
      --at;
      if (matches(at->second, query)) summaries.push_back(at->second.summary);
    }
  }
  answer<Result<std::vector<SagaSummary>>>(std::move(done), std::move(summaries));
}

bool MemoryStore::matches(const Saga& saga, const ListQuery& query) const {
  const SagaSummary& row = saga.summary;
  const auto has_label = [&](const auto& label) {
    const auto found = saga.labels.find(label.first);
    return found != saga.labels.end() && found->second == label.second;
  };
  if (!query.statuses.empty() &&
      std::find(query.statuses.begin(), query.statuses.end(), row.status) == query.statuses.end()) {
    return false;
  }
  return (!query.first || row.id >= *query.first) && (!query.last || row.id <= *query.last) &&
         (!query.definition || *query.definition == row.definition) &&
         (!query.business_key || query.business_key == row.business_key) &&
         std::all_of(query.labels.begin(), query.labels.end(), has_label) &&
         (!query.started_after || row.started_at >= *query.started_after) &&
         (!query.started_before || row.started_at < *query.started_before) &&
         (!query.failure_code || *query.failure_code == saga.failure_code);
}

void MemoryStore::history(SagaId saga, Sequence after, std::size_t limit,
                          std::function<void(Result<HistoryPage>)> done) {
  using Answer = Result<HistoryPage>;
  limit = std::min(limit, page_max - 1);
  const std::lock_guard lock(mutex_);
  const auto found = sagas_.find(saga);
  if (found == sagas_.end()) {
    return answer<Answer>(std::move(done), Error{ErrorCode::not_found, "saga-not-found",
                                                 "there is no saga " + saga.text()});
  }
  const std::vector<EventRecord>& log = found->second.log;
  const auto from = static_cast<std::size_t>(std::max<std::int64_t>(0, after.get()));
  std::vector<EventRecord> events;
  for (std::size_t i = from; i < log.size() && events.size() <= limit; ++i) {
    events.push_back(log[i]);
  }
  answer<Answer>(std::move(done), history_page(std::move(events), limit));
}

std::vector<std::pair<SagaId, AuditEntry>> MemoryStore::audited() const {
  const std::lock_guard lock(mutex_);
  return audited_;
}

bool MemoryStore::Saga::active() const {
  return summary.status == "RUNNING" || summary.status == "COMPENSATING";
}

bool MemoryStore::Saga::goes_on() const {
  return summary.status == "SUSPENDED" && wake_at.has_value();
}

bool MemoryStore::Saga::has_had_child() const {
  return std::any_of(log.begin(), log.end(),
                     [](const EventRecord& event) { return event.type == "ChildScheduled"; });
}

}  // namespace backstitch::memory

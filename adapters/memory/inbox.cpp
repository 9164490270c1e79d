#include <algorithm>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/memory/store.hpp>
#include <nlohmann/json.hpp>

namespace backstitch::memory {

using namespace engine;

void MemoryStore::put(InboxItem item, std::function<void(Result<std::int64_t>)> done) {
  Result<std::int64_t> number =
      Error{ErrorCode::not_found, "saga-not-found", "There is no saga " + item.saga.text() + "."};
  {
    const std::lock_guard lock(mutex_);
    if (sagas_.contains(item.saga) || start_waits(item.saga)) {
      item.id = ++inbox_last_;
      item.at = now();
      number = item.id;
      inbox_.emplace(item.id, std::move(item));
      tell_of_arrival();
    }
  }
  answer(std::move(done), std::move(number));
}

void MemoryStore::waiting(InboxQuery query,
                          std::function<void(Result<std::vector<InboxItem>>)> done) {
  std::vector<InboxItem> items;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = inbox_.upper_bound(query.after); at != inbox_.end(); ++at) {
      if (items.size() >= std::min(query.limit, limit_max)) break;
      const InboxItem& item = at->second;
      const bool start = item.kind == "start";
      const bool ours = std::find(query.shards.begin(), query.shards.end(), item.saga.shard()) !=
                        query.shards.end();
      if (ours && start == query.starts && (start || !start_waits(item.saga)))
        items.push_back(item);
    }
  }
  answer<Result<std::vector<InboxItem>>>(std::move(done), std::move(items));
}

void MemoryStore::start_of(SagaId saga,
                           std::function<void(Result<std::optional<InboxItem>>)> done) {
  std::optional<InboxItem> start;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, item] : inbox_)
      if (item.saga == saga && item.kind == "start") start = item;
  }
  answer<Result<std::optional<InboxItem>>>(std::move(done), std::move(start));
}

void MemoryStore::take_answers(std::string node,
                               std::function<void(Result<std::vector<InboxAnswer>>)> done) {
  std::vector<InboxAnswer> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(answers_[node]);
  }
  answer<Result<std::vector<InboxAnswer>>>(std::move(done), std::move(taken));
}

void MemoryStore::on_arrival(std::function<void()> hint) {
  const std::lock_guard lock(mutex_);
  arrival_hints_.push_back(std::move(hint));
}

SagaId MemoryStore::start_by_sql(SagaId saga, const std::string& definition, std::int64_t version,
                                 const std::string& input, std::optional<std::string> business_key,
                                 std::optional<std::string> idempotency_key) {
  const std::lock_guard lock(mutex_);
  using Reserved = std::pair<std::string, std::optional<std::string>>;
  const Reserved reserved[] = {{"key", idempotency_key}, {"business:" + definition, business_key}};
  for (const auto& [scope, key] : reserved) {
    if (!key) continue;
    const auto [known, added] = keys_.try_emplace({scope, *key}, Key{saga, "", version});
    if (added) continue;
    // By the business key: the caller's is bound to what it names.
    if (idempotency_key) keys_[{"key", *idempotency_key}] = known->second;
    return known->second.saga;
  }
  const Json data{{"definition", definition},
                  {"version", version},
                  {"stated", nullptr},
                  {"input", dsl::stored_json(input)},
                  {"businessKey", business_key ? Json(*business_key) : Json()},
                  {"idempotencyKey", idempotency_key ? Json(*idempotency_key) : Json()},
                  {"labels", Json::object()}};
  const std::int64_t number = ++inbox_last_;
  inbox_.emplace(number, InboxItem{number, saga, "start", "", json_text(data), now()});
  tell_of_arrival();
  return saga;
}

void MemoryStore::settle(const InboxSettled& settled) {
  const auto item = inbox_.extract(settled.id);
  if (!item.mapped().node.empty())
    answers_[item.mapped().node].push_back({settled.id, settled.error});
}

bool MemoryStore::start_waits(SagaId saga) const {
  return std::any_of(inbox_.begin(), inbox_.end(), [&](const auto& one) {
    return one.second.saga == saga && one.second.kind == "start";
  });
}

void MemoryStore::tell_of_arrival() {
  for (const auto& hint : arrival_hints_) executor_.post(hint);
}

}  // namespace backstitch::memory

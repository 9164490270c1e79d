#include <algorithm>
#include <set>
#include <utility>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/memory/store.hpp>
#include <nlohmann/json.hpp>

namespace backstitch::memory {

using namespace engine;

void MemoryStore::put(InboxItem item, std::function<void(Result<std::int64_t>)> done) {
  Result<std::int64_t> number = inbox_last_;
  {
    const std::lock_guard lock(mutex_);
    if (!sagas_.contains(item.saga) && !start_waits(item.saga)) {
      number = Error{ErrorCode::not_found, "saga-not-found",
                     "There is no saga " + item.saga.text() + "."};
    } else if (is_inbox_full(item)) {
      number = Error{ErrorCode::overloaded, "commands-overflow",
                     "Too many commands wait for the saga " + item.saga.text() + "."};
    } else if (item.data.size() > inbox_bytes_max) {
      number = Error{ErrorCode::invalid, "store-refused", "The command is too large."};
    } else {
      put_down(std::move(item));
      number = inbox_last_;
      tell_of_arrival();
    }
  }
  answer(std::move(done), std::move(number));
}

bool MemoryStore::is_inbox_full(const InboxItem& item) const {
  const auto waiting = std::count_if(inbox_.begin(), inbox_.end(), [&](const auto& one) {
    const InboxItem& other = one.second;
    return other.saga == item.saga && other.kind != "start" &&
           other.node.empty() == item.node.empty();
  });
  return static_cast<std::size_t>(waiting) >= inbox_of_saga_max;
}

void MemoryStore::put_down(InboxItem item) {
  item.id = ++inbox_last_;
  item.at = now();
  item.bytes = item.data.size();
  inbox_.emplace(item.id, std::move(item));
}

void MemoryStore::put_unjudged(InboxItem item) {
  const std::lock_guard lock(mutex_);
  put_down(std::move(item));
}

void MemoryStore::spoil_start(SagaId saga, const std::string& data) {
  const std::lock_guard lock(mutex_);
  for (auto& [id, item] : inbox_)
    if (item.saga == saga && item.kind == "start") item.data = data;
}

bool MemoryStore::is_set_aside(std::int64_t item) const {
  const auto failures = inbox_failures_.find(item);
  return failures != inbox_failures_.end() && failures->second >= inbox_failures_max;
}

void MemoryStore::failed(InboxFailure failure, std::function<void(Result<bool>)> done) {
  bool set_aside = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = inbox_.find(failure.id);
    if (found != inbox_.end() && !is_set_aside(failure.id)) {
      const InboxItem& item = found->second;
      set_aside = ++inbox_failures_[failure.id] >= inbox_failures_max;
      if (set_aside) {
        audited_.emplace_back(item.saga,
                              AuditEntry{"engine", item.kind + "-set-aside", failure.why, "{}"});
      }
      if (set_aside && !item.node.empty())
        answers_[item.node].push_back({failure.id, failure.error});
    }
  }
  answer<Result<bool>>(std::move(done), set_aside);
}

/// Whether a poll may give the item, wherever its cursor is.
bool MemoryStore::is_waiting(const InboxQuery& query, const InboxItem& item) const {
  return !is_set_aside(item.id) && std::find(query.shards.begin(), query.shards.end(),
                                             item.saga.shard()) != query.shards.end();
}

/// Those of one kind that the cursor has not passed.
InboxPage MemoryStore::page_of(const InboxQuery& query, const InboxRange& range,
                               bool starts) const {
  InboxPage page;
  page.next = range.from;
  if (range.limit == 0) return page;
  const std::int64_t after = range.from.empty() ? 0 : std::stoll(range.from);
  std::size_t bytes = 0;
  for (auto one = inbox_.upper_bound(after); one != inbox_.end() && !page.is_full; ++one) {
    const InboxItem& item = one->second;
    if ((item.kind == "start") != starts || !is_waiting(query, item)) continue;
    page.items.push_back(item);
    if (starts) bytes += item.bytes;
    page.is_full =
        page.items.size() >= std::min(range.limit, limit_max) || bytes >= inbox_page_bytes;
  }
  page.next = std::to_string(page.is_full ? page.items.back().id : inbox_last_);
  return page;
}

/// The start of the saga, and the first of its commands.
std::vector<InboxItem> MemoryStore::lot_of(const InboxQuery& query, SagaId saga) const {
  std::vector<InboxItem> lot;
  for (const auto& [id, item] : inbox_) {
    if (item.saga != saga || !is_waiting(query, item)) continue;
    if (item.kind == "start" || lot.size() < inbox_lot_max) lot.push_back(item);
  }
  return lot;
}

void MemoryStore::poll(InboxQuery query, std::function<void(Result<InboxPoll>)> done) {
  InboxPoll found;
  {
    const std::lock_guard lock(mutex_);
    ++polls_;
    found.starts = page_of(query, query.starts, true);
    found.commands = page_of(query, query.commands, false);
    std::set<SagaId> sagas(query.sagas.begin(), query.sagas.end());
    for (const InboxItem& item : std::exchange(found.commands.items, {})) sagas.insert(item.saga);
    std::map<std::int64_t, InboxItem> lots;
    for (const SagaId& saga : sagas)
      for (const InboxItem& item : lot_of(query, saga)) lots.emplace(item.id, item);
    std::set<SagaId> left_out;
    std::size_t bytes = 0;
    for (const auto& [id, item] : lots) {
      if (bytes >= inbox_page_bytes || (item.kind != "start" && start_waits(item.saga)))
        left_out.insert(item.saga);
      bytes += item.bytes;
      InboxPage& page = item.kind == "start" ? found.starts : found.commands;
      if (item.kind == "start" || !left_out.contains(item.saga)) page.items.push_back(item);
    }
    found.left_out.assign(left_out.begin(), left_out.end());
    for (InboxPage* page : {&found.commands, &found.starts})
      for (InboxItem& item : page->items)
        if (item.bytes > inbox_bytes_max) item.data.clear();
  }
  answer<Result<InboxPoll>>(std::move(done), std::move(found));
}

std::size_t MemoryStore::polls() const {
  const std::lock_guard lock(mutex_);
  return polls_;
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
  const Json data{{"stated", nullptr},
                  {"input", dsl::stored_json(input)},
                  {"businessKey", business_key ? Json(*business_key) : Json()},
                  {"idempotencyKey", idempotency_key ? Json(*idempotency_key) : Json()},
                  {"labels", Json::object()}};
  put_down({0, saga, "start", "", json_text(data), {}, definition, version});
  return saga;
}

void MemoryStore::settle(const InboxSettled& settled) {
  const auto item = inbox_.extract(settled.id);
  inbox_failures_.erase(settled.id);
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

#include "lane.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <backstitch/system/failpoint.hpp>

#include "condition.hpp"
#include "lineage.hpp"

// Lost answers
//
// A statement whose connection broke may have committed, may have been rolled back, or may still be
// running: the server notices a dead client only when it next talks to it. Three steps make this
// certain again, and their order is what makes it sound.
//
//  1. The old server process is ended, and awaited, over a new connection. It is addressed by
//  process id
//     and start time together, both read when it was connected, so that a stranger who got the same
//     process id is left alone. Until it is gone nothing may be concluded, because its commit could
//     come after any look at the log. If the server restarted in between, it is gone already.
//  2. The log is read. What the old process committed is visible now, and nothing can be added to
//  it any
//     more. An item counts as written if its events are there word for word; the last sequence
//     alone could be that of another node which took the shard over and got as far.
//  3. What is not there is written again, under the same fence and the same check of the sequence:
//  if the
//     shard was lost meanwhile this gives `fenced`, if another writer was first, `conflict`.
//
// If the new connection is to another database, see Lineage, none of this can be done: the items
// stay without an outcome.
//
// Items with no events have nothing to be read back; they only set the saga's row, which may be
// done twice.

namespace backstitch::postgres {
namespace {

using engine::Append;
using engine::AppendOutcome;
using engine::AppendResult;
using std::chrono::milliseconds;

constexpr milliseconds backoff_min{50};
constexpr milliseconds backoff_max{1000};
constexpr milliseconds probe_interval{1000};
/// Longer than the journals wait before they try a failed append again.
constexpr milliseconds forgotten_after{3000};
/// Races for a key end after one repetition, when the other's row is visible. More of them means
/// that items block each other; then they are written one by one.
constexpr int tries_together_max = 3;
constexpr int tries_alone_max = 20;
/// Parts of a batch that the database fails at, one after the other, until the rest is not tried.
constexpr int failures_in_row_max = 16;
constexpr std::string_view lock_not_available = "55P03";
constexpr std::string_view serialization_failure = "40001";
/// Not an item's outcome: what append_batch answers of item 0.
constexpr int fence_changed = 7;
const AppendResult abandoned{AppendOutcome::abandoned};

AppendOutcome outcome_of(int stored) {
  switch (stored) {
    case 1:
      return AppendOutcome::duplicate;
    case 2:
      return AppendOutcome::conflict;
    case 3:
      return AppendOutcome::fenced;
    case 4:
      return AppendOutcome::reserved;
    case 5:
      return AppendOutcome::unknown;
    case 6:
      return AppendOutcome::regenerated;
    default:
      break;
  }
  throw InvariantViolation("append_batch answered outcome " + std::to_string(stored));
}

std::uint64_t microseconds_since(std::chrono::steady_clock::time_point begin) {
  const auto time = std::chrono::steady_clock::now() - begin;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

bool brings_key(const Append& item) {
  return item.start && !item.start->keys.empty();
}

/// Ends the server process and returns once it can do nothing more.
/// @return false if it is still there
bool end_backend(Session& session, const Backend& old) {
  const pqxx::result left = session.run_prepared(
      "end_backend",
      "select pg_terminate_backend(pid, 1000) from pg_stat_activity where pid = $1::int"
      " and (extract(epoch from backend_start) * 1000000)::bigint = $2::bigint",
      old.pid, old.started_at);
  return left.empty();
}

}  // namespace

SessionOptions Lane::session_options(std::string url, std::string application_name,
                                     std::string lane) {
  // The statement's plan is known: walk the arrays, look each row up by its key. Left to itself,
  // the planner would plan each batch anew, or keep a plan made when the tables were still empty.
  return {std::move(url),
          std::move(application_name),
          std::move(lane),
          {{"plan_cache_mode", "force_generic_plan"},
           {"enable_seqscan", "off"},
           {"enable_bitmapscan", "off"},
           {"enable_hashjoin", "off"},
           {"enable_mergejoin", "off"},
           {"jit", "off"},
           {"lock_timeout", "1s"}}};
}

Lane::Lane(SessionOptions options, std::unique_ptr<Session> first, Membership& membership,
           LaneGate& gate, FailureLog& log, Health& health, Meters& meters)
    : options_(std::move(options)),
      membership_(membership),
      gate_(gate),
      log_(log),
      health_(health),
      meters_(meters),
      session_(std::move(first)) {
  thread_ = std::thread([this] { run(); });
}

Lane::~Lane() {
  stop();
}

void Lane::append(Batch batch, Callback done) {
  std::unique_lock lock(mutex_);
  if (stopped_) {
    lock.unlock();
    return done(Results(batch.size(), abandoned));
  }
  queue_.push_back({std::move(batch), std::move(done)});
  // Not under the lock, which the woken thread would only run into.
  lock.unlock();
  wake_.notify_all();
}

void Lane::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Lane::run() {
  while (std::optional<Work> work = next()) {
    batch_era_ = options_.lineage ? options_.lineage->era() : 0;
    Results results = stopped() ? Results(work->batch.size(), abandoned) : write(work->batch);
    work->done(std::move(results));
  }
  session_.reset();
}

/// Waits for work; meanwhile looks once a second whether a lost database is back. Where nothing has
/// been tried for a while since an append failed, nothing is known to be wrong.
std::optional<Lane::Work> Lane::next() {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return stopped_ || !queue_.empty(); };
  while (!ready()) {
    if (session_ && health_.is_up()) {
      wake_.wait(lock, ready);
    } else if (session_) {
      if (!wake_.wait_for(lock, forgotten_after, ready)) health_.set_up();
    } else if (!wake_.wait_for(lock, probe_interval, ready)) {
      lock.unlock();
      connect();
      lock.lock();
    }
  }
  if (queue_.empty()) return std::nullopt;
  Work work = std::move(queue_.front());
  queue_.pop_front();
  return work;
}

/// Cuts the batch into rounds in which no saga and no start key occurs twice: items of one
/// statement do not see each other.
Lane::Results Lane::write(Batch& batch) {
  Results results(batch.size(), abandoned);
  Round left;
  for (std::size_t i = 0; i < batch.size(); ++i) left.push_back({&batch[i], &results[i]});
  while (!left.empty()) {
    Round round;
    Round later;
    std::unordered_set<SagaId> sagas(left.size());
    std::unordered_set<std::string> keys;
    for (const Pending& pending : left) {
      bool alone = sagas.insert(pending.item->saga).second;
      if (pending.item->start) {
        for (const engine::StartKey& key : pending.item->start->keys) {
          alone &= keys.insert(key.scope + '\n' + key.key).second;
        }
      }
      (alone ? round : later).push_back(pending);
    }
    if (!write_parts(std::move(round))) break;
    left = std::move(later);
  }
  return results;
}

/// What the database fails at is cut in halves, so that one item does not spoil the others. Which
/// is at fault, the items or the database, is not for the lane to say: see Journal.
bool Lane::write_parts(Round round) {
  std::deque<Round> parts;
  parts.push_back(std::move(round));
  bool is_any_answered = false;
  int failures = 0;
  for (; !parts.empty(); parts.pop_front()) {
    Round& part = parts.front();
    // The database fails at everything, it seems.
    const bool is_vain = !is_any_answered && failures >= failures_in_row_max;
    const Written written = is_vain ? Written::failed : write_round(part);
    if (written == Written::abandoned) return false;
    is_any_answered |= written == Written::answered;
    if (written == Written::answered) continue;
    ++failures;
    if (is_vain || part.size() == 1) {
      // What has not been tried is at no fault.
      fail(part, is_vain ? FailureKind::environment : failing_.kind);
      continue;
    }
    const auto middle = part.begin() + static_cast<std::ptrdiff_t>(part.size() / 2);
    Round first(part.begin(), middle);
    Round second(middle, part.end());
    parts.push_back(std::move(first));
    parts.push_back(std::move(second));
  }
  if (failures > 0 && !is_any_answered) health_.set_down(unreachable_reason(failing_));
  return true;
}

void Lane::fail(Round& round, FailureKind kind) {
  for (Pending& pending : round) {
    pending.result->outcome = AppendOutcome::failed;
    pending.result->by_content = kind == FailureKind::content;
    pending.result->unwritten = std::make_shared<Append>(std::move(*pending.item));
  }
}

Lane::Written Lane::write_round(Round& round) {
  bool is_blocked = false;
  bool is_fence_old = false;
  for (int tries = 1; !round.empty(); ++tries) {
    if (!ensure_session_of_batch()) return Written::abandoned;
    try {
      if (std::exchange(is_blocked, false)) answer_blocked(round);
      if (std::exchange(is_fence_old, false) && !read_fence(round) && !back_off())
        return Written::abandoned;
      if (round.empty() || send(round)) return Written::answered;
      is_fence_old = true;
    } catch (const InvariantViolation&) {
      throw;
    } catch (...) {
      const Failure failure = note_failure();
      const bool single = round.size() == 1;
      switch (failure.kind) {
        case FailureKind::lost:
          health_.set_down(unreachable_reason(failure));
          if (!read_back(round)) return Written::abandoned;
          break;
        case FailureKind::elsewhere:
          // Rolled back, so nothing to resolve.
          session_.reset();
          health_.set_down(unreachable_reason(failure));
          if (!back_off()) return Written::abandoned;
          break;
        case FailureKind::content:
        case FailureKind::environment:
          failing_ = failure;
          return Written::failed;
        case FailureKind::retry:
          is_fence_old = failure.sqlstate == serialization_failure;
          if (is_fence_old) break;
          is_blocked = failure.sqlstate == lock_not_available &&
                       std::any_of(round.begin(), round.end(), [](const Pending& pending) {
                         return brings_key(*pending.item);
                       });
          if (is_blocked) break;
          if (!single && tries >= tries_together_max) return write_each(round);
          if (single && tries >= tries_alone_max && failure.sqlstate == "23505") {
            failing_ = failure;
            failing_.kind = FailureKind::content;
            return Written::failed;
          }
          if (tries > 1 && !back_off()) return Written::abandoned;
          break;
      }
    }
  }
  return Written::answered;
}

/// They block each other.
Lane::Written Lane::write_each(const Round& round) {
  for (const Pending& pending : round) {
    Round alone{pending};
    switch (write_round(alone)) {
      case Written::answered:
        break;
      case Written::failed:
        fail(alone, failing_.kind);
        break;
      case Written::abandoned:
        return Written::abandoned;
    }
  }
  return Written::answered;
}

/// The transactions that hold these keys have not ended; the other starts go on without them.
void Lane::answer_blocked(Round& round) {
  std::vector<std::string> scopes;
  std::vector<std::string> keys;
  std::vector<std::string> reuses;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < round.size(); ++i) {
    if (!round[i].item->start) continue;
    for (const engine::StartKey& key : round[i].item->start->keys) {
      scopes.push_back(key.scope);
      keys.push_back(key.key);
      reuses.emplace_back(key.reuses_failed ? "t" : "f");
      owners.push_back(i);
    }
  }
  const pqxx::result held = session_->run_prepared(
      "blocked_keys", "select backstitch.blocked_keys($1::text[], $2::text[], $3::boolean[])",
      array_literal(scopes), array_literal(keys), array_literal(reuses));
  for (const auto& row : held) {
    Pending& pending = round.at(owners.at(row[0].as<std::size_t>() - 1));
    pending.result->outcome = AppendOutcome::blocked;
    pending.item = nullptr;
  }
  std::erase_if(round, [](const Pending& pending) { return pending.item == nullptr; });
}

bool Lane::send(const Round& round) {
  std::vector<const Append*> items;
  items.reserve(round.size());
  for (const Pending& pending : round) items.push_back(pending.item);
  gate_.pass();
  const Fence fence = membership_.fence();
  // What was decided under another lineage is not written, though its shards and epochs may be the
  // same: the lease has to be renewed first.
  if (fence.era != session_->era()) {
    for (const Pending& pending : round) pending.result->outcome = AppendOutcome::fenced;
    return true;
  }
  statement_.fill(fence, items);
  system::failpoint("append-not-sent");
  const auto sent_at = std::chrono::steady_clock::now();
  const pqxx::result failed =
      session_->run_binary(AppendStatement::name, AppendStatement::sql(), statement_.parameters());
  system::failpoint("append-committed");
  meters_.append_us.observe(microseconds_since(sent_at));
  meters_.append_batch.observe(items.size());
  health_.set_up();
  backoff_ = milliseconds{0};
  if (!failed.empty() && failed[0][1].as<int>() == fence_changed) return false;

  for (const Pending& pending : round) pending.result->outcome = AppendOutcome::written;
  for (const auto& row : failed) {
    AppendResult& result = *round.at(row[0].as<std::size_t>() - 1).result;
    result.outcome = outcome_of(row[1].as<int>());
    if (result.outcome == AppendOutcome::duplicate) {
      result.existing = SagaId::parse(row[2].c_str()).value();
      result.same_input = row[3].as<bool>();
      result.by_business_key = row[4].as<bool>();
      result.removed = row[6].as<bool>();
    }
    if (result.outcome == AppendOutcome::regenerated) result.generation = row[5].as<std::int64_t>();
  }
  note_newest(round);
  return true;
}

void Lane::note_newest(const Round& round) {
  if (!options_.lineage) return;
  const auto newest = std::find_if(round.rbegin(), round.rend(), [](const Pending& pending) {
    return pending.result->outcome == AppendOutcome::written && !pending.item->events.empty();
  });
  if (newest == round.rend()) return;
  options_.lineage->note_append(session_->era(), options_.lane, newest->item->saga,
                                newest->item->events.back().sequence);
}

/// Shards were taken from this node, or given up: what the rest of `round` is worth, the same
/// statement says under the new generation. If another process has taken the name over, nothing of
/// it is this node's.
/// @return whether the generation is another one now
bool Lane::read_fence(Round& round) {
  const Fence known = membership_.fence();
  const pqxx::result found = session_->run_prepared(
      "read_fence",
      "select generation from backstitch.fence where node = $1::text and incarnation = $2::uuid",
      known.node.name, known.node.incarnation);
  if (found.empty()) {
    for (const Pending& pending : round) pending.result->outcome = AppendOutcome::fenced;
    round.clear();
    return true;
  }
  membership_.learn(known.node, found[0][0].as<std::int64_t>(), session_->era());
  return membership_.fence().generation != statement_.generation();
}

/// See "Lost answers" above. Leaves in `round` what has to be written again.
bool Lane::read_back(Round& round) {
  const Backend old = session_->backend();
  session_.reset();
  meters_.read_backs.fetch_add(1, std::memory_order_relaxed);
  for (;;) {
    if (!ensure_session_of_batch()) return false;
    try {
      if (!end_backend(*session_, old)) {
        if (!back_off()) return false;
        continue;
      }
      const pqxx::result found =
          session_->run_binary(AppendStatement::read_back_name, AppendStatement::read_back_sql(),
                               statement_.event_arrays());
      for (const auto& row : found) {
        Pending& pending = round.at(row[0].as<std::size_t>() - 1);
        pending.result->outcome = AppendOutcome::written;
        pending.item = nullptr;
      }
      std::erase_if(round, [](const Pending& pending) { return pending.item == nullptr; });
      return true;
    } catch (...) {
      health_.set_down(unreachable_reason(note_failure()));
      // Nothing was written on this connection, so it may simply be dropped and the steps repeated.
      session_.reset();
      if (!back_off()) return false;
    }
  }
}

/// Call inside `catch (...)`, while the session that failed is still there.
Failure Lane::note_failure() {
  Failure failure = current_failure(session_ && session_->is_open());
  log_.note(options_.lane, session_ ? session_->statement() : "connect", failure);
  return failure;
}

bool Lane::connect() {
  try {
    session_ = std::make_unique<Session>(options_);
    meters_.reconnects.fetch_add(1, std::memory_order_relaxed);
    health_.set_up();
    return true;
  } catch (const std::exception&) {
    health_.set_down(unreachable_reason(note_failure()));
    return false;
  }
}

bool Lane::ensure_session() {
  if (session_ && !session_->is_current()) session_.reset();
  while (!session_ && !connect()) {
    if (!back_off()) return false;
  }
  return !stopped();
}

/// @return false if no statement may be sent for the batch any more
bool Lane::ensure_session_of_batch() {
  return ensure_session() && session_->era() == batch_era_;
}

/// @return false if the lane was stopped
bool Lane::back_off() {
  backoff_ = std::clamp(backoff_ * 2, backoff_min, backoff_max);
  return wait(backoff_);
}

bool Lane::wait(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [&] { return stopped_; });
}

bool Lane::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

}  // namespace backstitch::postgres

#include "lane.hpp"

#include <algorithm>
#include <unordered_set>

#include <backstitch/system/failpoint.hpp>

#include "failure.hpp"

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
/// Races for a key end after one repetition, when the other's row is visible. More of them means
/// that items block each other; then they are written one by one.
constexpr int tries_together_max = 3;
constexpr int tries_alone_max = 20;
constexpr int tries_for_key_max = 2;
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
    default:
      break;
  }
  throw InvariantViolation("append_batch answered outcome " + std::to_string(stored));
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

SessionOptions Lane::session_options(std::string url, std::string application_name) {
  // The statement's plan is known: walk the arrays, look each row up by its key. Left to itself,
  // the planner would plan each batch anew, or keep a plan made when the tables were still empty.
  return {std::move(url),
          std::move(application_name),
          {{"plan_cache_mode", "force_generic_plan"},
           {"enable_seqscan", "off"},
           {"enable_bitmapscan", "off"},
           {"enable_hashjoin", "off"},
           {"enable_mergejoin", "off"},
           {"jit", "off"},
           {"statement_timeout", "30s"},
           {"lock_timeout", "1s"},
           {"idle_in_transaction_session_timeout", "30s"}}};
}

Lane::Lane(SessionOptions options, std::unique_ptr<Session> first, const NodeName& node,
           Health& health)
    : options_(std::move(options)), node_(node), health_(health), session_(std::move(first)) {
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
    Results results = stopped() ? Results(work->batch.size(), abandoned) : write(work->batch);
    work->done(std::move(results));
  }
  session_.reset();
}

/// Waits for work; meanwhile looks once a second whether a lost database is back.
std::optional<Lane::Work> Lane::next() {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return stopped_ || !queue_.empty(); };
  while (!ready()) {
    if (session_) {
      wake_.wait(lock, ready);
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
Lane::Results Lane::write(const Batch& batch) {
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
    if (!write_round(std::move(round))) break;
    left = std::move(later);
  }
  return results;
}

bool Lane::write_round(Round round) {
  for (int tries = 1; !round.empty(); ++tries) {
    if (!ensure_session()) return false;
    try {
      send(round);
      return true;
    } catch (const InvariantViolation&) {
      throw;
    } catch (...) {
      const Failure failure = current_failure(session_->is_open());
      const bool single = round.size() == 1;
      switch (failure.kind) {
        case FailureKind::lost:
          if (!read_back(round)) return false;
          break;
        case FailureKind::environment:
          // Rolled back, so nothing to resolve; another connection may lead to a server that can.
          session_.reset();
          health_.set(false);
          if (!back_off()) return false;
          break;
        case FailureKind::content:
          if (!single) return write_each(round);
          round.front().result->outcome = AppendOutcome::refused;
          return true;
        case FailureKind::retry:
          if (!single && tries >= tries_together_max) return write_each(round);
          // Somebody's open transaction holds the key of this start.
          if (single && tries >= tries_for_key_max && round.front().item->start &&
              failure.sqlstate == "55P03") {
            round.front().result->outcome = AppendOutcome::reserved;
            return true;
          }
          if (single && tries >= tries_alone_max && failure.sqlstate == "23505") {
            round.front().result->outcome = AppendOutcome::refused;
            return true;
          }
          if (tries > 1 && !back_off()) return false;
          break;
      }
    }
  }
  return true;
}

/// One item spoils the statement for the others; find it.
bool Lane::write_each(const Round& round) {
  return std::all_of(round.begin(), round.end(),
                     [&](const Pending& pending) { return write_round({pending}); });
}

void Lane::send(const Round& round) {
  std::vector<const Append*> items;
  items.reserve(round.size());
  for (const Pending& pending : round) items.push_back(pending.item);
  statement_.fill(node_.get(), items);

  std::vector<std::string_view> parameters = statement_.arrays();
  parameters.insert(parameters.begin(), statement_.node());
  system::failpoint("append-not-sent");
  const pqxx::result failed =
      session_->run_binary(AppendStatement::name, AppendStatement::sql(), parameters);
  system::failpoint("append-committed");
  health_.set(true);
  backoff_ = milliseconds{0};

  for (const Pending& pending : round) pending.result->outcome = AppendOutcome::written;
  for (const auto& row : failed) {
    AppendResult& result = *round.at(row[0].as<std::size_t>() - 1).result;
    result.outcome = outcome_of(row[1].as<int>());
    if (result.outcome == AppendOutcome::duplicate) {
      result.existing = SagaId::parse(row[2].c_str()).value();
      result.same_input = row[3].as<bool>();
      result.by_business_key = row[4].as<bool>();
    }
  }
}

/// See "Lost answers" above. Leaves in `round` what has to be written again.
bool Lane::read_back(Round& round) {
  const Backend old = session_->backend();
  session_.reset();
  health_.set(false);
  for (;;) {
    if (!ensure_session()) return false;
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
      // Nothing was written on this connection, so it may simply be dropped and the steps repeated.
      session_.reset();
      if (!back_off()) return false;
    }
  }
}

bool Lane::connect() {
  try {
    session_ = std::make_unique<Session>(options_);
    health_.set(true);
    return true;
  } catch (const std::exception&) {
    health_.set(false);
    return false;
  }
}

bool Lane::ensure_session() {
  while (!session_ && !connect()) {
    if (!back_off()) return false;
  }
  return !stopped();
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

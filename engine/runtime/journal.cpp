#include "journal.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <string>
#include <utility>

#include <backstitch/base/invariant.hpp>

namespace backstitch::engine {
namespace {

/// While the store fails at everything it is asked once in so long a time.
constexpr Duration back_off_min{50};
constexpr Duration back_off_max{1'000};
/// How often an append has to fail alone before it is answered although nothing is known of it.
constexpr std::uint32_t tries_alone_min = 3;
/// Of what the store has lacked something for while it wrote others: the first wait, doubled each
/// time, and how often. Eight seconds in all, in which a disk may have space again.
constexpr Duration apart_wait{250};
constexpr std::uint32_t tries_apart_max = 5;
/// From one saga that is tried by another append to the next.
constexpr Duration sacrifice_wait_min{5'000};
constexpr Duration sacrifice_wait_max{300'000};

/// Moves the first `count` elements out.
template <class T>
std::vector<T> take_front(std::vector<T>& from, std::size_t count) {
  if (count >= from.size()) return std::exchange(from, {});
  const auto end = from.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<T> taken(std::make_move_iterator(from.begin()), std::make_move_iterator(end));
  from.erase(from.begin(), end);
  return taken;
}

}  // namespace

void Journal::append(Append append, AppendDone done, Tries tries) {
  Shared& shared = *shared_;
  const bool first = tries == Tries::once;
  shared.queue.insert(first ? shared.queue.begin() : shared.queue.end(), std::move(append));
  shared.waiting.insert(first ? shared.waiting.begin() : shared.waiting.end(),
                        Waiting{std::move(done), tries});
  shared.count_unanswered();
  send_soon(shared_);
}

/// Not at once: what the reactor has already been told in this round joins the batch.
void Journal::send_soon(const SharedPtr& shared) {
  if (shared->in_flight > 0 || shared->posted || shared->backing_off) return;
  shared->posted = true;
  shared->executor.post([shared] {
    shared->posted = false;
    if (!shared->closed && shared->in_flight == 0 && !shared->backing_off && !shared->queue.empty())
      send(shared);
  });
}

void Journal::send(const SharedPtr& shared) {
  const std::size_t most = shared->back_off.count() == 0 ? shared->batch_max : 1;
  auto batch = take_front(shared->queue, most);
  auto waiting = std::make_shared<std::vector<Waiting>>(take_front(shared->waiting, most));
  shared->in_flight = batch.size();
  shared->store.append(
      shared->lane, std::move(batch), [shared, waiting](std::vector<AppendResult> results) {
        shared->executor.post([shared, waiting, results = std::move(results)]() mutable {
          answered(shared, waiting, std::move(results));
        });
      });
}

void Journal::answered(const SharedPtr& shared, const Answered& waiting,
                       std::vector<AppendResult> results) {
  BACKSTITCH_INVARIANT(results.size() == waiting->size(),
                       "the store answers every append of a batch");
  shared->in_flight = 0;
  shared->count_unanswered();
  if (shared->closed) return;
  ++shared->commits;
  for (const auto& result : results)
    shared->appends += result.outcome == AppendOutcome::written ? 1 : 0;
  judge(shared, *waiting, results);
  shared->count_unanswered();
  // The next batch goes on its way before this one's effects take the time of the reactor.
  send_next(shared);
  answer(shared, waiting, results, 0);
}

void Journal::send_next(const SharedPtr& shared) {
  if (shared->queue.empty()) return;
  if (shared->back_off.count() == 0) return send(shared);
  shared->backing_off = true;
  shared->executor.call_after(shared->back_off, [shared] {
    shared->backing_off = false;
    if (shared->closed || shared->in_flight > 0 || shared->queue.empty()) return;
    sacrifice(shared);
    if (!shared->queue.empty()) send(shared);
  });
}

/// Takes out of `results` what is tried again: those whose `done` is empty then.
void Journal::judge(const SharedPtr& shared, std::vector<Waiting>& waiting,
                    std::vector<AppendResult>& results) {
  bool has_written = false;
  bool has_proof = false;
  std::size_t failed = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool written = results[i].outcome == AppendOutcome::written;
    has_written |= written;
    has_proof |= written && waiting[i].tries == Tries::until_judged;
    failed += results[i].outcome == AppendOutcome::failed ? 1 : 0;
  }
  const std::uint64_t proofs_before =
      std::exchange(shared->proofs, shared->proofs + (has_proof ? 1 : 0));
  if (has_written) shared->sacrifice_wait = Duration{0};
  if (has_written || failed == 0)
    shared->back_off = Duration{0};
  else
    shared->back_off = std::clamp(shared->back_off * 2, back_off_min, back_off_max);
  if (failed == 0) return;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].outcome != AppendOutcome::failed) continue;
    const Next next = after_failure(waiting[i], results[i], proofs_before, results.size() == 1);
    if (next == Next::answer) continue;
    if (!waiting[i].failed_at) waiting[i].failed_at = shared->proofs;
    Append append = std::move(*results[i].unwritten);
    Waiting again = std::exchange(waiting[i], {});
    if (next == Next::try_apart) {
      try_apart(shared, std::move(append), std::move(again));
      continue;
    }
    shared->queue.push_back(std::move(append));
    shared->waiting.push_back(std::move(again));
  }
}

/// What becomes of an append that failed. If it is answered, `result` says what it is. An append is
/// what is at fault if it has failed before something was written, and after that.
Journal::Next Journal::after_failure(Waiting& waiting, AppendResult& result, std::uint64_t proofs,
                                     bool alone) {
  if (waiting.tries == Tries::once) return Next::answer;
  // Its caller waits, and can send it again. One from the inbox waits there as well as here.
  const bool has_caller = result.unwritten->start && !result.unwritten->inbox;
  waiting.by_content = result.by_content;
  if (waiting.failed_at && *waiting.failed_at < proofs) {
    if (result.by_content) {
      result.outcome = AppendOutcome::refused;
      return Next::answer;
    }
    return has_caller || ++waiting.tries_apart > tries_apart_max ? Next::answer : Next::try_apart;
  }
  if (alone) ++waiting.failed_alone;
  return has_caller && waiting.failed_alone >= tries_alone_min ? Next::answer : Next::try_again;
}

void Journal::try_apart(const SharedPtr& shared, Append append, Waiting waiting) {
  const std::uint64_t number = ++shared->put_apart;
  const Duration wait = apart_wait * (1 << (waiting.tries_apart - 1));
  shared->apart.emplace(number, std::pair(std::move(append), std::move(waiting)));
  shared->executor.call_after(wait, [shared, number] {
    auto one = shared->apart.extract(number);
    if (one.empty() || shared->closed) return;
    shared->queue.push_back(std::move(one.mapped().first));
    shared->waiting.push_back(std::move(one.mapped().second));
    send_soon(shared);
  });
}

void Journal::sacrifice(const SharedPtr& shared) {
  const SteadyTime now = shared->executor.now();
  if (shared->sacrifice_wait.count() > 0 && now < shared->sacrifice_at) return;
  const auto& waiting = shared->waiting;
  const bool has_all_failed = std::all_of(waiting.begin(), waiting.end(),
                                          [](const Waiting& one) { return one.failed_alone > 0; });
  if (!has_all_failed) return;
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    const Append& append = shared->queue[i];
    if (waiting[i].failed_alone < tries_alone_min || !waiting[i].by_content || append.start ||
        append.inbox)
      continue;
    shared->sacrifice_wait =
        std::clamp(shared->sacrifice_wait * 2, sacrifice_wait_min, sacrifice_wait_max);
    shared->sacrifice_at = now + shared->sacrifice_wait;
    const AppendDone done = waiting[i].done;
    shared->queue.erase(shared->queue.begin() + static_cast<std::ptrdiff_t>(i));
    shared->waiting.erase(shared->waiting.begin() + static_cast<std::ptrdiff_t>(i));
    return done({.outcome = AppendOutcome::failed, .by_content = true});
  }
}

/// Each may be followed by a decision that takes its time: others get their turn between them.
void Journal::answer(const SharedPtr& shared, const Answered& waiting,
                     const std::vector<AppendResult>& results, std::size_t from) {
  const SteadyTime began = shared->executor.now();
  for (std::size_t i = from; i < results.size() && !shared->closed; ++i) {
    if (!(*waiting)[i].done) continue;
    (*waiting)[i].done(results[i]);
    if (shared->executor.now() - began < turn_max) continue;
    shared->executor.post(
        [shared, waiting, results, i] { answer(shared, waiting, results, i + 1); });
    return;
  }
}

namespace {

/// Of starts with keys that go together. If some are blocked the others wait a millisecond for each
/// of them, so a batch is small enough to be over soon.
constexpr std::size_t batch_with_keys_max = 200;

/// Starts that meet in a key should meet in a lane: business keys are shared more often.
std::size_t lane_hash(const std::vector<StartKey>& keys) {
  return std::hash<std::string>{}(keys.back().key);
}

}  // namespace

Journals::Journals(Store& store, std::size_t reactor, Lanes lanes, Executor& executor,
                   std::size_t batch_max, BlockedKeys& blocked)
    : blocked_(blocked),
      reactor_(reactor),
      lanes_(lanes),
      own_(store, lanes.of_reactor(reactor), executor, batch_max),
      with_keys_{Journal{store, lanes.of_key(0), executor, batch_with_keys_max},
                 Journal{store, lanes.of_key(1), executor, batch_with_keys_max}},
      with_blocked_keys_(store, lanes.of_blocked_keys(), executor, batch_with_keys_max) {
  static_assert(Lanes::for_keys == 2);
}

void Journals::append(Append append, Journal::AppendDone done, Journal::Tries tries) {
  if (append.start && !append.start->keys.empty())
    append_with_keys(std::move(append), std::move(done));
  else
    own_.append(std::move(append), std::move(done), tries);
}

void Journals::append_with_keys(Append append, Journal::AppendDone done) {
  const std::vector<StartKey> keys = append.start->keys;
  const bool was_blocked = blocked_.contains(keys);
  Journal& journal =
      was_blocked ? with_blocked_keys_ : with_keys_[lane_hash(keys) % with_keys_.size()];
  journal.append(std::move(append), [&blocked = blocked_, keys, was_blocked,
                                     done = std::move(done)](const AppendResult& result) {
    if (result.outcome == AppendOutcome::blocked)
      blocked.add(keys);
    else if (was_blocked)
      blocked.remove(keys);
    done(result);
  });
}

void Journals::abandon() {
  own_.abandon();
  for (Journal& journal : with_keys_) journal.abandon();
  with_blocked_keys_.abandon();
}

std::size_t Journals::waiting() const {
  std::size_t all = own_.waiting() + with_blocked_keys_.waiting();
  for (const Journal& journal : with_keys_) all += journal.waiting();
  return all;
}

void Journals::add_unanswered(std::vector<std::uint64_t>& by_lane) const {
  by_lane.at(lanes_.of_reactor(reactor_)) += own_.unanswered();
  for (std::size_t i = 0; i < with_keys_.size(); ++i)
    by_lane.at(lanes_.of_key(i)) += with_keys_[i].unanswered();
  by_lane.at(lanes_.of_blocked_keys()) += with_blocked_keys_.unanswered();
}

std::uint64_t Journals::appends() const {
  std::uint64_t all = own_.appends() + with_blocked_keys_.appends();
  for (const Journal& journal : with_keys_) all += journal.appends();
  return all;
}

std::uint64_t Journals::commits() const {
  std::uint64_t all = own_.commits() + with_blocked_keys_.commits();
  for (const Journal& journal : with_keys_) all += journal.commits();
  return all;
}

}  // namespace backstitch::engine

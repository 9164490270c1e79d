#include "call_queue.hpp"

#include <algorithm>
#include <utility>

namespace backstitch::engine {
namespace {

constexpr std::uint32_t in_flight_default = 512;
constexpr std::uint32_t in_flight_floor = 4;
constexpr std::uint32_t in_flight_first = 16;
constexpr std::uint32_t queue_default = 10'000;
/// How often the fastest answer may be forgotten, as services change.
constexpr Duration window{60'000};

std::size_t index_of(CallQueue::Lane lane) {
  return static_cast<std::size_t>(lane);
}

}  // namespace

struct CallQueue::Waiting {
  Lane lane;
  Executor* executor;
  OnTurn on_turn;
  bool queued = true;
  bool told_held = false;
  std::optional<SteadyTime> held_until{};
  std::list<Ticket>::iterator place{};
};

bool RateOfTelling::tells(SteadyTime now, Duration every) {
  const std::int64_t now_ms = std::chrono::duration_cast<Duration>(now.time_since_epoch()).count();
  std::int64_t again = again_ms_.load(std::memory_order_relaxed);
  // Of several threads at this place one tells.
  return now_ms >= again && again_ms_.compare_exchange_strong(again, now_ms + every.count());
}

std::uint32_t FailureStreak::on_failure(SteadyTime now) {
  const std::uint32_t failures = failures_.fetch_add(1, std::memory_order_relaxed) + 1;
  return failures >= failures_min && telling_.tells(now, told_every) ? failures : 0;
}

void RefusalGate::on_refused(SteadyTime now) {
  // The next try is a while after the refusal that closes it.
  if (refusals_.fetch_add(1, std::memory_order_relaxed) + 1 == refusals_min)
    trying_.tells(now, tried_every);
}

void CallQueue::set_limits(const dsl::ServiceLimits& limits) {
  const std::uint32_t most = limits.in_flight_max.value_or(in_flight_default);
  const std::uint32_t queue_max = limits.queue_max.value_or(queue_default);
  if (queue_max_.load(std::memory_order_relaxed) != queue_max) queue_max_.store(queue_max);
  if (in_flight_max_.load(std::memory_order_relaxed) == most) return;
  {
    const std::lock_guard lock(mutex_);
    in_flight_max_.store(most);
    limit_.store(std::min(limit_.load() == 0 ? in_flight_first : limit_.load(), most));
  }
  pump();
}

std::uint32_t CallQueue::slots_of(Lane lane) const {
  const std::uint32_t limit = limit_.load(std::memory_order_relaxed);
  if (lane == Lane::ending) return limit;
  return std::max(1U, limit - std::min(limit, std::max(1U, limit / 4)));
}

bool CallQueue::take(Lane lane) {
  const std::uint32_t slots = slots_of(lane);
  std::uint32_t taken = in_flight_.load();
  while (taken < slots) {
    if (in_flight_.compare_exchange_weak(taken, taken + 1)) return true;
  }
  return false;
}

/// Takes a slot, while calls are held to try only.
bool CallQueue::enter(Lane lane, SteadyTime now) {
  if (!take(lane)) return false;
  if (!holds() || gate_.may_try(now)) return true;
  --in_flight_;
  return false;
}

bool CallQueue::try_take(Lane lane, SteadyTime now) {
  const auto& before = lane == Lane::ending ? ending_waiting_ : waiting_;
  return before.load() == 0 && enter(lane, now);
}

CallQueue::Ticket CallQueue::wait(Lane lane, Executor& executor, OnTurn on_turn) {
  Ticket ticket;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.load() >= queue_max_.load(std::memory_order_relaxed)) return nullptr;
    ticket = std::make_shared<Waiting>(Waiting{lane, &executor, std::move(on_turn)});
    auto& calls = lanes_[index_of(lane)];
    ticket->place = calls.insert(calls.end(), ticket);
    // Counted before the slots are looked at again: whoever returns one meanwhile sees the count.
    ++waiting_;
    if (lane == Lane::ending) ++ending_waiting_;
  }
  pump();
  return ticket;
}

void CallQueue::hold_until(const Ticket& ticket, SteadyTime time) {
  {
    const std::lock_guard lock(mutex_);
    ticket->held_until = time;
  }
  if (ticket->executor->now() >= time) pump();
}

bool CallQueue::begin_watch() {
  return holds() && waiting() != 0 && !watched_.exchange(true);
}

bool CallQueue::turn_held() {
  watched_.store(false);
  pump();
  return begin_watch();
}

bool CallQueue::withdraw(const Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  if (!ticket->queued) return false;
  unlist(*ticket);
  return true;
}

/// @pre the mutex is held
void CallQueue::unlist(Waiting& call) {
  call.queued = false;
  lanes_[index_of(call.lane)].erase(call.place);
  --waiting_;
  if (call.lane == Lane::ending) --ending_waiting_;
}

void CallQueue::release() {
  --in_flight_;
  if (waiting_.load() != 0) pump();
}

void CallQueue::abandon() {
  const std::lock_guard lock(mutex_);
  for (auto& calls : lanes_) {
    for (const auto& ticket : calls) ticket->queued = false;
    calls.clear();
  }
  waiting_.store(0);
  ending_waiting_.store(0);
}

/// Gives free slots to those that wait, the ending lane first.
void CallQueue::pump() {
  Turns turns;
  {
    const std::lock_guard lock(mutex_);
    for (const Lane lane : {Lane::ending, Lane::ordinary}) {
      auto& calls = lanes_[index_of(lane)];
      while (!calls.empty() && enter(lane, calls.front()->executor->now())) {
        turns.emplace_back(calls.front(), Turn::slot);
        unlist(*turns.back().first);
      }
      if (holds()) look_at_held(calls, turns);
    }
  }
  for (const auto& [ticket, turn] : turns) {
    ticket->executor->post([ticket = ticket, turn = turn] { ticket->on_turn(turn); });
  }
}

/// Those that are held are told, and go once they have waited for long enough.
/// @pre the mutex is held
void CallQueue::look_at_held(const std::list<Ticket>& calls, Turns& turns) {
  for (auto next = calls.begin(); next != calls.end();) {
    const Ticket& ticket = *next++;
    if (!std::exchange(ticket->told_held, true)) turns.emplace_back(ticket, Turn::held);
    const bool is_over = ticket->held_until && ticket->executor->now() >= *ticket->held_until;
    if (!is_over || !take(ticket->lane)) continue;
    turns.emplace_back(ticket, Turn::slot);
    unlist(*turns.back().first);
  }
}

void CallQueue::on_answer(Duration latency, Duration attempt_timeout, SteadyTime now) {
  if (latency.count() < fastest_ms_.load(std::memory_order_relaxed))
    fastest_ms_.store(latency.count(), std::memory_order_relaxed);
  const std::uint32_t limit = limit_.load(std::memory_order_relaxed);
  if (limit >= in_flight_max_.load(std::memory_order_relaxed)) return;
  // A limit that is far away need not move.
  if (2 * in_flight_.load(std::memory_order_relaxed) < limit) return;
  grow(latency, attempt_timeout, now);
}

void CallQueue::grow(Duration latency, Duration attempt_timeout, SteadyTime now) {
  bool grew = false;
  {
    const std::lock_guard lock(mutex_);
    const bool window_over = now - window_began_ > window;
    if (window_over) window_began_ = now;
    // Forgotten only without a queue: behind one there are no fast answers any more.
    if (window_over && waiting_.load() == 0) fastest_ms_.store(latency.count());
    const bool queueing = latency - Duration{fastest_ms_.load()} > attempt_timeout / 4;
    const std::uint32_t limit = limit_.load();
    if (!queueing) ++answers_;
    std::uint32_t more = 0;
    if (!queueing && (probing_ || answers_ >= limit)) more = 1;
    // A service that has become slower by nature must not be held back for ever.
    if (queueing && window_over) more = std::max(1U, limit / 16);
    if (more > 0) {
      limit_.store(std::min(limit + more, in_flight_max_.load()));
      answers_ = 0;
      grew = true;
    }
  }
  if (grew && waiting_.load() != 0) pump();
}

void CallQueue::on_timeout(Duration attempt_timeout, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  probing_ = false;
  if (halved_at_ != SteadyTime{} && now - halved_at_ < attempt_timeout) return;
  halved_at_ = now;
  answers_ = 0;
  limit_.store(std::max(limit_.load() / 2, std::min(in_flight_floor, in_flight_max_.load())));
}

std::shared_ptr<CallQueue> CallQueues::of(const std::string& service,
                                          const dsl::ServiceLimits& limits) {
  const std::lock_guard lock(mutex_);
  auto& queue = queues_[service];
  if (!queue) queue = std::make_shared<CallQueue>(limits);
  return queue;
}

void CallQueues::abandon() {
  const std::lock_guard lock(mutex_);
  for (const auto& [service, queue] : queues_) queue->abandon();
}

}  // namespace backstitch::engine

#pragma once
/// The queue of one node in front of one service, and how many calls to it may be in flight.
///
/// The number in flight adapts to the service (additive increase, multiplicative decrease: Chiu and
/// Jain 1989, RFC 5681): one more for every answer until attempts first time out, from then on one
/// more for every window of answers; halved at most once an attempt timeout when attempts time out.
/// It stops growing while answers take a quarter of the attempt timeout longer than the fastest one
/// (as TCP Vegas, Brakmo 1994), so that a service with a queue of its own is not driven into
/// timeouts. A quarter of the slots, at least one, is kept for calls that let sagas end.
///
/// While every connection to the service is refused, one call a second finds out whether it is
/// back, and the others are held: they wait without using their attempts up, each for as long as it
/// may.
///
/// Threads: any. A call takes and returns its slot without a lock while nobody waits and fewer than
/// half of the slots are taken. Bounds: `in_flight_max` slots, `queue_max` waiting calls; in memory
/// only.
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <backstitch/base/time.hpp>
#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/ports/executor.hpp>

namespace backstitch::engine {

/// Keeps a message that many calls have a reason for to one in a while. Threads: any.
class RateOfTelling {
 public:
  /// @return true for one of all that ask within `every`
  bool tells(SteadyTime now, Duration every);

 private:
  std::atomic<std::int64_t> again_ms_{INT64_MIN};  ///< on the steady clock
};

/// Counts the calls to a service that failed one after the other, and says when that is to be told:
/// at the tenth, and from then on at most every ten minutes for as long as it goes on. Threads:
/// any.
class FailureStreak {
 public:
  static constexpr std::uint32_t failures_min = 10;
  static constexpr Duration told_every{600'000};

  void on_success() {
    if (failures_.load(std::memory_order_relaxed) != 0)
      failures_.store(0, std::memory_order_relaxed);
  }
  /// @return how many have failed in a row, if that is to be told now; else 0
  std::uint32_t on_failure(SteadyTime now);

 private:
  std::atomic<std::uint32_t> failures_{0};
  RateOfTelling telling_;
};

/// Notices that every connection to a service is refused. Threads: any.
class RefusalGate {
 public:
  static constexpr std::uint32_t refusals_min = 3;  ///< one after the other close it
  static constexpr Duration tried_every{1'000};

  void on_reached() {
    if (refusals_.load(std::memory_order_relaxed) != 0)
      refusals_.store(0, std::memory_order_relaxed);
  }
  void on_refused(SteadyTime now);
  bool is_closed() const { return refusals_.load(std::memory_order_relaxed) >= refusals_min; }
  /// While it is closed: whether a call may go out and try.
  bool may_try(SteadyTime now) { return trying_.tells(now, tried_every); }

 private:
  std::atomic<std::uint32_t> refusals_{0};
  RateOfTelling trying_;
};

class CallQueue {
 public:
  /// `ending` is for compensations, probes and what comes after the pivot.
  enum class Lane : std::uint8_t { ordinary, ending };
  /// What becomes of a call that waits: it has a slot and leaves the queue; it is held, which it is
  /// told once.
  enum class Turn : std::uint8_t { slot, held };
  using OnTurn = std::function<void(Turn)>;
  struct Waiting;
  using Ticket = std::shared_ptr<Waiting>;

  explicit CallQueue(const dsl::ServiceLimits& limits) { set_limits(limits); }

  /// A service may be registered anew with other limits.
  void set_limits(const dsl::ServiceLimits& limits);

  /// Takes a slot unless the lane has none or has calls that wait for one, or calls are held.
  bool try_take(Lane lane, SteadyTime now);
  /// Waits for a slot: `on_turn` is posted to `executor`. First come, first served within a lane.
  /// @return null if the queue is full
  Ticket wait(Lane lane, Executor& executor, OnTurn on_turn);
  /// How long a call that is held may be: then it goes out, whether or not others are held.
  void hold_until(const Ticket& ticket, SteadyTime time);
  /// The call will not be made.
  /// @return false: it has left the queue, and `on_turn` is to return the slot
  bool withdraw(const Ticket& ticket);
  /// Returns a slot.
  void release();
  /// Nothing of this will run again: lets go of what waits.
  void abandon();

  /// An answer came after `latency`; its slot is still taken.
  void on_answer(Duration latency, Duration attempt_timeout, SteadyTime now);
  /// An attempt timed out.
  void on_timeout(Duration attempt_timeout, SteadyTime now);
  /// No address of the service accepted a connection; or one did, whatever became of the call.
  void on_refused(SteadyTime now) { gate_.on_refused(now); }
  void on_reached() { gate_.on_reached(); }
  bool holds() const { return gate_.is_closed(); }
  /// @return true: the caller is to call turn_held() in RefusalGate::tried_every
  bool begin_watch();
  /// Lets a held call try, and those go that may be held no longer.
  /// @return whether that is to be repeated: see begin_watch()
  bool turn_held();

  FailureStreak& failures() { return failures_in_a_row_; }
  /// Of calls that this node cannot send.
  RateOfTelling& unsent_calls() { return unsent_calls_; }

  std::uint32_t limit() const { return limit_.load(std::memory_order_relaxed); }
  std::uint32_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  std::uint32_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  using Turns = std::vector<std::pair<Ticket, Turn>>;

  bool take(Lane lane);
  bool enter(Lane lane, SteadyTime now);
  void unlist(Waiting& call);
  void look_at_held(const std::list<Ticket>& calls, Turns& turns);
  std::uint32_t slots_of(Lane lane) const;
  void pump();
  void grow(Duration latency, Duration attempt_timeout, SteadyTime now);

  std::atomic<std::uint32_t> in_flight_{0};
  std::atomic<std::uint32_t> limit_{0};
  std::atomic<std::uint32_t> waiting_{0};  ///< in both lanes
  std::atomic<std::uint32_t> ending_waiting_{0};
  std::atomic<std::int64_t> fastest_ms_{INT64_MAX};  ///< answer since it was last forgotten
  std::atomic<std::uint32_t> in_flight_max_{0};
  std::atomic<std::uint32_t> queue_max_{0};

  FailureStreak failures_in_a_row_;
  RateOfTelling unsent_calls_;
  RefusalGate gate_;
  std::atomic<bool> watched_{false};

  std::mutex mutex_;  ///< of what follows
  std::array<std::list<Ticket>, 2> lanes_;
  SteadyTime window_began_{};
  std::uint32_t answers_ = 0;  ///< since the limit last grew
  bool probing_ = true;        ///< no attempt has timed out yet
  SteadyTime halved_at_{};
};

/// The queues of a node, by the name of the service. Any thread.
class CallQueues {
 public:
  std::shared_ptr<CallQueue> of(const std::string& service, const dsl::ServiceLimits& limits);
  /// See CallQueue::abandon.
  void abandon();

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<CallQueue>> queues_;
};

}  // namespace backstitch::engine

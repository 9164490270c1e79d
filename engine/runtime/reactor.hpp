#pragma once
#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <backstitch/engine/runtime/engine.hpp>

#include "blocked_keys.hpp"
#include "bugs.hpp"
#include "call_queue.hpp"
#include "callback_seal.hpp"
#include "clock.hpp"
#include "journal.hpp"
#include "lease_term.hpp"
#include "pulse.hpp"
#include "saga_actor.hpp"
#include "set_aside.hpp"
#include "turns.hpp"

namespace backstitch::engine {

struct WrittenStart;

class Forwarder;
class InboxPoller;

/// A saga that waits for another one looks after it so often, should word of its end get lost.
inline constexpr Duration child_look_every{60'000};
/// A line about a command that was refused is written once in that time.
inline constexpr Duration refusal_told_every{1'000};
/// Sagas come into memory so long before they are due.
inline constexpr Duration due_margin{1'000};

/// What all reactors of a node share.
struct Node {
  Ports ports;
  Options options;
  DatabaseClock clock;
  LeaseTerm term;
  std::atomic<bool> closing{false};
  std::atomic<std::int64_t> lineage{1};  ///< of the store, as the last renewal said
  /// When this node was first answered under it: what waits since before may be of an earlier one.
  std::atomic<TimePoint> lineage_since{TimePoint{}};
  std::atomic<bool> on_hold{false};  ///< as the last renewal said, see LeaseAnswer
  /// What keeps every node from writing, if anything does: the database is away, fails, or is on
  /// hold.
  std::optional<Error> hindrance() const;
  std::atomic<std::size_t> starts_waiting{0};
  std::atomic<std::size_t> resident{0};
  std::shared_ptr<Forwarder> forwarder;
  std::shared_ptr<InboxPoller> inbox;
  /// The shards whose items the node takes from the inbox. Each is written by its reactor.
  std::array<std::atomic<bool>, shard_count> inbox_shards{};
  std::atomic<std::size_t> inbox_taken{0};                     ///< items that are in progress
  std::atomic<std::shared_ptr<const CallbackSeal>> callbacks;  ///< null until it is opened
  CallQueues call_queues;
  Turns turns;
  BlockedKeys blocked_keys{};
  SetAside set_aside{};
  InlineWorkers inline_workers{};
  NodeIdentity identity{};

  Workers& workers() {
    return ports.workers != nullptr ? *ports.workers : static_cast<Workers&>(inline_workers);
  }
  Executor& upkeep() const {
    return ports.upkeep != nullptr ? *ports.upkeep : *ports.reactors.front().executor;
  }
};

/// Counters of one reactor; written by its thread, except `starting`, and read by any.
struct alignas(64) ReactorCounters {
  std::atomic<std::uint64_t> starts{0}, starts_refused{0}, starts_invalid{0}, ended{0}, appends{0},
      commits{0}, calls{0}, shards{0}, transitions_cut{0};
  mutable std::atomic<std::uint64_t> bugs{0};  ///< also counted by other threads
  std::atomic<std::uint64_t> inbox_refused{0}, inbox_set_aside{0}, removals_failed{0};
  std::array<std::atomic<std::uint64_t>, lack_count> calls_unsent{};  ///< by Lack
  std::atomic<std::uint64_t> sagas{0};                                ///< in memory now
  std::atomic<std::uint64_t> starting{0};  ///< starts on their way to this reactor or to the store
};

/// One thread's share of the engine: its shards, their sagas, its journal. Every member but
/// `counters` and `pulse` is used on the reactor's thread only. Held by shared_ptr, because calls
/// and timers may outlive it.
class Reactor : public std::enable_shared_from_this<Reactor> {
 public:
  using StartDone = std::function<void(Result<StartReply>)>;
  using ViewDone = std::function<void(Result<Json>)>;

  Reactor(Node& node, Registry& registry, std::size_t index);
  ~Reactor();

  /// A start was refused with this.
  void count_refused(const Error& error);
  /// @param up_to_date  the registry has just been refreshed for this start
  void start(StartRequest request, StartDone done, bool up_to_date = false);
  void command(SagaId saga, StimulusBody body, Settled settled, Origin origin = {});
  void view(SagaId saga, ViewDone done);
  void await_end(SagaId saga, std::uint64_t number, Duration wait, ViewDone done);
  void stop_waiting(SagaId saga, std::uint64_t number);
  void answer_everybody();
  using ReadDone = std::function<void(Result<FoldedLog>)>;
  void read(SagaId saga, ReadDone done);  ///< from any thread
  void plan(SagaId saga, StimulusBody body, std::function<void(Result<explore::Plan>)> done);

  /// The shards held in this term of the node's lease.
  void set_shards(const std::vector<ShardLease>& leases, std::uint64_t term);
  /// These are to go to another node: nothing new begins in them, and each is let go as soon as no
  /// answer is on its way to it, at the latest after `most`. `left` is told of each lot.
  void leave(std::vector<Shard> shards, Duration most,
             std::function<void(std::vector<Shard>)> left);
  /// From the inbox, counted in Node::inbox_taken.
  void take_items(const std::vector<InboxItem>& items);

  /// Nothing of this will run again: lets go of what is queued.
  void abandon() { journal_.abandon(); }
  /// See Journals. Any thread.
  void add_unanswered_appends(std::vector<std::uint64_t>& by_lane) const {
    journal_.add_unanswered(by_lane);
  }

  ReactorCounters counters;
  Pulse pulse;

 private:
  struct Waiter {
    ViewDone done;
    TimerId timer = 0;
  };
  struct Reading {
    SagaStatus status;
    Json view;
  };
  struct Prepared {
    Program program;
    Json input;
    std::string input_text;
    std::optional<std::string> business_key;
  };
  using Actor = std::shared_ptr<SagaActor>;
  /// A saga whose start is decided, and not written.
  struct Begun {
    Actor actor;
    Append append;
    std::vector<Effect> effects;
  };

  // starts.cpp
  std::optional<Error> not_admitted() const;
  /// With Options::require_keys.
  std::optional<Error> lacks_key(const StartRequest& request, const Prepared& prepared) const;
  Result<Prepared> prepare(const StartRequest& request) const;
  Result<Prepared> prepared(const StartRequest& request) const;
  NewSaga new_saga(const StartRequest& request, const Prepared& prepared, const SagaState& state,
                   std::optional<std::int64_t> generation) const;
  /// Of a saga that has just been decided: gives the actor its state, which then waits for the
  /// append. It leaves memory with it if all it does is wait (`stored_wake`).
  Append first_append(const Actor& actor, Transition& transition, const StartRequest& request,
                      const Prepared& prepared, std::optional<std::int64_t> generation);
  void start_prepared(StartRequest request, Prepared prepared, std::int64_t generation,
                      StartDone done);
  void start_again(const StartRequest& request, std::int64_t generation, const StartDone& done);
  /// @return why it is refused; internal/internal for a bug
  Result<Begun> begin(Start start, const StartRequest& request, const Prepared& prepared);
  /// Appends it; until it is settled its shard is not quiet.
  void append_first(Append append, std::function<void(const AppendResult&)> done);
  void start_up_to_date(StartRequest request, StartDone done);
  SagaId new_saga_id();
  void refuse_unless_known(const StartRequest& request, Error error, StartDone done);
  void start_written(const Actor& actor, const AppendResult& result,
                     const std::string& idempotency_key, const std::vector<Effect>& effects,
                     const StartDone& done);

  // bugs.cpp: exceptions out of one saga's work
  /// The saga is dropped, read from its log and suspended. On the reactor's thread.
  template <class Work>
  void guarded(const Actor& actor, Work&& work) {
    const Pulse::Work at(pulse, actor->id);
    try {
      work();
    } catch (...) {
      work_failed(actor, what_is_handled());
    }
  }
  /// The same for work that changes nothing of the saga, on any thread. @return the error of it
  template <class Work>
  auto attempted(const SagaId& saga, Work&& work) const -> decltype(work()) {
    try {
      return work();
    } catch (...) {
      return report_bug(saga, what_is_handled());
    }
  }
  Error report_bug(const SagaId& saga, const std::string& what) const;
  void work_failed(const Actor& actor, const std::string& what);
  void quarantine(SagaId saga, Quarantine why);
  void quarantine_again(SagaId saga, Quarantine why);

  // reactor.cpp: deciding and what follows
  void stimulate(const Actor& actor, StimulusBody body, Settled settled = {}, Origin origin = {});
  void decide_next(const Actor& actor);
  /// @param cause  whoever waits for it is told by what follows, unless an exception comes out
  void decided(const Actor& actor, Transition transition, SagaActor::Pending& cause,
               SagaActor::Refusal refusal);
  void written(const Actor& actor, const AppendResult& result, const std::vector<Effect>& effects,
               const Settled& settled, bool sleeping);
  void go_on_from(const Actor& actor, const AppendResult& result,
                  const std::vector<Effect>& effects, const Settled& settled, bool sleeping);
  void append_failed(const Actor& actor, const Settled& settled, const SagaActor::Refusal& refusal,
                     const AppendResult& failure);
  void settlement_failed(const Actor& actor, const Settled& settled, const AppendResult& failure);
  void back_after_failure(const Actor& actor, const Settled& settled,
                          const SagaActor::Refusal& refusal, const AppendResult& failure,
                          const Result<std::vector<StoredSaga>>& stored);
  void set_aside(const Actor& actor);
  void go_back_to_log(const Actor& actor, const StoredSaga& stored);
  bool falls_asleep(const Actor& actor);
  void go_on(SagaActor& actor);
  void perform(const Actor& actor, const std::vector<Effect>& effects);
  void settle(const Actor& actor);
  void put_to_sleep(const Actor& actor);
  void arm(const Actor& actor);
  void admit(const Actor& actor);
  void admit_written(const Actor& actor);
  void drop(const Actor& actor);
  void lost(const Actor& actor, const char* why);
  Stimulus stimulus_of(StimulusBody body);
  TimePoint now() { return node_.clock.now(executor_.now()); }
  bool may_act() const { return node_.term.is_current(term_, executor_.now()); }

  // children.cpp: sagas that are steps of others
  void start_child(const Actor& parent, const StepPath& path);
  void child_written(const Actor& child, const AppendResult& result,
                     const std::vector<Effect>& effects);
  void start_child_again(const SagaActor& child);
  void cancel_child(const Actor& parent, const StepPath& path);
  void undo_child(const Actor& parent, const StepPath& path);
  void retry_child(const Actor& parent, const RetryChild& effect);
  void tell_parent(const SagaState& child);
  void refuse_child(const SagaState& child, const Error& why);
  void look_after_child(SagaId child);
  /// Brings a stimulus to another saga of this shard, again and again while that makes sense.
  void deliver(SagaId saga, StimulusBody body, std::function<void(const Error&)> refused,
               int tries = 0);

  // calling.cpp: calls to participants
  void call(const Actor& actor, const CallParticipant& effect);
  struct Called {
    std::string name;                             ///< as in Call::service_name
    std::shared_ptr<const dsl::Service> service;  ///< null: it is not registered
    bool is_registered = false;                   ///< rather than written in the definition
  };
  Called called_by(const SagaActor& actor, const CallParticipant& effect) const;
  void look_up_services(SagaActor& actor);
  void call_nobody(const Actor& actor, const CallParticipant& effect, const std::string& service);
  std::shared_ptr<CallQueue> queue_of(const Called& called);
  void watch_held(const std::shared_ptr<CallQueue>& queue);
  void turn_held_later(const std::shared_ptr<CallQueue>& queue);
  void hold(SagaActor& actor, const CallParticipant& effect);
  void end_late(const SagaActor& actor, const CallParticipant& effect, CallResult& refused);
  bool leave_queue(const Actor& actor, const CallParticipant& effect,
                   const std::shared_ptr<CallQueue>& queue);
  void send(const Actor& actor, const CallParticipant& effect, Called called,
            const std::shared_ptr<CallQueue>& queue, std::optional<TimePoint> sent_at);
  void return_slot(const std::shared_ptr<CallQueue>& queue, const CallResult& result,
                   Duration timeout, bool is_cut, SteadyTime began);
  void watch_service(CallQueue& queue, const std::string& service, const CallResult& result);
  void tell_unsent(const Actor& actor, const CallParticipant& effect, NotSent why);
  void note_unsent(CallQueue& queue, const std::string& service, const NotSent& why);
  void withdraw_leaving();
  static void withdraw_unwanted(SagaActor& actor);
  static void withdraw_all(SagaActor& actor);

  // inbox.cpp: commands from other nodes and from SQL
  void take(const InboxItem& item);
  void take_carefully(const InboxItem& item);
  void work_on(const InboxItem& item);
  Start promised_start(const InboxItem& item, const StartRequest& request,
                       std::int64_t generation) const;
  void strike_out(const InboxItem& item, bool is_first, std::int64_t generation);
  void command_done(const InboxItem& item, const Result<Done>& done);
  void give_back(const InboxItem& item);
  /// The node has done with the item for now.
  void leave(const InboxItem& item, bool is_settled);
  void fail(const InboxItem& item, const Error& why);
  void settled(const InboxItem& item, const AppendResult& result);
  void take_start(const InboxItem& item);
  void start_taken(const Actor& actor, const InboxItem& item, const AppendResult& result,
                   const std::vector<Effect>& effects);
  void refuse_start(const InboxItem& item, const Error& why);
  void refuse_without_input(const InboxItem& item, const Error& why);
  void append_refused(const InboxItem& item, const WrittenStart& written, Start start,
                      const std::function<void(std::int64_t generation)>& regenerated = {});
  void begin_start(const InboxItem& item, const WrittenStart& start, std::int64_t generation);
  void refuse_command(const InboxItem& item, const Error& why);
  void note_refused(const InboxItem& item, const Error& why);

  // reading.cpp: what callers see
  std::optional<Result<Json>> resident_view(SagaId saga) const;
  Result<Json> view_of(const SagaActor& actor) const;
  using LogsDone = std::function<void(Result<std::vector<StoredSaga>>)>;
  void read_logs(std::vector<SagaId> sagas, LogsDone done);
  void read_promised(SagaId saga, ReadDone done);
  void read_view(SagaId saga, std::function<void(Result<Reading>)> done);
  ViewDone take_waiter(SagaId saga, std::uint64_t number);
  void look_for_waiter(SagaId saga, std::uint64_t number);
  void look_again(SagaId saga, std::uint64_t number);
  void answer_waiters(const SagaActor& actor);

  // loading.cpp: sagas into memory
  void command_unknown(SagaId saga, const StimulusBody& body, Settled settled, Origin origin);
  void load(const std::vector<SagaId>& ids, bool taken_over, std::function<void()> done);
  void take_up(const Actor& actor, bool taken_over);
  void load_at_once(const std::vector<SagaId>& ids, bool taken_over, std::function<void()> done);
  /// Sagas that the store was asked for together.
  struct LoadOrder {
    std::uint64_t number = 0;
    std::vector<SagaId> asked;
    bool taken_over = false;
    std::function<void()> done;
  };
  void loaded(const StoredSaga& stored, const LoadOrder& order);
  void end_order(const LoadOrder& order);
  void all_loaded(const std::shared_ptr<const std::vector<StoredSaga>>& stored, std::size_t from,
                  const std::shared_ptr<const LoadOrder>& order);
  Result<Actor> revived(const StoredSaga& stored);
  void begin_from(SagaActor& actor, SagaState logged);
  void repeat_effects(const Actor& actor);
  void look_again(SagaId saga);
  void revive(std::vector<Shard> shards, SagaId after);
  void all_revived(const std::vector<Shard>& shards);
  void ask_parents(std::vector<Shard> shards, SagaId after);
  void scan_due();
  void scan_due_page(SagaId after);
  void scan_all_again();

  // strikes.cpp: what may bring the node down
  struct Careful {
    SagaId saga;
    std::function<void(Task survived)> work;  ///< after a strike was stored; `survived` ends it
    /// Instead, when there are too many strikes, and whether it is the first time.
    std::function<void(bool is_first)> give_up;
    Task next;           ///< after either
    bool alone = false;  ///< it has strikes already
  };
  static Quarantine repeatedly_lost();
  void work_carefully(Careful careful);
  void struck(Careful careful, const Result<std::int64_t>& strikes);
  void load_carefully(const std::vector<SagaId>& ids, bool taken_over, Task done);
  void when_calm(SagaId saga, SteadyTime at_latest, const Task& done);
  void prove_later(const std::vector<Shard>& shards);

  // upkeep.cpp: every now and then
  void schedule(Duration every, void (Reactor::*run)());
  void sweep();
  void look_after_children();
  void remove_expired();
  void remove_page();
  void note_removal(const Result<std::size_t>& removed);

  // shards.cpp: which are this reactor's
  void check_lease();
  void lose_everything();
  void lose_shards(const std::vector<Shard>& shards);
  void publish_inbox_shards();
  void look_who_left(Duration most, const std::function<void(std::vector<Shard>)>& left);

  Node& node_;
  Registry& registry_;
  const std::size_t index_;
  Executor& executor_;
  Participants& participants_;
  Journals journal_;
  std::unordered_map<SagaId, Actor> actors_;
  /// Those of the node that this reactor has used, so that a call need not lock to find its own.
  std::unordered_map<std::string, std::shared_ptr<CallQueue>> queues_;
  /// As the registry has them since its change number so: its own pointer is shared with other
  /// threads, and dear to copy.
  std::shared_ptr<const ServiceMap> services_;
  std::optional<std::uint64_t> services_seen_;
  /// On their way from the store, and by which order. One that was begun before the shard was
  /// lost brings nothing any more, and does not keep others from asking.
  std::unordered_map<SagaId, std::uint64_t> loading_;
  std::uint64_t load_orders_ = 0;
  std::unordered_set<SagaId> quarantined_;  ///< not suspended yet, or set aside
  std::map<SagaId, std::map<std::uint64_t, Waiter>> waiters_;
  std::size_t waiter_count_ = 0;
  std::array<std::optional<Epoch>, shard_count> epochs_{};
  std::vector<Shard> shards_;          ///< held, but for those that are being left
  std::bitset<shard_count> suspects_;  ///< held, and perhaps with something that brings nodes down
  std::bitset<shard_count> leaving_;   ///< held, and to be given to another node
  /// First appends on their way: their sagas are not among the actors yet.
  std::array<std::uint32_t, shard_count> first_appends_{};
  /// Before the next try to start a sub-saga whose business key another start holds.
  std::unordered_map<SagaId, Duration> child_waits_;
  /// Commands of one saga that were given together.
  struct Lot {
    std::size_t open = 0;   ///< not settled yet
    std::size_t given = 0;  ///< with as many as the inbox gives there may be more of them
  };
  std::unordered_set<std::int64_t> taken_;  ///< from the inbox, not settled yet
  std::unordered_map<SagaId, Lot> lots_;
  RateOfTelling refusals_;                            ///< of commands
  std::size_t refusals_untold_ = 0;                   ///< since the last line about one
  std::unordered_map<std::int64_t, Task> when_left_;  ///< of those that are worked on carefully
  std::uint64_t term_ = 0;     ///< of the node's lease, in which the shards are held
  SteadyTime full_scan_at_{};  ///< when everything that is due is to be looked for again
  std::optional<SteadyTime> removing_since_;  ///< page after page
  std::size_t removals_failed_ = 0;           ///< in a row
  bool timers_running_ = false;
  bool scanning_ = false;
  bool scanning_all_ = false;
};

}  // namespace backstitch::engine

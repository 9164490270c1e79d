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

#include "call_queue.hpp"
#include "clock.hpp"
#include "journal.hpp"
#include "saga_actor.hpp"

namespace backstitch::engine {

struct WrittenStart;

class Forwarder;

/// A saga that waits for another one looks after it so often, should word of its end get lost.
inline constexpr Duration child_look_every{60'000};
/// Sagas come into memory so long before they are due.
inline constexpr Duration due_margin{1'000};

/// What all reactors of a node share.
struct Node {
  Ports ports;
  Options options;
  DatabaseClock clock;
  std::atomic<bool> closing{false};
  std::atomic<std::size_t> starts_waiting{0};
  std::atomic<std::size_t> resident{0};
  std::shared_ptr<Forwarder> forwarder;
  CallQueues call_queues;
};

/// Counters of one reactor; written by its thread, except `starting`, and read by any.
struct alignas(64) ReactorCounters {
  std::atomic<std::uint64_t> starts{0}, starts_refused{0}, ended{0}, appends{0}, commits{0},
      calls{0}, shards{0};
  std::atomic<std::uint64_t> sagas{0};     ///< in memory now
  std::atomic<std::uint64_t> starting{0};  ///< starts on their way to this reactor or to the store
};

/// One thread's share of the engine: its shards, their sagas, its journal. Every member but
/// `counters` is used on the reactor's thread only. Held by shared_ptr, because calls and timers
/// may outlive it.
class Reactor : public std::enable_shared_from_this<Reactor> {
 public:
  using StartDone = std::function<void(Result<StartReply>)>;
  using ViewDone = std::function<void(Result<Json>)>;

  Reactor(Node& node, Registry& registry, std::size_t index);
  ~Reactor();

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

  /// The shards held now, and until when this node may act on them without another renewal.
  void set_shards(const std::vector<ShardLease>& leases, SteadyTime act_until);
  /// These are to go to another node: nothing new begins in them, and each is let go as soon as no
  /// answer is on its way to it, at the latest after `most`. `left` is told of each lot.
  void leave(std::vector<Shard> shards, Duration most,
             std::function<void(std::vector<Shard>)> left);
  /// There may be something in the inbox.
  void look_into_inbox();

  /// Nothing of this will run again: lets go of what is queued.
  void abandon() { journal_.abandon(); }

  ReactorCounters counters;

 private:
  struct Waiter {
    ViewDone done;
    TimerId timer = 0;
  };
  struct InboxScan {
    bool running = false;
    bool again = false;        ///< something came meanwhile
    bool all = false;          ///< this one is of everything
    std::int64_t from = 0;     ///< where the usual scan begins
    std::int64_t seen = 0;     ///< the highest number met
    std::int64_t settled = 0;  ///< the same when everything was last scanned
    SteadyTime all_at{};       ///< when everything is to be scanned again

    /// Also if a scan of everything is running: it may have passed what is meant.
    void scan_all_again() {
      all = false;
      all_at = {};
    }
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

  // starts.cpp
  std::optional<Error> not_admitted() const;
  Result<Prepared> prepare(const StartRequest& request) const;
  NewSaga new_saga(const StartRequest& request, const Prepared& prepared,
                   const SagaState& state) const;
  /// Of a saga that has just been decided: gives the actor its state, which then waits for the
  /// append. It leaves memory with it if all it does is wait (`stored_wake`).
  Append first_append(const Actor& actor, Transition& transition, const StartRequest& request,
                      const Prepared& prepared);
  /// Appends it; until it is settled its shard is not quiet.
  void append_first(Append append, std::function<void(const AppendResult&)> done);
  void start_up_to_date(StartRequest request, StartDone done);
  SagaId new_saga_id();
  void refuse(Error error, const StartDone& done);
  void refuse_unless_known(const StartRequest& request, Error error, StartDone done);
  void start_written(const Actor& actor, const AppendResult& result,
                     const std::string& idempotency_key, const std::vector<Effect>& effects,
                     const StartDone& done);

  // reactor.cpp: deciding and what follows
  void stimulate(const Actor& actor, StimulusBody body, Settled settled = {}, Origin origin = {});
  void decide_next(const Actor& actor);
  void decided(const Actor& actor, Transition transition, SagaActor::Pending cause,
               SagaActor::Refusal refusal);
  void written(const Actor& actor, const AppendResult& result, const std::vector<Effect>& effects,
               const Settled& settled, bool sleeping);
  void content_refused(const Actor& actor, const Settled& settled,
                       const SagaActor::Refusal& refusal);
  void go_back_to_log(const Actor& actor, const StoredSaga& stored);
  bool falls_asleep(const Actor& actor);
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
  bool may_act() const { return executor_.now() < act_until_; }

  // children.cpp: sagas that are steps of others
  void start_child(const Actor& parent, const StepPath& path);
  void child_written(const Actor& child, const AppendResult& result,
                     const std::vector<Effect>& effects);
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
  };
  Called called_by(const SagaActor& actor, const CallParticipant& effect) const;
  void look_up_services(SagaActor& actor);
  void call_nobody(const Actor& actor, const CallParticipant& effect, const std::string& service);
  std::shared_ptr<CallQueue> queue_of(const Called& called);
  bool leave_queue(const Actor& actor, const CallParticipant& effect,
                   const std::shared_ptr<CallQueue>& queue);
  void send(const Actor& actor, const CallParticipant& effect, Called called,
            const std::shared_ptr<CallQueue>& queue, std::optional<TimePoint> sent_at);
  void return_slot(const std::shared_ptr<CallQueue>& queue, const CallResult& result,
                   Duration timeout, SteadyTime began);
  void tell_unsent(const Actor& actor, const CallParticipant& effect);
  void withdraw_leaving();
  static void withdraw_unwanted(SagaActor& actor);
  static void withdraw_all(SagaActor& actor);

  // inbox.cpp: commands from other nodes and from SQL
  void scan_inbox(bool starts, std::int64_t after);
  void take(const InboxItem& item);
  void give_back(const InboxItem& item);
  void settled(const InboxItem& item, const AppendResult& result);
  void take_start(const InboxItem& item);
  void start_taken(const Actor& actor, const InboxItem& item, const AppendResult& result,
                   const std::vector<Effect>& effects);
  void refuse_start(const InboxItem& item, const Error& why);
  void refuse_unstorable(const InboxItem& item);
  void append_refused(const InboxItem& item, const WrittenStart& written, Start start);
  void refuse_command(const InboxItem& item, const Error& why);
  std::size_t inbox_room(bool starts) const;
  void all_scanned(InboxScan& scan);

  // reading.cpp: what callers see
  std::optional<Json> resident_view(SagaId saga) const;
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
  void loaded(const StoredSaga& stored, bool taken_over);
  Result<Actor> revived(const StoredSaga& stored);
  void begin_from(SagaActor& actor, SagaState logged);
  void look_again(SagaId saga);
  void revive(std::vector<Shard> shards, SagaId after);
  void ask_parents(std::vector<Shard> shards, SagaId after);
  void scan_due();
  void scan_due_page(SagaId after);
  void scan_all_again();

  // upkeep.cpp: every now and then
  void schedule(Duration every, void (Reactor::*run)());
  void sweep();
  void look_after_children();
  void remove_expired();
  void remove_page();

  // shards.cpp: which are this reactor's
  void check_lease();
  void lose_everything();
  void lose_shards(const std::vector<Shard>& shards);
  void look_who_left(Duration most, const std::function<void(std::vector<Shard>)>& left);

  Node& node_;
  Registry& registry_;
  const std::size_t index_;
  Executor& executor_;
  Participants& participants_;
  Journal journal_;
  std::unordered_map<SagaId, Actor> actors_;
  /// Those of the node that this reactor has used, so that a call need not lock to find its own.
  std::unordered_map<std::string, std::shared_ptr<CallQueue>> queues_;
  /// As the registry has them since its change number so: its own pointer is shared with other
  /// threads, and dear to copy.
  std::shared_ptr<const ServiceMap> services_;
  std::optional<std::uint64_t> services_seen_;
  std::unordered_set<SagaId> loading_;
  std::map<SagaId, std::map<std::uint64_t, Waiter>> waiters_;
  std::size_t waiter_count_ = 0;
  std::array<std::optional<Epoch>, shard_count> epochs_{};
  std::vector<Shard> shards_;         ///< held, but for those that are being left
  std::bitset<shard_count> leaving_;  ///< held, and to be given to another node
  /// First appends on their way: their sagas are not among the actors yet.
  std::array<std::uint32_t, shard_count> first_appends_{};
  std::unordered_set<std::int64_t> taken_;  ///< from the inbox, not settled yet
  std::array<InboxScan, 2> inbox_scans_{};  ///< for commands, for starts
  SteadyTime act_until_{};
  SteadyTime full_scan_at_{};  ///< when everything that is due is to be looked for again
  std::optional<SteadyTime> removing_since_;  ///< page after page
  bool timers_running_ = false;
  bool scanning_ = false;
  bool scanning_all_ = false;
};

}  // namespace backstitch::engine

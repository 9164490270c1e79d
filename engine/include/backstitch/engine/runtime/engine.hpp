#pragma once
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/engine/explore/plan.hpp>
#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/observer.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/engine/ports/random.hpp>
#include <backstitch/engine/ports/store.hpp>
#include <backstitch/engine/ports/supervisor.hpp>
#include <backstitch/engine/ports/workers.hpp>
#include <backstitch/engine/runtime/compatibility.hpp>
#include <backstitch/engine/runtime/options.hpp>
#include <backstitch/engine/runtime/registry.hpp>
#include <backstitch/engine/runtime/service_use.hpp>

namespace backstitch::engine {

/// One reactor: a thread's executor and the participants that answer on it.
struct ReactorPorts {
  Executor* executor = nullptr;
  Participants* participants = nullptr;
};

/// The world as the engine sees it. Everything must outlive the Engine.
struct Ports {
  std::vector<ReactorPorts> reactors;  ///< lane i of the store belongs to reactor i
  Store* store = nullptr;
  Leases* leases = nullptr;
  Inbox* inbox = nullptr;
  SagaReader* reader = nullptr;
  Catalog* catalog = nullptr;
  Random* random = nullptr;
  Observer* observer = nullptr;
  Workers* workers = nullptr;  ///< null: the engine computes on the threads that it is called on
  /// Renews the leases and watches the reactors, so a thread of its own; nullptr: the first
  /// reactor's, in a world that has one thread only.
  Executor* upkeep = nullptr;
  Supervisor* supervisor = nullptr;  ///< nullptr: what it would be told is only noted
};

struct StartRequest {
  std::string definition;
  std::optional<std::int64_t> version;
  Json input = Json::object();
  std::optional<std::string> business_key;
  std::map<std::string, std::string> labels;
  std::optional<std::string> idempotency_key;
};
struct StartReply {
  SagaId id;
  bool created = true;  ///< false: the key was known, this is the saga it named
};
using Command = std::variant<Cancel, Retry, Suspend, Skip, Resolve, Signal, Callback>;

/// Totals since the start of the process, and what is there now.
struct Counters {
  std::uint64_t starts = 0;
  std::uint64_t starts_refused = 0;  ///< to protect running sagas: overload, and nothing else
  std::uint64_t starts_invalid = 0;  ///< for what they say: input, definition, keys
  std::uint64_t ended = 0;
  std::uint64_t appends = 0;                             ///< transitions made durable
  std::uint64_t commits = 0;                             ///< batches
  std::uint64_t calls = 0;                               ///< attempts that ended
  std::array<std::uint64_t, lack_count> calls_unsent{};  ///< by Lack
  CarrierCounters carriers;
  std::uint64_t starts_blocked = 0;  ///< answered start-pending: an open transaction holds the key
  std::uint64_t inbox_refused = 0;  ///< commands that could not be read, or that no saga could take
  std::uint64_t removals_failed = 0;  ///< tries to remove what retention is over for
  std::uint64_t inbox_set_aside = 0;  ///< commands that failed inbox_failures_max times
  std::uint64_t bugs = 0;             ///< exceptions out of the work on one saga
  std::uint64_t transitions_cut = 0;  ///< would have cost too much in one
  std::uint64_t resident = 0;         ///< sagas in memory
  std::uint64_t set_aside = 0;        ///< sagas that the store can neither go on with nor suspend
  std::uint64_t shards_held = 0;
  std::vector<std::uint64_t> appends_waiting;  ///< by lane: not known to be durable yet
  std::optional<Duration> lease_age;           ///< since the renewal that counts was asked for
  StoreFigures store;
};

/// The engine: owns nothing of the outside, drives every saga of the shards it holds.
/// Threads: every member may be called from any thread; `done` runs on a reactor's thread.
/// Errors: overloaded (admission), unavailable (no shard held, database away, shutting down).
class Engine {
 public:
  Engine(Ports ports, Options options);
  ~Engine();  ///< @pre closed, or never opened

  /// Reads the catalogue, takes shards, revives their sagas. `done` when starts can be taken.
  void open(std::function<void(Result<Done>)> done);
  /// Stops taking starts, lets appends in flight finish, gives the shards back. Idempotent.
  void close(std::function<void()> done);
  /// Empty: starts are taken, or the node is read-only. Else why not.
  std::string not_ready_reason() const;
  /// See Options::read_only.
  bool is_read_only() const;
  /// See Store::warning.
  std::string store_warning() const;

  /// `done` after the saga is durable. `reactor` is the caller's own if it runs on one; the saga
  /// goes there unless another one has less to do.
  void start(std::size_t reactor, StartRequest request,
             std::function<void(Result<StartReply>)> done);
  /// `done` after the command's effect is durable. conflict with the machine's reason if refused.
  /// For a saga of another node it goes through the inbox; if that node does not answer in time:
  /// outcome_unknown/command-pending, and the command is carried out later.
  /// @param idempotency_key of whoever sends it, of up to 255 bytes; empty: none. For as long as
  /// the saga lives the same command under the same key is carried out once and then `repeated`;
  /// another one under it is conflict/idempotency-key-reused. Refused ones are not remembered. A
  /// callback needs no key: the answer that was taken is `repeated`.
  void command(SagaId saga, Command command, std::function<void(Result<Done>)> done,
               std::string idempotency_key = {});
  /// What the command would set going, if every call succeeded. Refused like the command.
  void plan(SagaId saga, Command command, std::function<void(Result<explore::Plan>)> done);
  /// The view of the saga once it has ended or is suspended, or as it is when `wait` is over, when
  /// stop_waiting is called, or when the engine closes.
  /// @return names the wait for stop_waiting
  std::uint64_t await_end(SagaId saga, Duration wait, std::function<void(Result<Json>)> done);
  /// Nothing if `done` has been called already.
  void stop_waiting(SagaId saga, std::uint64_t wait);
  /// The machine's view() of what is committed. not_found/saga-not-found.
  void view(SagaId saga, std::function<void(Result<Json>)> done);

  /// A page of the log, with what is sensitive masked. not_found/saga-not-found.
  void history(SagaId saga, Sequence after, std::size_t limit,
               std::function<void(Result<HistoryPage>)> done);

  /// See compare_running.
  void compare(CompatibilityQuery query, std::function<void(Result<CompatibilityPage>)> done);

  /// See count_service_use.
  void service_use(const std::string& service, std::function<void(Result<ServiceUse>)> done);

  /// Every node of this database, by name.
  void nodes(std::function<void(Result<std::vector<NodeInfo>>)> done);

  /// The first of the sagas that the store fails at and cannot suspend either; they are taken up
  /// again after a while. What is wrong with the store, or with their rows, is for an operator.
  std::vector<SagaId> set_aside(std::size_t most) const;

  Registry& registry();
  Workers& workers();
  Observer& observer();
  SagaReader& reader();
  Counters counters() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace backstitch::engine

#pragma once
/// What the engine asks of its storage. Five small ports: the journal's, the leases', the inbox's,
/// the readers' and the catalogue's. Calls may come from any thread; `done` is called exactly once,
/// on a thread of the store's, never inside the call; whoever needs another thread posts there.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/machine/event.hpp>
#include <backstitch/engine/machine/ids.hpp>
#include <backstitch/engine/ports/store_figures.hpp>

namespace backstitch::engine {

/// A key under which a start is idempotent.
struct StartKey {
  /// `key` of a caller, `child` of a parent's step, `business:<definition>` for business keys
  std::string scope{};
  std::string key{};
  /// Known from a saga that FAILED it counts as free, and is the new saga's: a business key under
  /// `businessKeyReuse: afterFailed`.
  bool reuses_failed = false;
  /// What the saga's identity says of its business key (see StartIdentity); unset: nothing.
  std::optional<std::int64_t> generation{};
  bool is_business_key() const { return scope.starts_with("business:"); }
};

/// What a start is compared by when it is repeated: what its sender said, before defaults.
struct AskedFor {
  std::string hash{};                            ///< of definition name and input (hex SHA-256)
  std::optional<std::int64_t> stated_version{};  ///< a repetition may state its saga's or none
  std::string input{};                           ///< JSON text; empty: as the saga's own
};

struct NewSaga {
  std::string definition{};
  std::int64_t version = 0;
  std::optional<std::string> business_key{};
  std::string labels{};  ///< JSON text of an object
  std::string input{};   ///< JSON text
  std::optional<TimePoint> deadline{};
  TimePoint started_at{};
  std::optional<SagaId> parent{};
  /// The first that is known decides. A caller's key that is new is bound to the saga that a
  /// business key names.
  std::vector<StartKey> keys{};
  AskedFor asked{};
  /// For readers of the store's views, which mask by it: JSON text, see stored_taints; or empty.
  std::string sensitive{};
};

/// The saga's row after this append. Only sent when it changes.
struct RowChange {
  std::string status{};        ///< as SagaStatus is spelled
  std::string output{};        ///< JSON text; empty: null
  std::string failure{};       ///< JSON text; empty: null
  std::string failure_code{};  ///< empty: null
  bool pivot_passed = false;
  std::optional<TimePoint> ended_at{};
  std::optional<TimePoint> wake_at{};     ///< set: the saga leaves memory until then
  std::optional<TimePoint> expires_at{};  ///< set: it ended, and is removed after that
};

struct AuditEntry {
  std::string actor{};
  std::string action{};
  std::string reason{};
  std::string detail{};  ///< JSON text
};

/// A command from the inbox has had its effect, or is refused for good.
struct InboxSettled {
  std::int64_t id = 0;
  std::string error{};  ///< JSON text of an object; empty: it was carried out
};

/// One saga's transition, to be written whole or not at all. Without an event it changes only the
/// row, or settles a command; or it only asks whether a start is known.
struct Append {
  SagaId saga{};
  Epoch epoch{};  ///< of the saga's shard, as this node holds it
  /// The last stored sequence; 0 for a start. Negative: whichever, of what has no events.
  Sequence expected{};
  std::vector<EventRecord> events{};  ///< sequences expected+1, …
  std::optional<NewSaga> start{};
  std::optional<RowChange> row{};
  std::optional<AuditEntry> audit{};
  std::optional<InboxSettled> inbox{};
  bool only_asks = false;  ///< of `start` only the keys count; `duplicate`, `reserved` or `unknown`
};

enum class AppendOutcome {
  written,
  duplicate,  ///< a start whose key exists: `existing` is the saga, `same_input` whether it is a
              ///< repeat
  unknown,    ///< none of the keys that were asked about exists
  blocked,    ///< a start whose key is held by a transaction that has not ended: ask again; nothing
              ///< written
  reserved,   ///< a start whose key another start holds that has not been taken up: ask again
  regenerated,  ///< a start whose business key is of another `generation`; nothing written
  conflict,  ///< the sequence was not the expected one, or the command is settled already; nothing
             ///< written
  fenced,    ///< the shard is not ours at that epoch; nothing written
  failed,    ///< the store failed at it, and at nothing else or at everything: it is not known
             ///< whether the item is at fault. Nothing written; `unwritten` is the item, and
             ///< `by_content` what the store says
  refused,   ///< the store cannot hold this content, however often it is tried; nothing written
  abandoned  ///< the store was closed, or the database turned out to be of another lineage, before
             ///< the outcome was known: written or not
};
struct AppendResult {
  AppendOutcome outcome = AppendOutcome::written;
  SagaId existing{};
  bool same_input = false;
  bool by_business_key = false;  ///< the key that exists is one
  bool removed = false;          ///< `existing` has ended, and retention has removed it
  std::int64_t generation = 0;   ///< of the business key; only `regenerated`
  std::shared_ptr<Append> unwritten{};
  /// The store failed at the values, as at a text that a column does not take. If not, it lacked
  /// something that others may have found: space on a disk, memory, a privilege.
  bool by_content = false;
};

struct StoredSaga {
  SagaId id{};
  std::vector<EventRecord> events{};  ///< complete, in order
};

/// The most rows one query of a store gives or touches, whatever limit it is asked for.
inline constexpr std::size_t limit_max = 500;
/// The same for the pages of a SagaReader: the largest page that a caller is given, and one row
/// that tells that there are more.
inline constexpr std::size_t page_max = 1'001;
/// The data of a page of a history has at most so many bytes, but for a single event.
inline constexpr std::size_t history_bytes_max = 1024 * 1024;

struct DueQuery {
  std::vector<Shard> shards{};
  Duration horizon{0};        ///< sagas due up to the database's now() + horizon
  bool resident_too = false;  ///< after a take-over: also those that were in the dead node's memory
  bool parents_only = false;  ///< only those asleep that have had a sub-saga
  /// Not those that were due before now() - lookback; unset: all. What was due long ago has been
  /// found long ago, and reading past it is slow where an old snapshot keeps its traces alive.
  std::optional<Duration> lookback{};
  SagaId after{};  ///< continue behind this id
  std::size_t limit = limit_max;
};

/// The lanes of a store, which do not wait for each other. Those of the reactors come first; they
/// take what brings no start key and so can meet no transaction but the node's own. A start key may
/// be held by an open SQL transaction: such appends have lanes of their own, and those whose key
/// was found held one more, so that starts under free keys do not wait behind them either.
struct Lanes {
  static constexpr std::size_t for_keys = 2;
  static constexpr std::size_t beside_reactors = for_keys + 1;
  std::size_t reactors = 1;

  std::size_t of_reactor(std::size_t reactor) const { return reactor; }
  std::size_t of_key(std::size_t hash) const { return reactors + hash % for_keys; }
  std::size_t of_blocked_keys() const { return reactors + for_keys; }
  /// For people: `reactor-0`, `keys-1`, `blocked-keys`.
  std::string name_of(std::size_t lane) const {
    if (lane < reactors) return "reactor-" + std::to_string(lane);
    if (lane < of_blocked_keys()) return "keys-" + std::to_string(lane - reactors);
    return "blocked-keys";
  }
};

/// The journal's side: appends, and what is needed to take a saga into memory.
class Store {
 public:
  virtual ~Store() = default;
  /// Writes the batch in one transaction, each item fenced and checked on its own; one result an
  /// item, in order. A commit whose answer was lost is resolved before `done` is called, however
  /// long the database is away; batches of one lane are written in order. At most one batch a lane
  /// and reactor at a time.
  virtual void append(std::size_t lane, std::vector<Append> batch,
                      std::function<void(std::vector<AppendResult>)> done) = 0;
  /// Sagas that do not exist are left out.
  virtual void load(std::vector<SagaId> sagas,
                    std::function<void(Result<std::vector<StoredSaga>>)> done) = 0;
  /// Active (RUNNING, COMPENSATING) sagas whose wake_at is due, and suspended ones that have a
  /// wake_at, because they go on all the same; ordered by id.
  virtual void due(DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) = 0;
  /// Removes at most `limit` sagas of these shards whose time to be kept is over, with their
  /// children and logs. Their keys are kept for longer, so that no start under one is taken for
  /// the first. @return how many
  virtual void remove_expired(std::vector<Shard> shards, std::size_t limit, Duration key_retention,
                              std::function<void(Result<std::size_t>)> done) = 0;
  /// False while the database cannot be reached, or answers and writes nothing.
  virtual bool reachable() const = 0;
  /// Which of the two, and why; only of interest while it is not reachable.
  virtual Error unreachable_reason() const {
    return {ErrorCode::unavailable, "database-unreachable", "The database cannot be reached."};
  }
  /// A sentence for operators on what the store cannot notice as it is set up; empty: nothing.
  virtual std::string warning() const { return {}; }
  virtual StoreFigures figures() const { return {}; }
};

struct ShardLease {
  Shard shard = 0;
  Epoch epoch{};
  /// Its former owner was lost before it had proven the shard: something in it may bring nodes
  /// down.
  bool suspect = false;
  bool operator==(const ShardLease&) const = default;
};
/// One process of a node. Names are given by people, who may give one to two processes.
struct NodeIdentity {
  std::string name{};
  std::string incarnation{};  ///< a UUID, random at each start
  bool operator==(const NodeIdentity&) const = default;
};
struct LeaseRequest {
  NodeIdentity node{};
  Duration lease{0};
  std::size_t shards_max = 0;
  /// This process has not been answered yet: shards still leased under its name by an earlier one
  /// are taken over, epoch raised, if the earlier one has no session any more or its lease has
  /// ended.
  bool first = false;
  std::string address{};     ///< where this node listens, for people to see
  std::int64_t lineage = 0;  ///< that this node works under; 0: it has not been answered yet
  /// The highest epoch that this process held under an earlier lineage: all shards it holds have,
  /// or get, higher ones.
  Epoch epoch_floor{};
};
/// Another process that holds the name of the one that asks.
struct Namesake {
  std::string address{};
  TimePoint renewed_at{};
};
struct LeaseAnswer {
  /// The history of the store that this answer is of. A store may be set back, or replaced by a
  /// copy, while nodes work on it; that begins another lineage. If it is not the one that the
  /// request names, nothing was renewed or taken and nothing else of the answer counts: what the
  /// node has in memory may never have been.
  std::int64_t lineage = 1;
  /// Set: nothing was renewed or taken, and nothing else of this answer counts. If the request was
  /// not the `first`, the namesake is a later process, which has taken the name over.
  std::optional<Namesake> namesake{};
  TimePoint database_now{};
  /// An operator has said that no node may hold shards: what this one has is surplus.
  bool on_hold = false;
  std::vector<ShardLease> held{};  ///< every shard this node holds after the call
  std::size_t surplus = 0;         ///< more than its fair share by so many: others have fewer
};
struct NodeInfo {
  std::string name{};
  std::string address{};
  std::size_t shards = 0;
  std::size_t shards_max = 0;
  TimePoint started_at{};
  TimePoint renewed_at{};
  TimePoint expires_at{};
  bool alive = false;  ///< its lease has not ended
};

/// Who owns which shard. Judged by the database's clock.
class Leases {
 public:
  virtual ~Leases() = default;
  /// Renews what the node holds and takes free or expired shards up to its fair share: all living
  /// nodes hold the same number, as far as their `shards_max` allow and all shards can be held.
  virtual void renew(LeaseRequest request, std::function<void(Result<LeaseAnswer>)> done) = 0;
  /// Gives some back, at once available to others. What the node does not hold is passed over; so
  /// is everything, here and below, if another process has taken the name over.
  virtual void give_up(NodeIdentity node, std::vector<Shard> shards,
                       std::function<void(Result<Done>)> done) = 0;
  /// The node has worked on everything that it found in these shards, and lives. Until then whoever
  /// takes one over from a lost node is told that it is suspect.
  virtual void prove(NodeIdentity node, std::vector<Shard> shards,
                     std::function<void(Result<Done>)> done) = 0;
  /// Counts a strike against a saga of a suspect shard: the first one, or one more if `again`.
  /// @return how many there are now; 0: it has some already, and none was counted
  virtual void strike(SagaId saga, bool again, std::function<void(Result<std::int64_t>)> done) = 0;
  /// Takes all of them back: the node has survived it.
  virtual void forgive(SagaId saga, std::function<void(Result<Done>)> done) = 0;
  /// Gives everything back and forgets the node.
  virtual void release(NodeIdentity node, std::function<void(Result<Done>)> done) = 0;
  /// Every node that is known, by name.
  virtual void nodes(std::function<void(Result<std::vector<NodeInfo>>)> done) = 0;
  /// `hint` whenever shards have become free or the lineage has changed, on any thread: a reason to
  /// renew now. Set once, before the first renewal; not hearing it costs only time.
  virtual void on_free_shards(std::function<void()> hint) = 0;
};

/// A command for a saga, put down for whichever node holds it.
struct InboxItem {
  std::int64_t id = 0;
  SagaId saga{};
  /// `start`, `signal`, `callback`, `cancel`, `retry`, `suspend`, `skip`, `resolve`
  std::string kind{};
  std::string node{};        ///< who wants the answer; empty: nobody, it came by SQL
  std::string data{};        ///< JSON text of an object; empty in an item of over inbox_bytes_max
  TimePoint at{};            ///< when it was put down, by the database's clock
  std::string definition{};  ///< of a start, known even if its data cannot be read
  std::int64_t version = 0;  ///< of a start: the version that was chosen for it
  std::size_t bytes = 0;     ///< of data, as it is stored
};
/// Of an item's data; the store refuses to take more.
inline constexpr std::size_t inbox_bytes_max = 4 * 1024 * 1024;
/// A page ends with the item that brings it to as many bytes.
inline constexpr std::size_t inbox_page_bytes = 4 * 1024 * 1024;
/// Commands that may wait for one saga, by SQL and by nodes each.
inline constexpr std::size_t inbox_of_saga_max = 100;
/// Commands of one saga that are given before the first of them is settled, so that no saga takes
/// the places of the others.
inline constexpr std::size_t inbox_lot_max = 10;
/// How often a command may fail before it is set aside.
inline constexpr int inbox_failures_max = 5;
/// How far a part of the inbox has been read. Only the store that made it can read it; empty: the
/// beginning.
using InboxCursor = std::string;
struct InboxRange {
  InboxCursor from{};
  std::size_t limit = 0;  ///< 0: the part is not read
};
struct InboxQuery {
  std::vector<Shard> shards{};
  InboxRange commands{};
  InboxRange starts{};
  /// What waits for these sagas is read in any case, whatever the cursors say.
  std::vector<SagaId> sagas{};
};
struct InboxPage {
  std::vector<InboxItem> items{};  ///< by number
  bool is_full = false;            ///< there may be more, which are read from `next` on
  InboxCursor next{};              ///< everything that is not committed yet comes after it
};
struct InboxPoll {
  InboxPage commands{};
  InboxPage starts{};
  /// Commands wait for them that were not given: their start waits, or the poll had no room.
  std::vector<SagaId> left_out{};
};
struct InboxAnswer {
  std::int64_t id = 0;
  std::string error{};  ///< JSON text of an object; empty: it was carried out
};

/// A command could not be executed although nothing was wrong with the store.
struct InboxFailure {
  std::int64_t id = 0;
  std::string why{};
  std::string error{};  ///< JSON text of an object: what its node is answered if it is set aside
};

/// Commands that cannot be given to the saga here: put down by nodes that do not hold it, and by
/// SQL. Consumed by the append that settles them.
class Inbox {
 public:
  virtual ~Inbox() = default;
  /// @return its number; not_found/saga-not-found, overloaded/commands-overflow,
  /// invalid/store-refused
  virtual void put(InboxItem item, std::function<void(Result<std::int64_t>)> done) = 0;
  /// The items that wait. A cursor passes each item once, when it has been committed, however late
  /// that is. A saga that it has met a command of, or that is asked for, is given its first
  /// inbox_lot_max commands, so that they come in their order, and none while its start waits: for
  /// the others the saga has to be asked for later. Items that were set aside are not given.
  /// A page is full once it has met `limit` items, or starts of inbox_page_bytes.
  virtual void poll(InboxQuery query, std::function<void(Result<InboxPoll>)> done) = 0;
  /// The start by SQL of a saga that has not been taken up; nothing: none waits.
  virtual void start_of(SagaId saga,
                        std::function<void(Result<std::optional<InboxItem>>)> done) = 0;
  /// Counts the failure. The time inbox_failures_max the item is set aside: it stays, is not given
  /// any more, leaves a row `KIND-set-aside` in the audit, and its node is answered.
  /// @return whether it was set aside
  virtual void failed(InboxFailure failure, std::function<void(Result<bool>)> done) = 0;
  /// Answers to what this node has put down; each is given once.
  virtual void take_answers(std::string node,
                            std::function<void(Result<std::vector<InboxAnswer>>)> done) = 0;
  /// `hint` whenever a node has put something down, on any thread: a reason to poll now. Set once,
  /// before anything else; not hearing it costs only time. Commands by SQL give no hint.
  virtual void on_arrival(std::function<void()> hint) = 0;
};

struct ListQuery {
  std::vector<std::string> statuses{};
  std::optional<std::string> definition{};
  std::optional<std::string> business_key{};
  std::map<std::string, std::string> labels{};
  std::optional<TimePoint> started_after{};
  std::optional<TimePoint> started_before{};
  std::optional<std::string> failure_code{};
  std::optional<SagaId> first{};   ///< the lowest id
  std::optional<SagaId> last{};    ///< the highest id
  std::optional<SagaId> before{};  ///< continue behind this id: newest first
  std::size_t limit = 50;
};
struct SagaSummary {
  SagaId id{};
  std::string definition{};
  std::int64_t version = 0;
  std::string status{};
  std::optional<std::string> business_key{};
  std::string labels{};   ///< JSON text
  std::string failure{};  ///< JSON text or empty
  bool pivot_passed = false;
  TimePoint started_at{};
  std::optional<TimePoint> ended_at{};
  std::string sensitive{};  ///< as NewSaga::sensitive
};

/// A part of a log.
struct HistoryPage {
  std::vector<EventRecord> events{};
  bool has_more = false;  ///< there are events after these
};
/// As many of the events as a page may have. @param events one more than `limit`, if there are
inline HistoryPage history_page(std::vector<EventRecord> events, std::size_t limit) {
  std::size_t fitting = 0;
  std::size_t bytes = 0;
  for (; fitting < events.size() && fitting < limit; ++fitting) {
    bytes += events[fitting].data.size();
    if (fitting > 0 && bytes > history_bytes_max) break;
  }
  const bool has_more = fitting < events.size();
  events.resize(fitting);
  return {std::move(events), has_more};
}

/// For those who only look.
class SagaReader {
 public:
  virtual ~SagaReader() = default;
  virtual void list(ListQuery query,
                    std::function<void(Result<std::vector<SagaSummary>>)> done) = 0;
  /// At most `limit` events, and as history_page() says. @return not_found/saga-not-found
  virtual void history(SagaId saga, Sequence after, std::size_t limit,
                       std::function<void(Result<HistoryPage>)> done) = 0;
};

struct StoredDefinition {
  std::string name{};
  std::int64_t version = 0;
  std::string hash{};
  std::string document{};  ///< JSON text, canonical
  std::string findings{};  ///< JSON text of an array: the warnings
  std::string pins{};      ///< JSON text of an object: its sub-sagas as they were at registration
  bool active = false;
  TimePoint registered_at{};
};
struct StoredService {
  std::string name{};
  std::string document{};  ///< JSON text
};
enum class PutOutcome { created, same, conflict };

struct CatalogContent {
  std::int64_t revision = 0;
  std::vector<StoredDefinition> definitions{};
  std::vector<StoredService> services{};
};

/// Definitions and services of this environment.
class Catalog {
 public:
  virtual ~Catalog() = default;
  /// Everything that changed after `revision` (0: all).
  virtual void changes(std::int64_t revision, std::function<void(Result<CatalogContent>)> done) = 0;
  /// The secret of this installation, the same for all nodes, of which callback tokens and
  /// idempotency keys are derived. It returns with every restore. No role but the engine's can read
  /// it.
  virtual void secret(std::function<void(Result<std::string>)> done) = 0;
  /// The first version of a name becomes active; a later one too if `activate`.
  virtual void put_definition(StoredDefinition definition, bool activate,
                              std::function<void(Result<PutOutcome>)> done) = 0;
  /// @return not_found/definition-not-found
  virtual void activate(std::string name, std::int64_t version,
                        std::function<void(Result<Done>)> done) = 0;
  virtual void put_service(StoredService service, std::function<void(Result<PutOutcome>)> done) = 0;
};

}  // namespace backstitch::engine

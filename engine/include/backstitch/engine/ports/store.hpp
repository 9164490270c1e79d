#pragma once
/// What the engine asks of its storage. Five small ports: the journal's, the leases', the inbox's,
/// the readers' and the catalogue's. Calls may come from any thread; `done` is called exactly once,
/// on a thread of the store's, never inside the call; whoever needs another thread posts there.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/machine/event.hpp>
#include <backstitch/engine/machine/ids.hpp>

namespace backstitch::engine {

/// A key under which a start is idempotent.
struct StartKey {
  /// `key` of a caller, `child` of a parent's step, `business:<definition>` for business keys
  std::string scope{};
  std::string key{};
  /// Known from a saga that FAILED it counts as free, and is the new saga's: a business key under
  /// `businessKeyReuse: afterFailed`.
  bool reuses_failed = false;
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
  Epoch epoch{};                      ///< of the saga's shard, as this node holds it
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
  reserved,   ///< a start whose key another start holds that has not been taken up: ask again
  conflict,   ///< the sequence was not the expected one, or the command is settled already; nothing
              ///< written
  fenced,     ///< the shard is not ours at that epoch; nothing written
  refused,    ///< the store cannot hold this content, however often it is tried; nothing written
  abandoned   ///< the store was closed before the outcome was known: written or not
};
struct AppendResult {
  AppendOutcome outcome = AppendOutcome::written;
  SagaId existing{};
  bool same_input = false;
  bool by_business_key = false;  ///< the key that exists is one
};

struct StoredSaga {
  SagaId id{};
  std::vector<EventRecord> events{};  ///< complete, in order
};

/// The most rows one query of a store gives or touches, whatever limit it is asked for.
inline constexpr std::size_t limit_max = 500;

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

/// The journal's side: appends, and what is needed to take a saga into memory.
class Store {
 public:
  virtual ~Store() = default;
  /// Writes the batch in one transaction, each item fenced and checked on its own; one result an
  /// item, in order. A commit whose answer was lost is resolved before `done` is called, however
  /// long the database is away; batches of one lane are written in order. At most one batch a lane
  /// at a time.
  virtual void append(std::size_t lane, std::vector<Append> batch,
                      std::function<void(std::vector<AppendResult>)> done) = 0;
  /// Sagas that do not exist are left out.
  virtual void load(std::vector<SagaId> sagas,
                    std::function<void(Result<std::vector<StoredSaga>>)> done) = 0;
  /// Active (RUNNING, COMPENSATING) sagas whose wake_at is due, and suspended ones that have a
  /// wake_at, because they go on all the same; ordered by id.
  virtual void due(DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) = 0;
  /// Removes at most `limit` sagas of these shards whose time to be kept is over, with their
  /// children, logs and keys. @return how many
  virtual void remove_expired(std::vector<Shard> shards, std::size_t limit,
                              std::function<void(Result<std::size_t>)> done) = 0;
  /// False while the database cannot be reached.
  virtual bool reachable() const = 0;
};

struct ShardLease {
  Shard shard = 0;
  Epoch epoch{};
  bool operator==(const ShardLease&) const = default;
};
struct LeaseRequest {
  std::string node{};
  Duration lease{0};
  std::size_t shards_max = 0;
  /// This process is new: shards still leased under its name by an earlier one are taken over,
  /// epoch raised, without waiting for their lease to end.
  bool first = false;
  std::string address{};  ///< where this node listens, for people to see
};
struct LeaseAnswer {
  TimePoint database_now{};
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
  /// Gives some back, at once available to others. What the node does not hold is passed over.
  virtual void give_up(std::string node, std::vector<Shard> shards,
                       std::function<void(Result<Done>)> done) = 0;
  /// Gives everything back and forgets the node.
  virtual void release(std::string node, std::function<void(Result<Done>)> done) = 0;
  /// Every node that is known, by name.
  virtual void nodes(std::function<void(Result<std::vector<NodeInfo>>)> done) = 0;
  /// `hint` whenever shards have become free, on any thread: a reason to renew now. Set once,
  /// before the first renewal; not hearing it costs only time.
  virtual void on_free_shards(std::function<void()> hint) = 0;
};

/// A command for a saga, put down for whichever node holds it.
struct InboxItem {
  std::int64_t id = 0;
  SagaId saga{};
  /// `start`, `signal`, `callback`, `cancel`, `retry`, `suspend`, `skip`, `resolve`
  std::string kind{};
  std::string node{};  ///< who wants the answer; empty: nobody, it came by SQL
  std::string data{};  ///< JSON text of an object
  TimePoint at{};      ///< when it was put down, by the database's clock
};
struct InboxQuery {
  std::vector<Shard> shards{};
  bool starts = false;     ///< starts only, or everything else
  std::int64_t after = 0;  ///< continue behind this number
  std::size_t limit = 200;
};
struct InboxAnswer {
  std::int64_t id = 0;
  std::string error{};  ///< JSON text of an object; empty: it was carried out
};

/// Commands that cannot be given to the saga here: put down by nodes that do not hold it, and by
/// SQL. Consumed by the append that settles them.
class Inbox {
 public:
  virtual ~Inbox() = default;
  /// @return its number; not_found/saga-not-found
  virtual void put(InboxItem item, std::function<void(Result<std::int64_t>)> done) = 0;
  /// Those that wait, by number. Commands for a saga whose start still waits are left out.
  virtual void waiting(InboxQuery query,
                       std::function<void(Result<std::vector<InboxItem>>)> done) = 0;
  /// The start by SQL of a saga that has not been taken up; nothing: none waits.
  virtual void start_of(SagaId saga,
                        std::function<void(Result<std::optional<InboxItem>>)> done) = 0;
  /// Answers to what this node has put down; each is given once.
  virtual void take_answers(std::string node,
                            std::function<void(Result<std::vector<InboxAnswer>>)> done) = 0;
  /// `hint` whenever something was put down, on any thread: a reason to look now. Set once, before
  /// anything else; not hearing it costs only time.
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

/// For those who only look.
class SagaReader {
 public:
  virtual ~SagaReader() = default;
  virtual void list(ListQuery query,
                    std::function<void(Result<std::vector<SagaSummary>>)> done) = 0;
  /// @return not_found/saga-not-found
  virtual void history(SagaId saga, Sequence after, std::size_t limit,
                       std::function<void(Result<std::vector<EventRecord>>)> done) = 0;
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
  /// The first version of a name becomes active; a later one too if `activate`.
  virtual void put_definition(StoredDefinition definition, bool activate,
                              std::function<void(Result<PutOutcome>)> done) = 0;
  /// @return not_found/definition-not-found
  virtual void activate(std::string name, std::int64_t version,
                        std::function<void(Result<Done>)> done) = 0;
  virtual void put_service(StoredService service, std::function<void(Result<PutOutcome>)> done) = 0;
};

}  // namespace backstitch::engine

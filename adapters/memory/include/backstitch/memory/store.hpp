#pragma once
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/store.hpp>

namespace backstitch::memory {

/// The five storage ports without durability: for tests, rehearsals, the simulator and users' own
/// tests. Several nodes may share one. Everything is decided inside the call and answered through
/// the executor, in the order of the calls, so a run on a virtual clock is repeatable. Threads:
/// any, if the executor allows it. The executor must outlive the store, and the store every answer
/// that is still posted.
class MemoryStore final : public engine::Store,
                          public engine::Leases,
                          public engine::Inbox,
                          public engine::SagaReader,
                          public engine::Catalog {
 public:
  /// @param start what the database's clock shows now; from here it runs with the executor's
  MemoryStore(engine::Executor& executor, TimePoint start);

  void append(std::size_t lane, std::vector<engine::Append> batch,
              std::function<void(std::vector<engine::AppendResult>)> done) override;
  void load(std::vector<SagaId> sagas,
            std::function<void(Result<std::vector<engine::StoredSaga>>)> done) override;
  void due(engine::DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) override;
  void remove_expired(std::vector<Shard> shards, std::size_t limit, Duration key_retention,
                      std::function<void(Result<std::size_t>)> done) override;
  bool reachable() const override { return true; }

  void renew(engine::LeaseRequest request,
             std::function<void(Result<engine::LeaseAnswer>)> done) override;
  void give_up(engine::NodeIdentity node, std::vector<Shard> shards,
               std::function<void(Result<Done>)> done) override;
  void nodes(std::function<void(Result<std::vector<engine::NodeInfo>>)> done) override;
  void on_free_shards(std::function<void()> hint) override;
  void prove(engine::NodeIdentity node, std::vector<Shard> shards,
             std::function<void(Result<Done>)> done) override;
  void strike(SagaId saga, bool again, std::function<void(Result<std::int64_t>)> done) override;
  void forgive(SagaId saga, std::function<void(Result<Done>)> done) override;
  void release(engine::NodeIdentity node, std::function<void(Result<Done>)> done) override;

  void put(engine::InboxItem item, std::function<void(Result<std::int64_t>)> done) override;
  void poll(engine::InboxQuery query, std::function<void(Result<engine::InboxPoll>)> done) override;
  void start_of(SagaId saga,
                std::function<void(Result<std::optional<engine::InboxItem>>)> done) override;
  void failed(engine::InboxFailure failure, std::function<void(Result<bool>)> done) override;
  void take_answers(std::string node,
                    std::function<void(Result<std::vector<engine::InboxAnswer>>)> done) override;
  void on_arrival(std::function<void()> hint) override;

  void list(engine::ListQuery query,
            std::function<void(Result<std::vector<engine::SagaSummary>>)> done) override;
  void history(SagaId saga, engine::Sequence after, std::size_t limit,
               std::function<void(Result<engine::HistoryPage>)> done) override;

  void changes(std::int64_t revision,
               std::function<void(Result<engine::CatalogContent>)> done) override;
  void secret(std::function<void(Result<std::string>)> done) override;
  void put_definition(engine::StoredDefinition definition, bool activate,
                      std::function<void(Result<engine::PutOutcome>)> done) override;
  void activate(std::string name, std::int64_t version,
                std::function<void(Result<Done>)> done) override;
  void put_service(engine::StoredService service,
                   std::function<void(Result<engine::PutOutcome>)> done) override;

  /// Whether an earlier process of a node still has sessions, as `has_sessions` says of its
  /// incarnation. Never, unless this is set.
  void set_sessions(std::function<bool(const std::string& incarnation)> has_sessions);
  void set_hold(bool on_hold);
  /// All that is stored at a moment. A copy.
  class Content;
  std::shared_ptr<const Content> content() const;
  /// The database is replaced by that copy of itself.
  void set_back(const Content& content);
  /// The database is replaced by a copy of itself that lacks the events of this saga after `last`.
  void set_back(SagaId saga, engine::Sequence last);
  /// The same, and a definition is lost.
  void forget_definition(const std::string& name);
  /// What backstitch.start_saga does in SQL: a start in the inbox, its keys reserved. Whether a
  /// known key was used with the same input is not looked at.
  /// @return the saga of the key if it is known
  SagaId start_by_sql(SagaId saga, const std::string& definition, std::int64_t version,
                      const std::string& input, std::optional<std::string> business_key,
                      std::optional<std::string> idempotency_key = std::nullopt);
  /// What somebody with rights on the table may have done to it: nothing of it is judged.
  void put_unjudged(engine::InboxItem item);
  void spoil_start(SagaId saga, const std::string& data);
  /// How often the inbox has been polled.
  std::size_t polls() const;
  /// Everything audited so far, in order.
  std::vector<std::pair<SagaId, engine::AuditEntry>> audited() const;

 private:
  struct Saga {
    engine::SagaSummary summary;
    std::map<std::string, std::string> labels;
    std::string failure_code;
    std::optional<TimePoint> wake_at;
    std::optional<TimePoint> expires_at;
    std::optional<SagaId> parent;
    std::vector<engine::EventRecord> log;
    bool active() const;
    bool goes_on() const;  ///< though it is suspended
    bool has_had_child() const;
  };
  struct Key {
    SagaId saga;
    std::string hash{};  ///< empty: reserved
    std::int64_t version = 0;
    std::int64_t generation = 0;  ///< of a business key: sagas that were let go
    std::string removed{};        ///< the status of its saga, once retention has removed that
    TimePoint expires_at{};       ///< of the key, then
  };
  struct Owner {
    std::string node;
    engine::Epoch epoch;
    bool proven = true;
    bool suspect = false;
  };
  struct Process {
    engine::NodeInfo info;
    std::string incarnation;
  };
  template <class T>
  struct Revised {
    std::int64_t revision = 0;
    T value;
  };
  using DefinitionKey = std::pair<std::string, std::int64_t>;

  TimePoint now() const;
  template <class T>
  void answer(std::function<void(T)> done, T value) {
    executor_.post([done = std::move(done), value = std::make_shared<T>(std::move(value))] {
      done(std::move(*value));
    });
  }
  engine::AppendResult write(const engine::Append& item);
  std::optional<engine::AppendResult> known_key(const engine::Append& item);
  void keep_keys(const engine::Append& item);
  void create(Saga& saga, const engine::Append& item);
  void settle(const engine::InboxSettled& settled);
  void tell_of_arrival();
  bool start_waits(SagaId saga) const;
  bool is_set_aside(std::int64_t item) const;
  bool is_waiting(const engine::InboxQuery& query, const engine::InboxItem& item) const;
  std::vector<engine::InboxItem> lot_of(const engine::InboxQuery& query, SagaId saga) const;
  engine::InboxPage page_of(const engine::InboxQuery& query, const engine::InboxRange& range,
                            bool starts) const;
  bool is_inbox_full(const engine::InboxItem& item) const;
  void put_down(engine::InboxItem item);
  bool matches(const Saga& saga, const engine::ListQuery& query) const;
  bool make_active(const std::string& name, std::int64_t version);
  static Owner taken(const Owner& from, const std::string& node, engine::Epoch floor);
  void take(std::size_t shard, const engine::LeaseRequest& request);
  const Process* namesake_of(const engine::LeaseRequest& request) const;
  void renew_and_take(const engine::LeaseRequest& request, engine::LeaseAnswer& leases);
  void enter(const engine::LeaseRequest& request);
  bool is_current(const engine::NodeIdentity& node) const;
  static void set_free(Owner& owner);
  std::size_t fair_share(const std::string& node) const;
  void tell_of_free_shards();
  void begin_lineage();
  /// References to all that is stored.
  template <class Self>
  static auto stored(Self& self);

  engine::Executor& executor_;
  const TimePoint start_;
  const engine::SteadyTime origin_;

  mutable std::mutex mutex_;
  std::map<SagaId, Saga> sagas_;
  std::map<std::pair<std::string, std::string>, Key> keys_;
  std::array<Owner, shard_count> shards_;
  std::int64_t lineage_ = 1;
  bool on_hold_ = false;
  std::map<std::string, Process> nodes_;
  std::function<bool(const std::string&)> has_sessions_;
  std::vector<std::function<void()>> free_shards_hints_;
  std::map<SagaId, std::int64_t> strikes_;
  std::map<std::int64_t, engine::InboxItem> inbox_;
  std::map<std::int64_t, int> inbox_failures_;
  std::map<std::string, std::vector<engine::InboxAnswer>> answers_;
  std::int64_t inbox_last_ = 0;
  std::size_t polls_ = 0;
  std::vector<std::function<void()>> arrival_hints_;
  std::int64_t revision_ = 0;
  std::map<DefinitionKey, Revised<engine::StoredDefinition>> definitions_;
  std::map<std::string, Revised<engine::StoredService>> services_;
  std::vector<std::pair<SagaId, engine::AuditEntry>> audited_;
};

}  // namespace backstitch::memory

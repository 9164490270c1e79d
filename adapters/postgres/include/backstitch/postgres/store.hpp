#pragma once
#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <string>

#include <backstitch/engine/ports/observer.hpp>
#include <backstitch/engine/ports/store.hpp>
#include <backstitch/engine/ports/supervisor.hpp>

namespace backstitch::postgres {

struct Options {
  std::string database_url;
  /// Writers of the reactors, see engine::Lanes; each has a thread and a connection, and so have
  /// the lanes beside theirs.
  std::size_t lanes = 1;
  std::size_t readers = 2;          ///< the same, for everything that is only looked at
  std::string node = "backstitch";  ///< for people who look at the sessions
  /// Settings that may endanger durability and are accepted all the same: `fsync`,
  /// `full_page_writes`, `synchronous_commit`.
  std::set<std::string> allow_unsafe{};
  /// Told of the database's errors, which no caller is: `database-error`.
  engine::Observer* observer = nullptr;
  /// Ends the process when the database turns out to be one that it must not go on with:
  /// `database-foreign`. nullptr: such a database is only not used.
  engine::Supervisor* supervisor = nullptr;
  /// A database that was copied to another cluster, or restored, is the one to work on.
  bool adopt = false;
  /// Nothing is written, whatever the ports are asked for: every session is read-only.
  bool read_only = false;
  /// Refuses a server that does not tell which one it is.
  bool require_identity = false;
  std::string incarnation{};  ///< of the process; begins the names of its sessions
  /// Between two reads of the figures of the whole database.
  std::chrono::milliseconds figures_every{15'000};
};

/// The five storage ports on PostgreSQL 15 or later.
/// Threads: any; callbacks come on the store's own threads. Owns lanes + 3 + readers + 4
/// connections, and while one is opened a second one beside it. One node a store: appends are
/// fenced under the identity that was last renewed through it. Reads beyond 4,096 waiting ones are
/// refused with overloaded/store-busy. Lifetime: open() once, then the ports, then close(); the
/// destructor closes. A batch whose outcome is not known at close() is answered `abandoned`; every
/// callback has been called when close() returns. If the database goes back, or is promoted to
/// another timeline, batches in flight are answered `abandoned` and the lineage of the lease
/// changes.
class PostgresStore final : public engine::Store,
                            public engine::Leases,
                            public engine::Inbox,
                            public engine::SagaReader,
                            public engine::Catalog {
 public:
  explicit PostgresStore(Options options);
  ~PostgresStore() override;

  /// Connects and checks that the server is one that can be trusted with sagas.
  /// May be called again after it failed.
  /// @return unavailable/store-unavailable, which may pass by itself; invalid/database-url-invalid,
  ///   -login-refused, -missing, -privilege-missing, -schema-unfit, -unfit, -pooled, -too-old,
  ///   -encoding, -unsafe-setting, -foreign, invalid/schema-not-migrated, -too-new, -changed
  Result<Done> open();
  void close();

  void append(std::size_t lane, std::vector<engine::Append> batch,
              std::function<void(std::vector<engine::AppendResult>)> done) override;
  void load(std::vector<SagaId> sagas,
            std::function<void(Result<std::vector<engine::StoredSaga>>)> done) override;
  void due(engine::DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) override;
  void remove_expired(std::vector<Shard> shards, std::size_t limit, Duration key_retention,
                      std::function<void(Result<std::size_t>)> done) override;
  bool reachable() const override;
  Error unreachable_reason() const override;
  std::string warning() const override;
  engine::StoreFigures figures() const override;

  void renew(engine::LeaseRequest request,
             std::function<void(Result<engine::LeaseAnswer>)> done) override;
  void give_up(engine::NodeIdentity node, std::vector<Shard> shards,
               std::function<void(Result<Done>)> done) override;
  void prove(engine::NodeIdentity node, std::vector<Shard> shards,
             std::function<void(Result<Done>)> done) override;
  void strike(SagaId saga, bool again, std::function<void(Result<std::int64_t>)> done) override;
  void forgive(SagaId saga, std::function<void(Result<Done>)> done) override;
  void release(engine::NodeIdentity node, std::function<void(Result<Done>)> done) override;
  void nodes(std::function<void(Result<std::vector<engine::NodeInfo>>)> done) override;
  void on_free_shards(std::function<void()> hint) override;

  /// unavailable/store-unavailable may mean that the command was put down all the same.
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

 private:
  struct Parts;
  Parts& parts();
  void end_process(const std::string& why) const;

  Options options_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace backstitch::postgres

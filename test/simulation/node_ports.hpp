#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <backstitch/engine/ports/store.hpp>

#include "database.hpp"
#include "scene.hpp"

namespace backstitch::simulation {

/// A process of a node, as far as what outlives it has to know.
struct Life {
  Caller who;
  bool alive = true;
  bool slept_past_lease = false;
  std::unique_ptr<VirtualExecutor> store_thread;  ///< on which the store answers
  std::size_t era = 0;          ///< of the database, in which its sessions were opened
  std::size_t renewed_era = 0;  ///< in which its lease was renewed last
  std::size_t calls_open = 0;
  std::map<std::string, std::uint32_t> slots_taken;  ///< by service: open calls, and given up ones
};

/// One process' way to the database, and everything that may go wrong on it: calls are slow, get
/// stuck, arrive after their process has died, or are answered with an error although they took
/// place. An append is the exception: the real adapter finds out what became of it before it
/// answers, so here its answer comes late, or never. That the database was set back is noticed by
/// the first call that comes to it since: what is in flight then is answered `abandoned`, or with
/// an error.
class NodePorts final : public engine::Store,
                        public engine::Leases,
                        public engine::Inbox,
                        public engine::SagaReader,
                        public engine::Catalog {
 public:
  NodePorts(Scene& scene, Database& database, std::shared_ptr<Life> life)
      : scene_(scene), database_(database), life_(std::move(life)) {}

  void append(std::size_t lane, std::vector<engine::Append> batch,
              std::function<void(std::vector<engine::AppendResult>)> done) override;
  void load(std::vector<SagaId> sagas,
            std::function<void(Result<std::vector<engine::StoredSaga>>)> done) override;
  void due(engine::DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) override;
  void remove_expired(std::vector<Shard> shards, std::size_t limit, Duration key_retention,
                      std::function<void(Result<std::size_t>)> done) override;
  bool reachable() const override { return database_.reachable(); }

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

  /// The store is closed: appends on their way are answered `abandoned`, written or not.
  void abandon();

 private:
  /// A batch between the journal's call and its answer.
  struct Batch {
    std::vector<engine::Append> items;
    std::size_t size = 0;
    std::function<void(std::vector<engine::AppendResult>)> done;
    bool answered = false;
    std::size_t era = 0;  ///< of the process when it was sent
  };
  template <class T>
  using Answered = std::function<void(Result<T>)>;

  /// Takes a call there and its answer back.
  template <class T>
  void ask(const char* what, std::function<void(Answered<T>)> work, Answered<T> done);
  template <class T>
  void answer(Duration after, Result<T> result, Answered<T> done);
  void arrived(const std::shared_ptr<Batch>& batch);
  std::vector<bool> take_blocked(std::vector<engine::Append>& items);
  void answered(const std::shared_ptr<Batch>& batch, std::vector<engine::AppendResult> results);
  bool is_of(std::size_t era);
  void renew_lease(const engine::LeaseRequest& request, Answered<engine::LeaseAnswer> done);
  std::function<void()> told(std::function<void()> hint);
  Duration way();
  Duration way_of_append();

  Scene& scene_;
  Database& database_;
  std::shared_ptr<Life> life_;
  std::vector<std::shared_ptr<Batch>> batches_;
  std::function<void()> on_era_;
};

}  // namespace backstitch::simulation

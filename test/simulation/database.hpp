#pragma once
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <backstitch/memory/store.hpp>

#include "evidence.hpp"
#include "ownership.hpp"
#include "scene.hpp"
#include "status_fold.hpp"

namespace backstitch::simulation {

/// A database's thread with a wall clock of its own, which may be set.
class DatabaseExecutor final : public VirtualExecutor {
 public:
  using VirtualExecutor::VirtualExecutor;
  engine::SteadyTime now() const override { return VirtualExecutor::now() + jumped_; }
  void jump(Duration by) { jumped_ += by; }

 private:
  Duration jumped_{0};
};

/// Whose call it is.
struct Caller {
  std::string node;
  std::size_t process = 0;  ///< counts the processes of all nodes
};

/// The one store of all nodes: the in-memory one, which promises what the PostgreSQL one does. It
/// may be out of reach, its clock may be set, it may be set back to what it was some appends ago (a
/// restore, or a failover to a standby that lagged), and every append that it takes is looked at.
class Database {
 public:
  using AppendDone = std::function<void(std::vector<engine::AppendResult>)>;
  using RenewDone = std::function<void(Result<engine::LeaseAnswer>)>;

  explicit Database(Scene& scene);

  memory::MemoryStore& store() { return store_; }
  TimePoint now() const;
  /// The latest time that a node can have read from this clock, had it never been set back.
  TimePoint latest() const { return std::max(latest_, now()); }
  void set_clock(Duration by);
  void go_away(Duration time) { away_until_ = scene_.world.now() + time; }
  bool reachable() const { return scene_.world.now() >= away_until_; }
  Duration away_for() const;
  /// Loses the latest appends, so many of them, and all that was stored since. Only where the plan
  /// has it.
  void set_back(std::size_t appends);
  /// Counts how often it was. A session belongs to the one in which it was opened.
  std::size_t era() const { return era_; }
  const std::vector<LostTail>& lost() const { return lost_; }
  /// It was there, or promised, and the database has forgotten it.
  bool has_forgotten(SagaId saga) const {
    return forgotten_.contains(saga) && !sagas_.contains(saga);
  }
  /// A start by SQL, which waits again where the saga was forgotten.
  bool has_promised(SagaId saga) const { return promised_.contains(saga); }
  const std::set<SagaId>& forgotten() const { return forgotten_; }
  /// The same of the signal or command of that sender.
  bool has_forgotten_of(const std::string& sender) const { return lost_senders_.contains(sender); }

  void append(const Caller& caller, std::vector<engine::Append> batch, AppendDone done);
  /// As backstitch.start_saga does.
  void start_by_sql(SagaId saga, const std::string& definition, std::int64_t version,
                    const std::string& input);
  void renew(const Caller& caller, engine::LeaseRequest request, RenewDone done);
  void give_up(const Caller& caller, engine::NodeIdentity node, std::vector<Shard> shards,
               std::function<void(Result<Done>)> done);
  void release(const Caller& caller, engine::NodeIdentity node,
               std::function<void(Result<Done>)> done);

  /// Hints, told on the database's thread.
  using Hint = std::function<void()>;
  void on_free_shards(Hint hint) { free_hints_.push_back(std::move(hint)); }
  void on_arrival(Hint hint) { arrival_hints_.push_back(std::move(hint)); }

  /// How many appends were written.
  std::size_t written() const { return written_; }
  /// Sagas by id, and their statuses as their rows say.
  const std::map<SagaId, StatusFold>& sagas() const { return sagas_; }

 private:
  /// Everything at one moment.
  struct Copy {
    std::size_t number = 0;
    std::shared_ptr<const memory::MemoryStore::Content> content;
    Ownership::Holders holders;
    std::map<SagaId, StatusFold> sagas;
  };
  void keep_copy();
  void note_lost(SagaId saga, std::size_t kept);
  void write(const Caller& caller, std::vector<engine::Append> batch, AppendDone done);
  void look_at(const Caller& caller, const engine::Append& item);

  Scene& scene_;
  DatabaseExecutor executor_;
  memory::MemoryStore store_;
  engine::SteadyTime origin_;
  TimePoint latest_{};
  engine::SteadyTime away_until_{};
  Ownership ownership_;
  std::map<SagaId, StatusFold> sagas_;
  std::size_t written_ = 0;
  std::deque<Copy> copies_;                      ///< before each of the latest batches
  std::map<SagaId, std::vector<LogLine>> logs_;  ///< where tails may be lost
  std::vector<LostTail> lost_;
  std::set<SagaId> forgotten_;
  std::map<SagaId, std::size_t> promised_;  ///< starts by SQL, each with the copy before it
  std::set<std::string> lost_senders_;
  std::size_t era_ = 0;
  std::size_t copies_made_ = 0;
  std::vector<Hint> free_hints_;
  std::vector<Hint> arrival_hints_;
};

}  // namespace backstitch::simulation

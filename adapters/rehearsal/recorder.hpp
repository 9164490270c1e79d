#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/masking.hpp>
#include <backstitch/engine/ports/store.hpp>
#include <backstitch/rehearsal/report.hpp>

namespace backstitch::rehearsal {

/// Stands between the engine and its store, and keeps what was committed: the timeline of all sagas
/// in the order of the commits, and the state of each.
class Recorder final : public engine::Store {
 public:
  using FindDefinition = std::function<std::shared_ptr<const dsl::Definition>(
      const std::string& name, std::int64_t version)>;
  Recorder(engine::Store& store, TimePoint start, FindDefinition find)
      : store_(store), start_(start), find_(std::move(find)) {}

  void append(std::size_t lane, std::vector<engine::Append> batch,
              std::function<void(std::vector<engine::AppendResult>)> done) override;
  void load(std::vector<SagaId> sagas,
            std::function<void(Result<std::vector<engine::StoredSaga>>)> done) override {
    store_.load(std::move(sagas), std::move(done));
  }
  void due(engine::DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) override {
    store_.due(std::move(query), std::move(done));
  }
  void remove_expired(std::vector<Shard> shards, std::size_t limit, Duration key_retention,
                      std::function<void(Result<std::size_t>)> done) override {
    store_.remove_expired(std::move(shards), limit, key_retention, std::move(done));
  }
  bool reachable() const override { return true; }

  /// Something from outside that the saga did not take.
  void refused(SagaId saga, TimePoint at, const std::string& what, const Error& why);

  struct Saga {
    std::shared_ptr<const dsl::Definition> definition;
    engine::SagaState state;
    std::size_t depth = 0;  ///< of its own steps
  };
  const Saga& saga(SagaId id) const { return sagas_.at(id); }
  const std::map<SagaId, Saga>& sagas() const { return sagas_; }
  const std::vector<Moment>& timeline() const { return timeline_; }
  /// Whether nothing can happen any more without a person.
  bool at_rest() const { return at_rest_; }
  /// Told of every moment, behind the commit.
  std::function<void(const Moment&)> on_moment;

 private:
  void record(const engine::Append& append);
  void begin(Saga& saga, SagaId id, const engine::SagaStarted& started);
  Moment moment_of(const Saga& saga, SagaId id, const engine::EventRecord& record) const;

  engine::Store& store_;
  TimePoint start_;
  FindDefinition find_;
  std::map<SagaId, Saga> sagas_;
  std::vector<Moment> timeline_;
  bool at_rest_ = false;
};

}  // namespace backstitch::rehearsal

#pragma once
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <backstitch/engine/ports/store.hpp>

namespace backstitch::test {

/// What the contract needs of a store under test: empty when made.
class StoreFixture {
 public:
  virtual ~StoreFixture() = default;
  /// One node's way in. `other` gives a second node's, to the same data.
  struct Ports {
    engine::Store& store;
    engine::Leases& leases;
    engine::Inbox& inbox;
    engine::SagaReader& reader;
    engine::Catalog& catalog;
  };
  virtual Ports node() = 0;
  virtual Ports other() = 0;
  /// Runs what is posted, for stores without threads. @return false if there was nothing
  virtual bool drive() { return false; }
  /// Whether the sessions of the processes behind node() exist. True only before false, after which
  /// node() is not used any more.
  virtual void set_sessions_of_node(bool exist) = 0;

  std::map<std::string, int> processes;  ///< that have renewed, by node name
};

/// Calls a port and waits for its answer.
template <class T>
T await(StoreFixture& fixture, const std::function<void(std::function<void(T)>)>& call) {
  auto answer = std::make_shared<std::promise<T>>();
  std::future<T> future = answer->get_future();
  call([answer](T value) { answer->set_value(std::move(value)); });
  for (int rounds = 0; rounds < 300'000; ++rounds) {
    const Duration wait(fixture.drive() ? 0 : 1);
    if (future.wait_for(wait) == std::future_status::ready) return future.get();
  }
  throw std::runtime_error("the store did not answer within five minutes");
}

/// The promises of the five storage ports. Run by the tests of every adapter, each `TEST_CASE` on a
/// fresh fixture: call inside a TEST_CASE; the parts are SUBCASEs.
void store_contract(const std::function<std::unique_ptr<StoreFixture>()>& make);

/// The parts of it for the catalogue, for leases, for the inbox, and for parents at a take-over.
void catalog_contract(StoreFixture& fixture);
void lease_contract(StoreFixture& fixture);
void inbox_contract(StoreFixture& fixture);
void start_keys_contract(StoreFixture& fixture);
void due_parents_contract(StoreFixture& fixture);

// Shared with the tests of single adapters.
SagaId saga_in(Shard shard, std::uint64_t number);
engine::Append a_start(SagaId saga, engine::Epoch epoch, std::vector<engine::StartKey> keys = {},
                       engine::AskedFor asked = {.hash = "hash"});
engine::Append a_step(SagaId saga, engine::Epoch epoch, std::int64_t expected);
engine::Append an_end(SagaId saga, engine::Epoch epoch, std::int64_t expected);
std::vector<engine::AppendResult> append(StoreFixture& fixture, StoreFixture::Ports ports,
                                         std::vector<engine::Append> batch);
std::vector<engine::AppendOutcome> outcomes(const std::vector<engine::AppendResult>& results);
std::vector<engine::EventRecord> log_of(StoreFixture& fixture, SagaId saga);
/// The identity of the process of this node that has renewed last.
engine::NodeIdentity identity(StoreFixture& fixture, const std::string& node);
/// @param first by a new process
engine::LeaseAnswer renew(StoreFixture& fixture, StoreFixture::Ports ports, const std::string& node,
                          Duration lease, std::size_t shards_max, bool first = false);
engine::LeaseAnswer renew_as(StoreFixture& fixture, StoreFixture::Ports ports,
                             engine::NodeIdentity node, Duration lease, bool first);

}  // namespace backstitch::test

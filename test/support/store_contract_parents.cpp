#include <doctest/doctest.h>

#include "store_contract.hpp"

namespace backstitch::test {

using namespace engine;
using namespace std::chrono_literals;

void due_parents_contract(StoreFixture& f) {
  const LeaseAnswer leases = renew(f, f.node(), "a", 1h, 256, true);
  const Epoch epoch = leases.held.front().epoch;
  const auto parents = [&](DueQuery query) {
    query.parents_only = true;
    auto found =
        await<Result<std::vector<SagaId>>>(f, [&](auto done) { f.node().store.due(query, done); });
    REQUIRE(found);
    return *found;
  };
  const auto begin = [&](SagaId saga, const std::string& type, std::optional<TimePoint> wake_at) {
    Append append = a_start(saga, epoch);
    append.events.back().type = type;
    append.row = RowChange{.status = "RUNNING", .wake_at = wake_at};
    test::append(f, f.node(), {append});
    return saga;
  };
  const TimePoint soon = leases.database_now + 30min;
  begin(saga_in(1, 1), "StepScheduled", soon);
  const SagaId parent = begin(saga_in(1, 2), "ChildScheduled", soon);
  const SagaId other = begin(saga_in(2, 3), "ChildScheduled", soon);
  begin(saga_in(1, 4), "ChildScheduled", leases.database_now + 24h);
  begin(saga_in(1, 5), "ChildScheduled", std::nullopt);
  begin(saga_in(9, 6), "ChildScheduled", soon);
  const SagaId ended = begin(saga_in(1, 7), "ChildScheduled", soon);
  test::append(f, f.node(), {an_end(ended, epoch, 2)});

  using Ids = std::vector<SagaId>;
  CHECK(parents({.shards = {1, 2}, .horizon = 1h}) == Ids{parent, other});
  CHECK(parents({.shards = {1, 2}, .horizon = 1h, .limit = 1}) == Ids{parent});
  CHECK(parents({.shards = {1, 2}, .horizon = 1h, .after = parent}) == Ids{other});
  CHECK(parents({.shards = {1, 2}, .horizon = 1h, .resident_too = true}) == Ids{parent, other});
  CHECK(parents({.shards = {1, 2}}).empty());
}

}  // namespace backstitch::test

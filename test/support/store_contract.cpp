#include "store_contract.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

namespace backstitch::test {

using namespace engine;
using namespace std::chrono_literals;

namespace {

const TimePoint t0{Duration(1'790'000'000'000)};

EventRecord event(std::int64_t sequence, std::string type, std::string path, std::string data) {
  return {Sequence(sequence), std::move(type), std::move(path), std::move(data),
          t0 + Duration(sequence)};
}

/// Stores may write JSON in another spelling; compared is what it says.
void check_same(const std::vector<EventRecord>& stored, const std::vector<EventRecord>& written) {
  REQUIRE(stored.size() == written.size());
  for (std::size_t i = 0; i < stored.size(); ++i) {
    CHECK(stored[i].sequence == written[i].sequence);
    CHECK(stored[i].type == written[i].type);
    CHECK(stored[i].path == written[i].path);
    CHECK(stored[i].at == written[i].at);
    CHECK(Json::parse(stored[i].data) == Json::parse(written[i].data));
  }
}

std::vector<SagaId> due(StoreFixture& fixture, DueQuery query) {
  auto found = await<Result<std::vector<SagaId>>>(
      fixture, [&](auto done) { fixture.node().store.due(query, done); });
  REQUIRE(found);
  return *found;
}

std::vector<SagaSummary> list(StoreFixture& fixture, ListQuery query) {
  auto found = await<Result<std::vector<SagaSummary>>>(
      fixture, [&](auto done) { fixture.node().reader.list(query, done); });
  REQUIRE(found);
  return *found;
}

Append a_row(Append append, std::string status, std::optional<TimePoint> wake_at = std::nullopt) {
  append.row = RowChange{.status = std::move(status), .wake_at = wake_at};
  return append;
}

Epoch lease_all(StoreFixture& fixture) {
  const LeaseAnswer leases = renew(fixture, fixture.node(), "a", 1h, 256, true);
  REQUIRE(leases.held.size() == 256);
  return leases.held.front().epoch;
}

void appends(StoreFixture& f) {
  const Epoch epoch = lease_all(f);
  const SagaId saga = saga_in(7, 1);

  SUBCASE("what was appended is loaded again, in order") {
    const std::vector<Append> parts = {a_start(saga, epoch), a_step(saga, epoch, 2),
                                       an_end(saga, epoch, 4)};
    std::vector<EventRecord> written;
    for (const Append& part : parts) {
      CHECK(outcomes(append(f, f.node(), {part})) == std::vector{AppendOutcome::written});
      written.insert(written.end(), part.events.begin(), part.events.end());
    }
    check_same(log_of(f, saga), written);
    const SagaSummary row = list(f, {}).at(0);
    CHECK(row.status == "COMPLETED");
    CHECK(row.definition == "orders.place");
    CHECK(row.version == 3);
    CHECK(row.pivot_passed);
    CHECK(row.started_at == t0);
    CHECK(row.ended_at == t0 + 9ms);
  }
  SUBCASE(
      "texts come back as they were: quotes, backslashes, other scripts, large and empty ones") {
    Append start = a_start(saga, epoch);
    start.events[0].data =
        Json{{"q", "\"'\\{},NULL\n\t"}, {"ü", "Ж字😀"}, {"big", std::string(100'000, 'x')}}.dump();
    start.events[1].path = "reserve/flight/holdSeats[7]/\"hold\\Seat\"";
    append(f, f.node(), {start});
    check_same(log_of(f, saga), start.events);
  }
  SUBCASE(
      "a start of a saga that exists, and an append behind or ahead of the log, are conflicts") {
    append(f, f.node(), {a_start(saga, epoch)});
    for (const Append& wrong : {a_start(saga, epoch), a_step(saga, epoch, 1),
                                a_step(saga, epoch, 3), a_step(saga_in(7, 2), epoch, 2)}) {
      CHECK(outcomes(append(f, f.node(), {wrong})) == std::vector{AppendOutcome::conflict});
    }
    CHECK(log_of(f, saga).size() == 2);
    CHECK(log_of(f, saga_in(7, 2)).empty());
  }
  SUBCASE("an item that fails its check does not stop the others") {
    append(f, f.node(), {a_start(saga, epoch)});
    const auto results = append(
        f, f.node(),
        {a_start(saga_in(1, 2), epoch), a_step(saga, epoch, 9), a_start(saga_in(2, 3), Epoch(99)),
         a_start(saga_in(3, 4), epoch), a_step(saga, epoch, 2)});
    CHECK(outcomes(results) == std::vector{AppendOutcome::written, AppendOutcome::conflict,
                                           AppendOutcome::fenced, AppendOutcome::written,
                                           AppendOutcome::written});
    CHECK(log_of(f, saga).size() == 4);
    CHECK(log_of(f, saga_in(1, 2)).size() == 2);
    CHECK(log_of(f, saga_in(2, 3)).empty());
    CHECK(list(f, {}).size() == 3);
  }
  SUBCASE("two appends of one saga in one batch are written one after the other") {
    const auto results =
        append(f, f.node(), {a_start(saga, epoch), a_step(saga, epoch, 2), an_end(saga, epoch, 4)});
    CHECK(outcomes(results) == std::vector(3, AppendOutcome::written));
    CHECK(log_of(f, saga).size() == 6);
  }
  SUBCASE("only a change of the row needs no event, and is checked like any other") {
    append(f, f.node(), {a_start(saga, epoch)});
    Append sleep;
    sleep.saga = saga;
    sleep.epoch = epoch;
    sleep.expected = Sequence(2);
    Append late = sleep;
    late.expected = Sequence(1);
    CHECK(outcomes(append(f, f.node(), {a_row(late, "SUSPENDED")})) ==
          std::vector{AppendOutcome::conflict});
    CHECK(outcomes(append(f, f.node(), {a_row(sleep, "RUNNING", t0)})) ==
          std::vector{AppendOutcome::written});
    CHECK(list(f, {}).at(0).status == "RUNNING");
    CHECK(log_of(f, saga).size() == 2);
  }
  SUBCASE("an empty batch is answered") {
    CHECK(append(f, f.node(), {}).empty());
  }
  SUBCASE("sagas that do not exist are left out of a load") {
    append(f, f.node(), {a_start(saga, epoch)});
    auto loaded = await<Result<std::vector<StoredSaga>>>(f, [&](auto done) {
      f.node().store.load({saga_in(9, 9), saga}, done);
    });
    REQUIRE(loaded);
    REQUIRE(loaded->size() == 1);
    CHECK(loaded->front().id == saga);
  }
}

void due_sagas(StoreFixture& f) {
  const LeaseAnswer leases = renew(f, f.node(), "a", 1h, 256, true);
  const Epoch epoch = leases.held.front().epoch;
  const TimePoint now = leases.database_now;
  const auto asleep = [&](Shard shard, std::uint64_t number, TimePoint wake_at) {
    append(f, f.node(), {a_row(a_start(saga_in(shard, number), epoch), "RUNNING", wake_at)});
    return saga_in(shard, number);
  };
  const SagaId resident = saga_in(1, 1);
  append(f, f.node(), {a_start(resident, epoch)});
  const SagaId overdue = asleep(1, 2, now - 1h);
  const SagaId soon = asleep(2, 3, now + 30min);
  const SagaId later = asleep(1, 4, now + 24h);
  const SagaId elsewhere = asleep(9, 5, now - 1h);
  append(f, f.node(), {a_start(saga_in(1, 6), epoch), an_end(saga_in(1, 6), epoch, 2)});
  append(f, f.node(), {a_row(a_start(saga_in(1, 7), epoch), "SUSPENDED")});
  const SagaId undoing = saga_in(2, 8);
  append(f, f.node(), {a_row(a_start(undoing, epoch), "COMPENSATING", now - 1min)});

  using Ids = std::vector<SagaId>;
  CHECK(due(f, {.shards = {1, 2}}) == Ids{overdue, undoing});
  CHECK(due(f, {.shards = {1, 2}, .horizon = 1h}) == Ids{overdue, soon, undoing});
  CHECK(due(f, {.shards = {1, 2}, .resident_too = true}) == Ids{resident, overdue, undoing});
  CHECK(due(f, {.shards = {1, 2}, .resident_too = true, .after = resident, .limit = 1}) ==
        Ids{overdue});
  CHECK(due(f, {.shards = {9}, .horizon = 48h}) == Ids{elsewhere});
  CHECK(due(f, {.shards = {1}, .horizon = 48h}) == Ids{overdue, later});
  CHECK(due(f, {.shards = {}}).empty());
  CHECK(due(f, {.shards = {1, 2}, .horizon = 1h, .lookback = 30min}) == Ids{soon, undoing});
  CHECK(due(f, {.shards = {1}, .resident_too = true, .lookback = 30min}) == Ids{resident});

  // Woken: the row says so, and it is resident again.
  append(f, f.node(), {a_row(a_step(overdue, epoch, 2), "RUNNING")});
  CHECK(due(f, {.shards = {1, 2}}) == Ids{undoing});
}

std::size_t remove_expired(StoreFixture& f, std::vector<Shard> shards, std::size_t limit,
                           Duration key_retention = 1h) {
  auto removed = await<Result<std::size_t>>(f, [&](auto done) {
    f.node().store.remove_expired(std::move(shards), limit, key_retention, done);
  });
  REQUIRE(removed);
  return *removed;
}

void expiry(StoreFixture& f) {
  const Epoch epoch = lease_all(f);
  // The database's clock decides; it is far behind t0 in no store.
  const TimePoint long_ago{Duration(1'000'000'000'000)};
  const TimePoint never{Duration(4'000'000'000'000)};
  const auto ended = [&](SagaId saga, std::optional<TimePoint> expires_at,
                         std::vector<StartKey> keys = {}) {
    append(f, f.node(), {a_start(saga, epoch, std::move(keys))});
    Append end = an_end(saga, epoch, 2);
    end.row->expires_at = expires_at;
    append(f, f.node(), {end});
  };
  ended(saga_in(7, 1), long_ago, {{"key", "k-1"}});
  ended(saga_in(7, 2), never);
  ended(saga_in(7, 3), std::nullopt);
  ended(saga_in(8, 4), long_ago);
  // A child and its child go with their parent.
  Append child = a_start(saga_in(7, 5), epoch);
  child.start->parent = saga_in(7, 1);
  Append grandchild = a_start(saga_in(7, 6), epoch);
  grandchild.start->parent = saga_in(7, 5);
  append(f, f.node(), {child, grandchild});

  CHECK(remove_expired(f, {7}, 100) == 1);
  CHECK(remove_expired(f, {7}, 100) == 0);
  for (const std::uint64_t gone : {1, 5, 6}) CHECK(log_of(f, saga_in(7, gone)).empty());
  for (const std::uint64_t kept : {2, 3}) CHECK_FALSE(log_of(f, saga_in(7, kept)).empty());
  CHECK_FALSE(log_of(f, saga_in(8, 4)).empty());
  CHECK(list(f, {}).size() == 3);
  // What it was started under is still known.
  const auto again = append(f, f.node(), {a_start(saga_in(7, 7), epoch, {{"key", "k-1"}})});
  CHECK(outcomes(again) == std::vector{AppendOutcome::duplicate});
  CHECK(again[0].existing == saga_in(7, 1));
  CHECK(again[0].removed);
  CHECK_FALSE(again[0].same_input);

  // Until its own time is over.
  ended(saga_in(7, 8), long_ago, {{"key", "k-2"}});
  CHECK(remove_expired(f, {7}, 100, 0ms) == 1);
  CHECK(remove_expired(f, {7}, 100, 0ms) == 0);
  CHECK(outcomes(append(f, f.node(), {a_start(saga_in(7, 9), epoch, {{"key", "k-2"}})})) ==
        std::vector{AppendOutcome::written});
}

void lists(StoreFixture& f) {
  const Epoch epoch = lease_all(f);
  // Saga n was started n minutes after t0; its id says the same.
  const auto start = [&](std::uint64_t n, std::string definition, std::string key,
                         std::string labels) {
    Append append = a_start(saga_in(static_cast<Shard>(n), n), epoch);
    append.start->definition = std::move(definition);
    append.start->started_at = t0 + std::chrono::minutes(n);
    if (!key.empty()) append.start->business_key = key;
    append.start->labels = std::move(labels);
    return append;
  };
  append(f, f.node(),
         {start(1, "orders.place", "o-1", R"({"region":"eu","tier":"gold"})"),
          start(2, "orders.place", "", R"({"region":"us"})"),
          start(3, "trips.book", "o-1", R"({"region":"eu"})"),
          start(4, "trips.book", "it's \"4\"", "{}")});
  Append failed = a_row(a_step(saga_in(2, 2), epoch, 2), "FAILED");
  failed.row->failure = R"({"code":"card-declined"})";
  failed.row->failure_code = "card-declined";
  failed.row->ended_at = t0 + 10min;
  append(f, f.node(), {failed, an_end(saga_in(3, 3), epoch, 2)});

  const auto numbers = [&](ListQuery query) {
    std::vector<int> found;
    for (const SagaSummary& summary : list(f, std::move(query)))
      found.push_back(summary.id.shard());
    return found;
  };
  using Numbers = std::vector<int>;
  CHECK(numbers({}) == Numbers{4, 3, 2, 1});
  CHECK(numbers({.statuses = {"RUNNING"}}) == Numbers{4, 1});
  CHECK(numbers({.statuses = {"FAILED", "COMPLETED"}}) == Numbers{3, 2});
  CHECK(numbers({.definition = "trips.book"}) == Numbers{4, 3});
  CHECK(numbers({.business_key = "o-1"}) == Numbers{3, 1});
  CHECK(numbers({.business_key = "it's \"4\""}) == Numbers{4});
  CHECK(numbers({.labels = {{"region", "eu"}}}) == Numbers{3, 1});
  CHECK(numbers({.labels = {{"region", "eu"}, {"tier", "gold"}}}) == Numbers{1});
  CHECK(numbers({.started_after = t0 + 3min}) == Numbers{4, 3});
  CHECK(numbers({.started_before = t0 + 3min}) == Numbers{2, 1});
  CHECK(numbers({.started_after = t0 + 2min, .started_before = t0 + 3min}) == Numbers{2});
  CHECK(numbers({.failure_code = "card-declined"}) == Numbers{2});
  CHECK(numbers({.definition = "orders.place", .labels = {{"region", "eu"}}}) == Numbers{1});
  CHECK(numbers({.statuses = {"RUNNING"}, .definition = "orders.place"}) == Numbers{1});
  CHECK(numbers({.statuses = {"RUNNING", "RUNNING", "FAILED"}}) == Numbers{4, 2, 1});
  CHECK(numbers({.statuses = {"RUNNING"}, .labels = {{"region", "eu"}}}) == Numbers{1});
  CHECK(numbers({.statuses = {"RUNNING"}, .failure_code = "card-declined"}).empty());
  CHECK(numbers({.statuses = {"COMPLETED"}, .business_key = "o-1"}) == Numbers{3});
  CHECK(numbers({.definition = "trips.book", .started_before = t0 + 4min}) == Numbers{3});
  CHECK(numbers({.definition = "trips.book", .before = saga_in(4, 4)}) == Numbers{3});
  CHECK(numbers({.labels = {{"region", "eu"}}, .before = saga_in(3, 3)}) == Numbers{1});
  CHECK(numbers({.labels = {{"region", "eu"}}, .started_after = t0 + 2min}) == Numbers{3});
  CHECK(numbers({.business_key = "o-1", .limit = 1}) == Numbers{3});
  CHECK(numbers({.first = saga_in(2, 2), .last = saga_in(3, 3)}) == Numbers{3, 2});
  CHECK(numbers({.first = saga_in(3, 3)}) == Numbers{4, 3});
  CHECK(numbers({.last = saga_in(1, 1)}) == Numbers{1});
  CHECK(numbers({.definition = "trips.book", .last = saga_in(3, 3)}) == Numbers{3});
  CHECK(numbers({.started_after = t0 + 3min, .first = saga_in(1, 1)}) == Numbers{4, 3});
  CHECK(numbers({.first = saga_in(3, 3), .before = saga_in(4, 4)}) == Numbers{3});
  CHECK(numbers({.labels = {{"region", "gold"}}}).empty());
  CHECK(numbers({.definition = "orders"}).empty());
  CHECK(numbers({.statuses = {"nonsense"}}).empty());
  CHECK(numbers({.limit = 2}) == Numbers{4, 3});
  CHECK(numbers({.before = saga_in(3, 3), .limit = 2}) == Numbers{2, 1});
  CHECK(numbers({.before = saga_in(1, 1)}).empty());

  const SagaSummary failure = list(f, {.failure_code = "card-declined"}).at(0);
  CHECK(Json::parse(failure.failure) == Json{{"code", "card-declined"}});
  CHECK(Json::parse(failure.labels) == Json{{"region", "us"}});
  CHECK_FALSE(failure.business_key.has_value());
  CHECK(failure.ended_at == t0 + 10min);
  CHECK(list(f, {.statuses = {"RUNNING"}}).at(0).failure.empty());
}

void histories(StoreFixture& f) {
  const Epoch epoch = lease_all(f);
  const SagaId saga = saga_in(7, 1);
  append(f, f.node(), {a_start(saga, epoch), a_step(saga, epoch, 2), an_end(saga, epoch, 4)});
  const auto page = [&](SagaId id, std::int64_t after, std::size_t limit) {
    return await<Result<HistoryPage>>(
        f, [&](auto done) { f.node().reader.history(id, Sequence(after), limit, done); });
  };
  const auto all = page(saga, 0, 100);
  REQUIRE(all);
  check_same(all->events, log_of(f, saga));
  CHECK_FALSE(all->has_more);
  const auto middle = page(saga, 2, 3);
  REQUIRE(middle);
  check_same(middle->events, {all->events[2], all->events[3], all->events[4]});
  CHECK(middle->has_more);
  CHECK(page(saga, 6, 10)->events.empty());
  CHECK_FALSE(page(saga, 6, 10)->has_more);
  const SagaId large = saga_in(7, 2);
  Append events{.saga = large, .epoch = epoch, .expected = Sequence(2)};
  for (const std::size_t size : {400'000, 400'000, 400'000, 1'500'000, 10})
    events.events.push_back(
        {Sequence(events.expected.get() + 1 + static_cast<std::int64_t>(events.events.size())),
         "StepSucceeded", "reserve", Json{{"output", std::string(size, 'x')}}.dump(), t0});
  append(f, f.node(), {a_start(large, epoch), events});
  const auto sequences = [&](std::int64_t after, std::size_t limit) {
    const auto part = page(large, after, limit);
    REQUIRE(part);
    std::string text;
    for (const auto& one : part->events) text += std::to_string(one.sequence.get()) + " ";
    return text + (part->has_more ? "and more" : "");
  };
  CHECK(sequences(0, 100) == "1 2 3 4 and more");
  CHECK(sequences(4, 100) == "5 and more");
  CHECK(sequences(5, 100) == "6 and more");
  CHECK(sequences(6, 100) == "7 ");
  CHECK(sequences(2, 1) == "3 and more");
  const auto missing = page(saga_in(7, 99), 0, 10);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::not_found);
  CHECK(missing.error().reason == "saga-not-found");
}

}  // namespace

void store_contract(const std::function<std::unique_ptr<StoreFixture>()>& make) {
  const std::unique_ptr<StoreFixture> fixture = make();
  SUBCASE("appends") {
    appends(*fixture);
  }
  SUBCASE("starts under a key that is known are duplicates") {
    start_keys_contract(*fixture);
  }
  SUBCASE("leases") {
    lease_contract(*fixture);
  }
  SUBCASE("the inbox") {
    inbox_contract(*fixture);
  }
  SUBCASE("due sagas are those of the shards, active, and due within the horizon") {
    due_sagas(*fixture);
  }
  SUBCASE("parents that sleep are told by their log, whether or not the child is there") {
    due_parents_contract(*fixture);
  }
  SUBCASE("a saga that was kept long enough is removed with its log, keys and children") {
    expiry(*fixture);
  }
  SUBCASE("lists are newest first, filtered and paged") {
    lists(*fixture);
  }
  SUBCASE("histories are paged, and a saga that does not exist has none") {
    histories(*fixture);
  }
  SUBCASE("the catalogue keeps what was registered and tells what changed") {
    catalog_contract(*fixture);
  }
}

SagaId saga_in(Shard shard, std::uint64_t number) {
  // Not SagaId::make: tests name their sagas, and minute n after t0 orders them.
  const std::int64_t ms = (t0 + std::chrono::minutes(number)).time_since_epoch().count();
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(ms) >> (8 * (5 - i)));
  }
  bytes[6] = 0x70;
  bytes[8] = 0x80;
  bytes[15] = shard;
  return SagaId(bytes);
}

Append a_start(SagaId saga, Epoch epoch, std::vector<StartKey> keys, AskedFor asked) {
  Append append{.saga = saga, .epoch = epoch, .expected = Sequence(0)};
  append.events = {event(1, "SagaStarted", "", R"({"input":{"orderId":"o-1"}})"),
                   event(2, "StepScheduled", "reserve", R"({"request":{"body":{"n":1}}})")};
  append.start = NewSaga{.definition = "orders.place",
                         .version = 3,
                         .labels = "{}",
                         .input = R"({"orderId":"o-1"})",
                         .started_at = t0,
                         .keys = std::move(keys),
                         .asked = std::move(asked)};
  return append;
}

Append a_step(SagaId saga, Epoch epoch, std::int64_t expected) {
  Append append{.saga = saga, .epoch = epoch, .expected = Sequence(expected)};
  append.events = {event(expected + 1, "StepSucceeded", "reserve", R"({"output":{"id":7}})"),
                   event(expected + 2, "StepScheduled", "charge", R"({"request":{"body":null}})")};
  return append;
}

Append an_end(SagaId saga, Epoch epoch, std::int64_t expected) {
  Append append{.saga = saga, .epoch = epoch, .expected = Sequence(expected)};
  append.events = {event(expected + 1, "StepSucceeded", "charge", R"({"output":{"id":8}})"),
                   event(expected + 2, "SagaEnded", "", R"({"status":"COMPLETED"})")};
  append.row = RowChange{.status = "COMPLETED",
                         .output = R"({"ok":true})",
                         .pivot_passed = true,
                         .ended_at = t0 + 9ms};
  return append;
}

std::vector<AppendResult> append(StoreFixture& fixture, StoreFixture::Ports ports,
                                 std::vector<Append> batch) {
  return await<std::vector<AppendResult>>(
      fixture, [&](auto done) { ports.store.append(0, std::move(batch), done); });
}

std::vector<AppendOutcome> outcomes(const std::vector<AppendResult>& results) {
  std::vector<AppendOutcome> all;
  for (const AppendResult& result : results) all.push_back(result.outcome);
  return all;
}

std::vector<EventRecord> log_of(StoreFixture& fixture, SagaId saga) {
  auto loaded = await<Result<std::vector<StoredSaga>>>(
      fixture, [&](auto done) { fixture.node().store.load({saga}, done); });
  REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error().message));
  return loaded->empty() ? std::vector<EventRecord>{} : loaded->front().events;
}

NodeIdentity identity(StoreFixture& fixture, const std::string& node) {
  const std::string number = std::to_string(fixture.processes[node]);
  return {node, "00000000-0000-4000-8000-" + std::string(12 - number.size(), '0') + number};
}

LeaseAnswer renew(StoreFixture& fixture, StoreFixture::Ports ports, const std::string& node,
                  Duration lease, std::size_t shards_max, bool first) {
  if (first) ++fixture.processes[node];
  auto answer = await<Result<LeaseAnswer>>(fixture, [&](auto done) {
    ports.leases.renew({identity(fixture, node), lease, shards_max, first, "here:1"}, done);
  });
  REQUIRE(answer);
  REQUIRE_FALSE(answer->namesake);
  return *answer;
}

LeaseAnswer renew_as(StoreFixture& fixture, StoreFixture::Ports ports, NodeIdentity node,
                     Duration lease, bool first) {
  auto answer = await<Result<LeaseAnswer>>(fixture, [&](auto done) {
    ports.leases.renew({std::move(node), lease, shard_count, first, "there:2"}, done);
  });
  REQUIRE(answer);
  return *answer;
}

}  // namespace backstitch::test

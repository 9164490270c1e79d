#include <doctest/doctest.h>

#include "store_contract.hpp"

namespace backstitch::test {

using namespace engine;
using namespace std::chrono_literals;

void lease_contract(StoreFixture& f) {
  const auto is_suspect = [](const ShardLease& lease) { return lease.suspect; };
  SUBCASE("a node takes free shards up to its share, and another takes the rest") {
    CHECK(renew(f, f.node(), "a", 1h, 100).held.size() == 100);
    CHECK(renew(f, f.other(), "b", 1h, 256).held.size() == 156);
    CHECK(renew(f, f.node(), "a", 1h, 256).held.size() == 100);
  }
  SUBCASE("a renewal keeps shards and epochs") {
    const auto before = renew(f, f.node(), "a", 1h, 256).held;
    CHECK(renew(f, f.node(), "a", 1h, 256).held == before);
  }
  SUBCASE("a lease that ended is taken over at a higher epoch, and the loser is fenced") {
    const auto lost = renew(f, f.node(), "a", 0ms, 256).held;
    append(f, f.node(), {a_start(saga_in(7, 1), lost[7].epoch)});
    const auto taken = renew(f, f.other(), "b", 1h, 256).held;
    REQUIRE(taken.size() == 256);
    CHECK(taken[7].epoch > lost[7].epoch);
    CHECK(outcomes(append(f, f.node(), {a_step(saga_in(7, 1), lost[7].epoch, 2)})) ==
          std::vector{AppendOutcome::fenced});
    CHECK(outcomes(append(f, f.other(), {a_step(saga_in(7, 1), taken[7].epoch, 2)})) ==
          std::vector{AppendOutcome::written});
    CHECK(renew(f, f.node(), "a", 1h, 256).held.empty());
  }
  SUBCASE("a lease that ended but was not taken goes on at its epoch") {
    const auto before = renew(f, f.node(), "a", 0ms, 256).held;
    CHECK(renew(f, f.node(), "a", 1h, 256).held == before);
  }
  SUBCASE("who lost its shards and gets them back holds them at an epoch that was nobody's") {
    const auto first = renew(f, f.node(), "a", 0ms, 256).held;
    const auto between = renew(f, f.other(), "b", 0ms, 256).held;
    const auto again = renew(f, f.node(), "a", 1h, 256).held;
    REQUIRE(again.size() == 256);
    CHECK(again[7].epoch > between[7].epoch);
    CHECK(outcomes(append(f, f.node(), {a_start(saga_in(7, 1), first[7].epoch)})) ==
          std::vector{AppendOutcome::fenced});
  }
  SUBCASE("a new process of the same name takes over at once, at a higher epoch") {
    const auto before = renew(f, f.node(), "a", 1h, 256).held;
    const auto after = renew(f, f.node(), "a", 1h, 256, true).held;
    REQUIRE(after.size() == 256);
    CHECK(after[0].epoch > before[0].epoch);
    CHECK(outcomes(append(f, f.node(), {a_start(saga_in(0, 1), before[0].epoch)})) ==
          std::vector{AppendOutcome::fenced});
  }
  SUBCASE("under a floor a node holds its shards at higher epochs, however often it says so") {
    const auto before = renew(f, f.node(), "a", 1h, 100, true).held;
    const Epoch floor(before[7].epoch.get() + 5);
    const auto under_floor = [&](std::size_t shards_max) {
      LeaseRequest request{identity(f, "a"), 1h, shards_max, true, "here:1", 0, floor};
      return await<Result<LeaseAnswer>>(f, [&](auto done) { f.node().leases.renew(request, done); })
          .value();
    };
    const LeaseAnswer raised = under_floor(100);
    REQUIRE(raised.held.size() == 100);
    CHECK(raised.held[7].epoch > floor);
    CHECK(under_floor(100).held == raised.held);
    CHECK(under_floor(101).held.back().epoch > floor);
    CHECK(outcomes(append(f, f.node(), {a_start(saga_in(7, 1), before[7].epoch)})) ==
          std::vector{AppendOutcome::fenced});
    CHECK(outcomes(append(f, f.node(), {a_start(saga_in(7, 1), raised.held[7].epoch)})) ==
          std::vector{AppendOutcome::written});
  }
  SUBCASE("nothing is renewed for who works under another lineage") {
    const LeaseAnswer before = renew(f, f.node(), "a", 1h, 100, true);
    LeaseRequest request{identity(f, "a"), 1h, 200, false, "here:1", before.lineage + 1, {}};
    const auto answer =
        await<Result<LeaseAnswer>>(f, [&](auto done) { f.node().leases.renew(request, done); });
    REQUIRE(answer);
    CHECK(answer->lineage == before.lineage);
    CHECK(answer->held.empty());
    CHECK(renew(f, f.node(), "a", 1h, 100).held == before.held);
  }
  SUBCASE("a first renewal that is repeated keeps the epochs") {
    const auto before = renew(f, f.node(), "a", 1h, 256, true).held;
    CHECK(renew_as(f, f.node(), identity(f, "a"), 1h, true).held == before);
  }
  SUBCASE("a new process waits while an earlier one of its name has sessions and a lease") {
    f.set_sessions_of_node(true);
    const auto before = renew(f, f.node(), "a", 1h, 256, true).held;
    const NodeIdentity later{"a", "11111111-0000-4000-8000-000000000000"};
    const LeaseAnswer waits = renew_as(f, f.other(), later, 1h, true);
    REQUIRE(waits.namesake);
    CHECK(waits.namesake->address == "here:1");
    CHECK(waits.held.empty());
    CHECK(renew(f, f.node(), "a", 1h, 256).held == before);
    CHECK(outcomes(append(f, f.node(), {a_start(saga_in(7, 1), before[7].epoch)})) ==
          std::vector{AppendOutcome::written});

    f.set_sessions_of_node(false);
    const LeaseAnswer enters = renew_as(f, f.other(), later, 1h, true);
    CHECK_FALSE(enters.namesake);
    REQUIRE(enters.held.size() == 256);
    CHECK(enters.held[7].epoch > before[7].epoch);
  }
  SUBCASE("a process whose lease has ended is shut out by a later one of its name") {
    f.set_sessions_of_node(true);
    const auto lost = renew(f, f.node(), "a", 0ms, 256, true).held;
    const NodeIdentity later{"a", "11111111-0000-4000-8000-000000000000"};
    const auto taken = renew_as(f, f.other(), later, 1h, true).held;
    REQUIRE(taken.size() == 256);
    CHECK(taken[7].epoch > lost[7].epoch);
    CHECK(is_suspect(taken[7]));

    const NodeIdentity earlier = identity(f, "a");
    const LeaseAnswer answer = renew_as(f, f.node(), earlier, 1h, false);
    REQUIRE(answer.namesake);
    CHECK(answer.namesake->address == "there:2");
    CHECK(outcomes(append(f, f.node(), {a_start(saga_in(7, 1), lost[7].epoch)})) ==
          std::vector{AppendOutcome::fenced});
    REQUIRE(await<Result<Done>>(f, [&](auto done) { f.node().leases.prove(earlier, {7}, done); }));
    REQUIRE(
        await<Result<Done>>(f, [&](auto done) { f.node().leases.give_up(earlier, {7}, done); }));
    REQUIRE(await<Result<Done>>(f, [&](auto done) { f.node().leases.release(earlier, done); }));
    CHECK(renew_as(f, f.other(), later, 1h, false).held == taken);
  }
  SUBCASE("what is released is free at once") {
    const auto before = renew(f, f.node(), "a", 1h, 256).held;
    REQUIRE(await<Result<Done>>(
        f, [&](auto done) { f.node().leases.release(identity(f, "a"), done); }));
    CHECK(outcomes(append(f, f.node(), {a_start(saga_in(0, 1), before[0].epoch)})) ==
          std::vector{AppendOutcome::fenced});
    const auto taken = renew(f, f.other(), "b", 1h, 256).held;
    REQUIRE(taken.size() == 256);
    CHECK(taken[0].epoch > before[0].epoch);
  }
  SUBCASE("a node without leases writes nothing") {
    CHECK(outcomes(append(f, f.node(), {a_start(saga_in(0, 1), Epoch(0))})) ==
          std::vector{AppendOutcome::fenced});
  }
  SUBCASE("nodes share the shards evenly, as far as each one's own limit lets them") {
    CHECK(renew(f, f.node(), "a", 1h, 256).held.size() == 256);
    CHECK(renew(f, f.node(), "b", 1h, 256).held.empty());
    CHECK(renew(f, f.node(), "a", 1h, 256).surplus == 128);
    CHECK(renew(f, f.node(), "c", 1h, 20).held.empty());
    // c takes 20; the others 118 each.
    CHECK(renew(f, f.node(), "a", 1h, 256).surplus == 138);
  }
  SUBCASE("what is given up is free at once, and goes to who has less than its share") {
    const auto before = renew(f, f.node(), "a", 1h, 256).held;
    renew(f, f.other(), "b", 1h, 256);
    std::vector<Shard> upper;
    for (int shard = 128; shard < 256; ++shard) upper.push_back(static_cast<Shard>(shard));
    REQUIRE(await<Result<Done>>(
        f, [&](auto done) { f.node().leases.give_up(identity(f, "a"), upper, done); }));
    const LeaseAnswer kept = renew(f, f.node(), "a", 1h, 256);
    CHECK(kept.held == std::vector(before.begin(), before.begin() + 128));
    CHECK(kept.surplus == 0);
    const auto taken = renew(f, f.other(), "b", 1h, 256).held;
    REQUIRE(taken.size() == 128);
    CHECK(taken.front().shard == 128);
    CHECK(taken.front().epoch > before[128].epoch);
  }
  SUBCASE("nobody gives up what another holds") {
    renew(f, f.node(), "a", 1h, 256);
    REQUIRE(await<Result<Done>>(f, [&](auto done) {
      f.other().leases.give_up(identity(f, "b"), {1, 2}, done);
    }));
    CHECK(renew(f, f.node(), "a", 1h, 256).held.size() == 256);
  }
  SUBCASE("a shard is suspect when its owner was lost before it had proven it") {
    CHECK_FALSE(is_suspect(renew(f, f.node(), "a", 0ms, 256).held[7]));
    CHECK(is_suspect(renew(f, f.other(), "b", 0ms, 256).held[7]));
    REQUIRE(await<Result<Done>>(
        f, [&](auto done) { f.other().leases.prove(identity(f, "b"), {7}, done); }));
    CHECK_FALSE(is_suspect(renew(f, f.other(), "b", 0ms, 256).held[7]));
    const auto held = renew(f, f.node(), "a", 1h, 256).held;
    CHECK_FALSE(is_suspect(held[7]));
    CHECK(is_suspect(held[8]));
    CHECK(is_suspect(renew(f, f.node(), "a", 1h, 256, true).held[7]));
  }
  SUBCASE("whoever gives a shard up has survived it") {
    renew(f, f.node(), "a", 1h, 256);
    REQUIRE(await<Result<Done>>(
        f, [&](auto done) { f.node().leases.release(identity(f, "a"), done); }));
    CHECK_FALSE(is_suspect(renew(f, f.other(), "b", 1h, 256).held[7]));
  }
  SUBCASE("strikes are counted for each saga until they are forgiven") {
    const auto strike = [&](SagaId saga, bool again) {
      return *await<Result<std::int64_t>>(
          f, [&](auto done) { f.node().leases.strike(saga, again, done); });
    };
    CHECK(strike(saga_in(7, 1), false) == 1);
    CHECK(strike(saga_in(7, 1), true) == 2);
    CHECK(strike(saga_in(7, 1), false) == 0);
    CHECK(strike(saga_in(7, 1), true) == 3);
    CHECK(strike(saga_in(7, 2), true) == 1);
    REQUIRE(
        await<Result<Done>>(f, [&](auto done) { f.node().leases.forgive(saga_in(7, 1), done); }));
    CHECK(strike(saga_in(7, 1), false) == 1);
  }
  SUBCASE("nodes are listed with their shards, the living and the dead") {
    renew(f, f.node(), "a", 0ms, 10);
    renew(f, f.other(), "b", 1h, 256);
    auto listed =
        await<Result<std::vector<NodeInfo>>>(f, [&](auto done) { f.node().leases.nodes(done); });
    REQUIRE(listed);
    // b has taken over what a held, and so a is no more.
    REQUIRE(listed->size() == 1);
    CHECK(listed->front().name == "b");
    CHECK(listed->front().shards == 256);
    CHECK(listed->front().shards_max == 256);
    CHECK(listed->front().address == "here:1");
    CHECK(listed->front().alive);
    CHECK(listed->front().expires_at - listed->front().renewed_at == 1h);
    renew(f, f.other(), "b", 0ms, 256);
    listed =
        await<Result<std::vector<NodeInfo>>>(f, [&](auto done) { f.node().leases.nodes(done); });
    REQUIRE(listed);
    CHECK_FALSE(listed->front().alive);
  }
}

}  // namespace backstitch::test

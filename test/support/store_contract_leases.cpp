#include <doctest/doctest.h>

#include "store_contract.hpp"

namespace backstitch::test {

using namespace engine;
using namespace std::chrono_literals;

void lease_contract(StoreFixture& f) {
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
  SUBCASE("what is released is free at once") {
    const auto before = renew(f, f.node(), "a", 1h, 256).held;
    REQUIRE(await<Result<Done>>(f, [&](auto done) { f.node().leases.release("a", done); }));
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
    REQUIRE(await<Result<Done>>(f, [&](auto done) { f.node().leases.give_up("a", upper, done); }));
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
      f.other().leases.give_up("b", {1, 2}, done);
    }));
    CHECK(renew(f, f.node(), "a", 1h, 256).held.size() == 256);
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

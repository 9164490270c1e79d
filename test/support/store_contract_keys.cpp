/// Under which keys starts are idempotent.
#include <doctest/doctest.h>

#include "store_contract.hpp"

namespace backstitch::test {

using namespace engine;

namespace {

const StartKey key{"key", "k-1"};
const StartKey business{"business:orders.place", "o-17"};
const AskedFor asked{.hash = "hash"};
const AskedFor otherwise{.hash = "x"};

struct Keys {
  StoreFixture& f;
  Epoch epoch;
  std::uint64_t last = 0;

  SagaId fresh() { return saga_in(2, ++last + 10); }
  AppendResult start(std::vector<StartKey> keys, const AskedFor& what = asked) {
    return start_as(fresh(), std::move(keys), what);
  }
  AppendResult start_as(SagaId saga, std::vector<StartKey> keys, const AskedFor& what = asked) {
    return append(f, f.node(), {a_start(saga, epoch, std::move(keys), what)}).at(0);
  }
  AppendResult ask(std::vector<StartKey> keys, const AskedFor& what = asked) {
    Append append_asking{.saga = fresh(), .epoch = epoch};
    append_asking.start = NewSaga{.keys = std::move(keys), .asked = what};
    append_asking.only_asks = true;
    return append(f, f.node(), {append_asking}).at(0);
  }
  void end(SagaId saga, const char* status) {
    Append end = an_end(saga, epoch, 2);
    end.row->status = status;
    append(f, f.node(), {end});
  }
};

void check_known(const AppendResult& result, SagaId saga, bool same_input, bool by_business_key) {
  CHECK(result.outcome == AppendOutcome::duplicate);
  CHECK(result.existing == saga);
  CHECK(result.same_input == same_input);
  CHECK(result.by_business_key == by_business_key);
}

void known_keys(Keys& keys, SagaId first) {
  struct Case {
    const char* title;
    std::vector<StartKey> keys;
    AskedFor asked;
    bool same_input;
    bool by_business_key;
  };
  const StartKey fresh{"key", "k-9"};
  for (const Case& c :
       std::vector<Case>{{"the same key and input", {key}, asked, true, false},
                         {"the same key, other input", {key}, otherwise, false, false},
                         {"the same business key", {business}, asked, true, true},
                         {"the same business key, other input", {business}, otherwise, false, true},
                         {"a new key beside a business key that is used otherwise",
                          {fresh, business},
                          otherwise,
                          false,
                          true},
                         {"the caller's key first, whatever the other one says",
                          {key, {"business:x", "o"}},
                          asked,
                          true,
                          false},
                         {"the saga's own version stated",
                          {key},
                          {.hash = "hash", .stated_version = 3},
                          true,
                          false},
                         {"another version stated",
                          {key},
                          {.hash = "hash", .stated_version = 2},
                          false,
                          false}}) {
    CAPTURE(c.title);
    const SagaId rival = keys.fresh();
    check_known(keys.start_as(rival, c.keys, c.asked), first, c.same_input, c.by_business_key);
    check_known(keys.ask(c.keys, c.asked), first, c.same_input, c.by_business_key);
    CHECK(log_of(keys.f, rival).empty());
  }
}

void bound_keys(Keys& keys, SagaId first) {
  const StartKey fresh{"key", "k-2"};
  SUBCASE("a start that a business key answers binds the caller's key to that saga") {
    check_known(keys.start({fresh, business}), first, true, true);
  }
  SUBCASE("asking does so, too") {
    check_known(keys.ask({fresh, business}), first, true, true);
  }
  check_known(keys.start({fresh}), first, true, false);
  check_known(keys.start({fresh}, otherwise), first, false, false);
}

void reuse_after_failed(Keys& keys, SagaId first) {
  const StartKey again{business.scope, business.key, true};
  const StartKey fresh{"key", "k-3"};
  SUBCASE("a business key is not free while its saga runs, or has ended otherwise") {
    check_known(keys.start({fresh, again}), first, true, true);
    keys.end(first, "FAILED_INCOMPLETE");
    check_known(keys.start({{"key", "k-4"}, again}), first, true, true);
  }
  SUBCASE("it is free once its saga FAILED, to whoever may use it again") {
    keys.end(first, "FAILED");
    check_known(keys.start({business}), first, true, true);
    check_known(keys.start({key, again}), first, true, false);
    CHECK(keys.ask({fresh, again}).outcome == AppendOutcome::unknown);
    const SagaId second = keys.fresh();
    CHECK(keys.start_as(second, {fresh, again}, otherwise).outcome == AppendOutcome::written);
    check_known(keys.start({business}, otherwise), second, true, true);
    check_known(keys.start({business}), second, false, true);
    check_known(keys.start({key}), first, true, false);
    check_known(keys.start({fresh}, otherwise), second, true, false);
  }
  SUBCASE(
      "a start that states another generation than that of its business key is told the right "
      "one") {
    const auto generation = [&](std::int64_t number, bool reuses = true) {
      return StartKey{business.scope, business.key, reuses, number};
    };
    const auto told = [&](const AppendResult& result) {
      return result.outcome == AppendOutcome::regenerated ? result.generation : -1;
    };
    check_known(keys.start({{"key", "k-5"}, generation(1)}), first, true, true);
    keys.end(first, "FAILED");
    CHECK(told(keys.start({fresh, generation(0)})) == 1);
    CHECK(told(keys.start({fresh, generation(2)})) == 1);
    const SagaId second = keys.fresh();
    CHECK(keys.start_as(second, {fresh, generation(1)}).outcome == AppendOutcome::written);
    check_known(keys.start({generation(0, false)}), second, true, true);
    keys.end(second, "FAILED");
    CHECK(told(keys.start({{"key", "k-6"}, generation(1)})) == 2);
    // A sub-saga states none, and counts all the same.
    const SagaId third = keys.fresh();
    CHECK(keys.start_as(third, {{"child", "x"}, again}).outcome == AppendOutcome::written);
    keys.end(third, "FAILED");
    CHECK(told(keys.start({{"key", "k-7"}, generation(2)})) == 3);
    CHECK(told(keys.start({StartKey{business.scope, "o-18", true, 4}})) == 0);
  }
}

}  // namespace

void start_keys_contract(StoreFixture& f) {
  const LeaseAnswer leases = renew(f, f.node(), "a", std::chrono::hours(1), 256, true);
  Keys keys{f, leases.held.front().epoch};
  const SagaId first = saga_in(1, 1);
  REQUIRE(keys.start_as(first, {key, business}).outcome == AppendOutcome::written);

  SUBCASE("what is known is a duplicate, whoever asks") {
    known_keys(keys, first);
  }
  SUBCASE("callers' keys are bound to what a business key names") {
    bound_keys(keys, first);
  }
  SUBCASE("business keys may be used again after a failure") {
    reuse_after_failed(keys, first);
  }
  SUBCASE("what is not known is not taken by asking") {
    const StartKey fresh{"key", "k-5"};
    CHECK(keys.ask({fresh}).outcome == AppendOutcome::unknown);
    CHECK(keys.start({fresh}).outcome == AppendOutcome::written);
  }
  SUBCASE("a start that was fenced leaves its key free, and one that is made again is a conflict") {
    const StartKey fresh{"key", "k-4"};
    const Append fenced = a_start(saga_in(2, 2), Epoch(keys.epoch.get() + 1), {fresh});
    CHECK(outcomes(append(f, f.node(), {fenced})) == std::vector{AppendOutcome::fenced});
    const Append start = a_start(saga_in(2, 3), keys.epoch, {fresh});
    CHECK(outcomes(append(f, f.node(), {start})) == std::vector{AppendOutcome::written});
    CHECK(outcomes(append(f, f.node(), {start})) == std::vector{AppendOutcome::conflict});
  }
  SUBCASE("keys of different scopes do not meet") {
    CHECK(keys.start({{"key", "o-17"}}).outcome == AppendOutcome::written);
  }
  SUBCASE("of two starts under one key in one batch, the second is the duplicate") {
    const StartKey fresh{"key", "k-3"};
    const auto results =
        append(f, f.node(),
               {a_start(saga_in(3, 3), keys.epoch, {fresh}),
                a_start(saga_in(4, 4), keys.epoch, {fresh}), a_start(saga_in(5, 5), keys.epoch)});
    CHECK(outcomes(results) ==
          std::vector{AppendOutcome::written, AppendOutcome::duplicate, AppendOutcome::written});
    check_known(results[1], saga_in(3, 3), true, false);
  }
}

}  // namespace backstitch::test

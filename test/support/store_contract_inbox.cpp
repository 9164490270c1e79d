#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "store_contract.hpp"

namespace backstitch::test {

using namespace engine;
using namespace std::chrono_literals;

namespace {

constexpr Shard all_shards[] = {7, 8};

Result<std::int64_t> put(StoreFixture& f, SagaId saga, const std::string& node = "b",
                         const std::string& data = R"({"by":"somebody","reason":""})") {
  return await<Result<std::int64_t>>(f, [&](auto done) {
    f.other().inbox.put({0, saga, "cancel", node, data}, done);
  });
}

std::vector<InboxItem> waiting(StoreFixture& f, std::int64_t after = 0, std::size_t limit = 100) {
  auto items = await<Result<std::vector<InboxItem>>>(f, [&](auto done) {
    f.node().inbox.waiting({{std::begin(all_shards), std::end(all_shards)}, false, after, limit},
                           done);
  });
  REQUIRE(items);
  return *items;
}

std::vector<InboxAnswer> answers(StoreFixture& f, const std::string& node) {
  auto taken = await<Result<std::vector<InboxAnswer>>>(
      f, [&](auto done) { f.other().inbox.take_answers(node, done); });
  REQUIRE(taken);
  return *taken;
}

Append settling(Append append, std::int64_t id, std::string error = {}) {
  append.inbox = InboxSettled{id, std::move(error)};
  return append;
}

Append only_settling(SagaId saga, Epoch epoch, std::int64_t expected, std::int64_t id,
                     std::string error) {
  Append append;
  append.saga = saga;
  append.epoch = epoch;
  append.expected = Sequence(expected);
  return settling(std::move(append), id, std::move(error));
}

}  // namespace

void inbox_contract(StoreFixture& f) {
  const Epoch epoch = renew(f, f.node(), "a", 1h, 256, true).held.front().epoch;
  const SagaId saga = saga_in(7, 1);
  append(f, f.node(), {a_start(saga, epoch)});

  SUBCASE("a command waits until it is settled, and its answer goes to who asked, once") {
    const auto number = put(f, saga);
    REQUIRE(number);
    const auto items = waiting(f);
    REQUIRE(items.size() == 1);
    CHECK(items[0].id == *number);
    CHECK(items[0].saga == saga);
    CHECK(items[0].kind == "cancel");
    CHECK(items[0].node == "b");
    CHECK(Json::parse(items[0].data).at("by") == "somebody");
    CHECK(waiting(f).size() == 1);
    CHECK(outcomes(append(f, f.node(), {settling(a_step(saga, epoch, 2), *number)})) ==
          std::vector{AppendOutcome::written});
    CHECK(waiting(f).empty());
    CHECK(answers(f, "c").empty());
    const auto answer = answers(f, "b");
    REQUIRE(answer.size() == 1);
    CHECK(answer[0].id == *number);
    CHECK(answer[0].error.empty());
    CHECK(answers(f, "b").empty());
  }
  SUBCASE("a command is settled once: who comes second writes nothing") {
    const auto number = put(f, saga);
    append(f, f.node(), {settling(a_step(saga, epoch, 2), *number)});
    const auto length = log_of(f, saga).size();
    const auto last = static_cast<std::int64_t>(length);
    CHECK(outcomes(append(f, f.node(), {settling(a_step(saga, epoch, last), *number)})) ==
          std::vector{AppendOutcome::conflict});
    CHECK(log_of(f, saga).size() == length);
  }
  SUBCASE("a refusal is settled without an event, and is fenced like any append") {
    const auto number = put(f, saga);
    const auto length = log_of(f, saga).size();
    const auto last = static_cast<std::int64_t>(length);
    const std::string error = R"({"code":"conflict"})";
    CHECK(outcomes(append(f, f.node(),
                          {only_settling(saga, Epoch(epoch.get() + 1), last, *number, error)})) ==
          std::vector{AppendOutcome::fenced});
    CHECK(waiting(f).size() == 1);
    CHECK(outcomes(append(f, f.node(), {only_settling(saga, epoch, last, *number, error)})) ==
          std::vector{AppendOutcome::written});
    CHECK(log_of(f, saga).size() == length);
    const auto answer = answers(f, "b");
    REQUIRE(answer.size() == 1);
    CHECK(Json::parse(answer[0].error) == Json::parse(error));
  }
  SUBCASE("an append that is not written leaves the command where it is") {
    const auto number = put(f, saga);
    CHECK(outcomes(append(f, f.node(), {settling(a_step(saga, epoch, 99), *number)})) ==
          std::vector{AppendOutcome::conflict});
    CHECK(waiting(f).size() == 1);
    CHECK(answers(f, "b").empty());
  }
  SUBCASE("commands are read by number, page by page, those of the shards asked for") {
    const SagaId other = saga_in(9, 2);
    append(f, f.node(), {a_start(other, epoch)});
    std::vector<std::int64_t> numbers;
    for (int i = 0; i < 5; ++i) numbers.push_back(*put(f, saga));
    REQUIRE(put(f, other));
    const auto first = waiting(f, 0, 3);
    REQUIRE(first.size() == 3);
    CHECK(first[0].id == numbers[0]);
    const auto rest = waiting(f, first[2].id, 3);
    REQUIRE(rest.size() == 2);
    CHECK(rest[1].id == numbers[4]);
  }
  SUBCASE("a saga that does not exist takes no command") {
    const auto number = put(f, saga_in(7, 99));
    REQUIRE_FALSE(number);
    CHECK(number.error().code == ErrorCode::not_found);
    CHECK(waiting(f).empty());
  }
}

}  // namespace backstitch::test

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

InboxPoll poll(StoreFixture& f, InboxRange commands, InboxRange starts,
               std::vector<SagaId> sagas = {}) {
  auto found = await<Result<InboxPoll>>(f, [&](auto done) {
    f.node().inbox.poll({{std::begin(all_shards), std::end(all_shards)},
                         std::move(commands),
                         std::move(starts),
                         std::move(sagas)},
                        done);
  });
  REQUIRE(found);
  return *found;
}

InboxPage page(StoreFixture& f, const InboxCursor& from = {}, std::size_t limit = 100) {
  return poll(f, {from, limit}, {}).commands;
}

/// Everything that is given of the commands, whatever was given before.
std::vector<InboxItem> waiting(StoreFixture& f) {
  return page(f).items;
}

std::vector<InboxItem> of_saga(StoreFixture& f, SagaId saga) {
  return poll(f, {}, {}, {saga}).commands.items;
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
    std::vector<std::int64_t> numbers;
    for (int i = 0; i < 5; ++i) {
      const SagaId other = saga_in(8, 10 + i);
      append(f, f.node(), {a_start(other, epoch)});
      numbers.push_back(*put(f, other));
    }
    const SagaId elsewhere = saga_in(9, 2);
    append(f, f.node(), {a_start(elsewhere, epoch)});
    REQUIRE(put(f, elsewhere));
    const InboxPage first = page(f, {}, 3);
    REQUIRE(first.items.size() == 3);
    CHECK(first.is_full);
    CHECK(first.items[0].id == numbers[0]);
    const InboxPage rest = page(f, first.next, 3);
    REQUIRE(rest.items.size() == 2);
    CHECK_FALSE(rest.is_full);
    CHECK(rest.items[1].id == numbers[4]);
    CHECK(page(f, rest.next).items.empty());
  }
  SUBCASE("a cursor passes each item once, and a saga that has a new one is given all that wait") {
    const InboxCursor empty = page(f).next;
    const auto one = put(f, saga);
    const InboxPage first = page(f, empty);
    REQUIRE(first.items.size() == 1);
    CHECK(first.items[0].id == *one);
    CHECK(page(f, first.next).items.empty());
    const auto two = put(f, saga);
    const InboxPage second = page(f, first.next);
    REQUIRE(second.items.size() == 2);
    CHECK(second.items[0].id == *one);
    CHECK(second.items[1].id == *two);
    CHECK(page(f, second.next).items.empty());
  }
  SUBCASE("a part that is not read keeps its cursor") {
    const InboxCursor before = page(f).next;
    REQUIRE(put(f, saga));
    const InboxPoll found = poll(f, {before, 0}, {{}, 100});
    CHECK(found.commands.items.empty());
    CHECK_FALSE(found.commands.is_full);
    CHECK(page(f, found.commands.next).items.size() == 1);
  }
  SUBCASE("of one saga only the first commands are given, until they are settled") {
    const SagaId other = saga_in(8, 2);
    append(f, f.node(), {a_start(other, epoch)});
    std::vector<std::int64_t> numbers;
    for (std::size_t i = 0; i < inbox_lot_max + 2; ++i) numbers.push_back(*put(f, saga));
    const auto last = put(f, other);
    const InboxPage first = page(f);
    REQUIRE(first.items.size() == inbox_lot_max + 1);
    CHECK(first.items[inbox_lot_max - 1].id == numbers[inbox_lot_max - 1]);
    CHECK(first.items.back().id == *last);
    append(f, f.node(), {only_settling(saga, epoch, 2, numbers[0], "")});
    CHECK(page(f, first.next).items.empty());
    const auto second = of_saga(f, saga);
    REQUIRE(second.size() == inbox_lot_max);
    CHECK(second.front().id == numbers[1]);
    CHECK(second.back().id == numbers[inbox_lot_max]);
  }
  SUBCASE("a saga has no more than so many commands waiting") {
    std::vector<std::int64_t> numbers;
    for (std::size_t i = 0; i < inbox_of_saga_max; ++i) numbers.push_back(*put(f, saga));
    const auto refused = put(f, saga);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::overloaded);
    CHECK(refused.error().reason == "commands-overflow");
    append(f, f.node(), {only_settling(saga, epoch, 2, numbers[0], "")});
    CHECK(put(f, saga));
  }
  SUBCASE("a command that is too large is refused, and the largest ones come page by page") {
    const auto of_bytes = [](std::size_t bytes) {
      // The store may write the JSON with a space.
      return R"({"by": ")" + std::string(bytes - 10, 'x') + R"("})";
    };
    const auto refused = put(f, saga, "b", of_bytes(inbox_bytes_max + 1));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().reason == "store-refused");
    for (int i = 0; i < 3; ++i) REQUIRE(put(f, saga, "b", of_bytes(inbox_bytes_max / 2)));
    const InboxPoll first = poll(f, {{}, 100}, {});
    REQUIRE(first.commands.items.size() == 2);
    CHECK(first.left_out == std::vector{saga});
    CHECK(first.commands.items[0].bytes == inbox_bytes_max / 2);
    CHECK(first.commands.items[0].data.size() == first.commands.items[0].bytes);
    append(f, f.node(), {only_settling(saga, epoch, 2, first.commands.items[0].id, "")});
    append(f, f.node(), {only_settling(saga, epoch, 2, first.commands.items[1].id, "")});
    const InboxPoll rest = poll(f, {first.commands.next, 100}, {}, first.left_out);
    CHECK(rest.commands.items.size() == 1);
    CHECK(rest.left_out.empty());
  }
  SUBCASE("a command that fails so often is set aside, and its sender is told") {
    const auto number = put(f, saga);
    const auto fail = [&] {
      const auto set_aside = await<Result<bool>>(f, [&](auto done) {
        f.node().inbox.failed({*number, "it's broken", R"({"reason":"command-set-aside"})"}, done);
      });
      REQUIRE(set_aside);
      return *set_aside;
    };
    for (int i = 1; i < inbox_failures_max; ++i) {
      CHECK_FALSE(fail());
      CHECK(waiting(f).size() == 1);
    }
    CHECK(answers(f, "b").empty());
    CHECK(fail());
    CHECK(waiting(f).empty());
    const auto answer = answers(f, "b");
    REQUIRE(answer.size() == 1);
    CHECK(answer[0].id == *number);
    CHECK(Json::parse(answer[0].error).at("reason") == "command-set-aside");
    CHECK_FALSE(fail());
    CHECK(answers(f, "b").empty());
  }
  SUBCASE("a saga that does not exist takes no command") {
    const auto number = put(f, saga_in(7, 99));
    REQUIRE_FALSE(number);
    CHECK(number.error().code == ErrorCode::not_found);
    CHECK(waiting(f).empty());
  }
}

}  // namespace backstitch::test

// The queue of one node in front of one service.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "../../../engine/runtime/call_queue.hpp"
#include "../../support/dice.hpp"
#include "../../support/virtual_world.hpp"

namespace backstitch::test {
namespace {

using engine::CallQueue;
using engine::RefusalGate;
using Lane = CallQueue::Lane;
using Turn = CallQueue::Turn;

const engine::SteadyTime start{};

dsl::ServiceLimits limits(std::uint32_t in_flight, std::uint32_t queue = 100) {
  dsl::ServiceLimits out;
  out.in_flight_max = in_flight;
  out.queue_max = queue;
  return out;
}

TEST_CASE("calls that fail in a row are told at the tenth, and again after ten minutes") {
  engine::FailureStreak streak;
  engine::SteadyTime now{};
  const auto told = [&](int failures) {
    int times = 0;
    for (int i = 0; i < failures; ++i) times += streak.on_failure(now) > 0 ? 1 : 0;
    return times;
  };
  CHECK(told(9) == 0);
  streak.on_success();
  CHECK(told(9) == 0);
  CHECK(streak.on_failure(now) == 10);
  CHECK(told(1'000) == 0);
  now += Duration{600'000};
  CHECK(told(1'000) == 1);
  streak.on_success();
  CHECK(told(1'000) == 0);
}

TEST_CASE("a quarter of the slots, at least one, is kept for calls that let sagas end") {
  const std::pair<std::uint32_t, std::uint32_t> ordinary_of_all[] = {
      {1, 1}, {2, 1}, {4, 3}, {8, 6}, {16, 12}};
  for (const auto& [all, ordinary] : ordinary_of_all) {
    CAPTURE(all);
    CallQueue queue(limits(all));
    std::uint32_t taken = 0;
    while (queue.try_take(Lane::ordinary, start)) ++taken;
    CHECK(taken == ordinary);
    while (queue.try_take(Lane::ending, start)) ++taken;
    CHECK(taken == all);
  }
}

TEST_CASE("a slot that is returned goes to the ending lane first, then to who came first") {
  VirtualWorld world;
  VirtualExecutor executor(world);
  CallQueue queue(limits(2));
  REQUIRE(queue.try_take(Lane::ordinary, start));
  std::string order;
  const auto wait = [&](Lane lane, char name) {
    return queue.wait(lane, executor, [&order, name](Turn) { order += name; });
  };
  wait(Lane::ordinary, 'a');
  const auto withdrawn = wait(Lane::ordinary, 'b');
  wait(Lane::ordinary, 'c');
  wait(Lane::ending, 'x');
  wait(Lane::ending, 'y');
  CHECK(queue.withdraw(withdrawn));
  CHECK_FALSE(queue.withdraw(withdrawn));
  for (int i = 0; i < 5; ++i) {
    world.run_for(Duration{10});
    queue.release();
  }
  world.run_for(Duration{10});
  CHECK(order == "xyac");
  CHECK(queue.waiting() == 0);
}

TEST_CASE("nobody overtakes within a lane, and a full queue refuses") {
  VirtualWorld world;
  VirtualExecutor executor(world);
  CallQueue queue(limits(1, 2));
  REQUIRE(queue.try_take(Lane::ordinary, start));
  CHECK(queue.wait(Lane::ordinary, executor, [](Turn) {}) != nullptr);
  CHECK(queue.wait(Lane::ordinary, executor, [](Turn) {}) != nullptr);
  CHECK(queue.wait(Lane::ordinary, executor, [](Turn) {}) == nullptr);
  queue.release();
  CHECK_FALSE(queue.try_take(Lane::ordinary, start));
  CHECK(queue.waiting() == 1);
}

TEST_CASE("the limit grows with answers and is halved at most once an attempt timeout") {
  const Duration timeout{10'000};
  CallQueue queue(limits(64));
  engine::SteadyTime now{std::chrono::hours{1}};
  const auto answers = [&](int count, Duration latency) {
    for (int i = 0; i < count; ++i) {
      while (queue.try_take(Lane::ending, now)) {
      }
      queue.on_answer(latency, timeout, now);
    }
    while (queue.in_flight() > 0) queue.release();
    return queue.limit();
  };
  CHECK(queue.limit() == 16);
  CHECK(answers(10, Duration{100}) == 26);
  // The service has begun to queue: a quarter of the timeout longer than its fastest answer.
  CHECK(answers(10, Duration{2'700}) == 26);
  CHECK(answers(100, Duration{100}) == 64);
  for (int i = 0; i < 5; ++i) queue.on_timeout(timeout, now);
  CHECK(queue.limit() == 32);
  // From then on one more for each window of answers.
  CHECK(answers(32, Duration{100}) == 33);
  for (int i = 0; i < 10; ++i) {
    now += timeout;
    queue.on_timeout(timeout, now);
  }
  CHECK(queue.limit() == 4);
  now += timeout;
  CallQueue narrow(limits(2));
  narrow.on_timeout(timeout, now);
  CHECK(narrow.limit() == 2);
}

TEST_CASE("a service that is slow by nature is given all the slots it may have") {
  CallQueue queue(limits(64));
  for (int i = 0; i < 100; ++i) {
    while (queue.try_take(Lane::ending, start)) {
    }
    queue.on_answer(Duration{8'000}, Duration{10'000}, engine::SteadyTime{});
  }
  CHECK(queue.limit() == 64);
}

TEST_CASE("while every connection is refused one call a second tries, and the others are held") {
  VirtualWorld world;
  VirtualExecutor executor(world);
  CallQueue queue(limits(64));
  std::string seen;
  std::map<char, CallQueue::Ticket> tickets;
  const auto wait = [&](char name) {
    tickets[name] = queue.wait(Lane::ordinary, executor, [&seen, name](Turn turn) {
      seen += name;
      seen += turn == Turn::slot ? "+ " : "? ";
    });
  };
  const auto refused = [&] {
    queue.on_refused(executor.now());
    queue.release();
  };
  for (std::uint32_t i = 0; i < RefusalGate::refusals_min; ++i) {
    REQUIRE(queue.try_take(Lane::ordinary, executor.now()));
    CHECK_FALSE(queue.holds());
    refused();
  }
  CHECK(queue.holds());
  CHECK_FALSE(queue.try_take(Lane::ordinary, executor.now()));
  for (const char name : {'a', 'b', 'c', 'd'}) wait(name);
  CHECK(queue.begin_watch());
  CHECK_FALSE(queue.begin_watch());
  world.run_for(Duration{10});
  CHECK(seen == "a? b? c? d? ");
  queue.hold_until(tickets['b'], executor.now() + Duration{1'500});
  world.run_for(RefusalGate::tried_every);
  CHECK(queue.turn_held());
  world.run_for(Duration{10});
  refused();
  world.run_for(RefusalGate::tried_every);
  CHECK(queue.turn_held());
  world.run_for(Duration{10});
  CHECK(seen == "a? b? c? d? a+ b+ ");
  SUBCASE("until one is accepted") {
    queue.on_reached();
    queue.release();
    world.run_for(Duration{10});
    CHECK(seen == "a? b? c? d? a+ b+ c+ d+ ");
    CHECK(queue.try_take(Lane::ordinary, executor.now()));
  }
  SUBCASE("or their time is over") {
    queue.hold_until(tickets['c'], executor.now() + Duration{2'000});
    queue.hold_until(tickets['d'], executor.now());
    CHECK(queue.turn_held());
    world.run_for(Duration{10});
    CHECK(seen == "a? b? c? d? a+ b+ d+ ");
    CHECK(queue.waiting() == 1);
  }
}

TEST_CASE("whatever happens, no slot is lost and no limit exceeded") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    VirtualWorld world;
    VirtualExecutor executor(world);
    const auto most = static_cast<std::uint32_t>(dice.between(1, 20));
    CallQueue queue(limits(most, static_cast<std::uint32_t>(dice.between(0, 30))));
    std::uint32_t held = 0;
    std::vector<CallQueue::Ticket> tickets;
    for (int i = 0; i < 300; ++i) {
      const Lane lane = dice.chance(30) ? Lane::ending : Lane::ordinary;
      switch (dice.below(5)) {
        case 0:
        case 1:
          if (queue.try_take(lane, executor.now())) {
            ++held;
          } else if (auto ticket = queue.wait(lane, executor, [&held](Turn turn) {
                       held += turn == Turn::slot ? 1 : 0;
                     })) {
            tickets.push_back(std::move(ticket));
          }
          break;
        case 2:
          if (held == 0) break;
          if (dice.chance(30))
            queue.on_timeout(Duration{1'000}, executor.now());
          else
            queue.on_answer(Duration{static_cast<std::int64_t>(dice.below(500))}, Duration{1'000},
                            executor.now());
          if (dice.chance(50))
            queue.on_refused(executor.now());
          else
            queue.on_reached();
          --held;
          queue.release();
          break;
        case 3:
          if (tickets.empty()) break;
          if (dice.chance(30))
            queue.hold_until(dice.pick(tickets), executor.now() + Duration{100});
          else
            static_cast<void>(queue.withdraw(dice.pick(tickets)));
          static_cast<void>(queue.turn_held());
          break;
        default:
          world.run_for(Duration{static_cast<std::int64_t>(dice.below(300))});
      }
      REQUIRE(queue.in_flight() <= most);
    }
    queue.on_reached();
    static_cast<void>(queue.turn_held());
    world.run_for(Duration{1});
    REQUIRE(queue.in_flight() == held);
    for (; held > 0; --held) {
      queue.release();
      world.run_for(Duration{1});
    }
    // What still waits was granted the slots that came back.
    while (queue.in_flight() > 0) {
      queue.release();
      world.run_for(Duration{1});
    }
    REQUIRE(queue.waiting() == 0);
  }
}

}  // namespace
}  // namespace backstitch::test

// Threads for work that would stall a reactor.
#include <atomic>
#include <future>
#include <vector>

#include <doctest/doctest.h>

#include <backstitch/system/worker_threads.hpp>

namespace backstitch::system {
namespace {

/// A task that holds its thread until it is let go.
class Blocker {
 public:
  engine::Task task() {
    return [this] {
      began_.set_value();
      gate_.wait();
    };
  }
  void wait_until_it_runs() { began_.get_future().wait(); }
  void let_go() { open_.set_value(); }

 private:
  std::promise<void> began_;
  std::promise<void> open_;
  std::shared_future<void> gate_ = open_.get_future().share();
};

}  // namespace

TEST_CASE("tasks run on the threads of the pool, in the order in which they came") {
  WorkerThreads workers({.threads = 1, .queue_max = 10});
  workers.start();
  std::vector<int> ran;
  std::promise<void> last;
  for (int i = 0; i < 5; ++i) REQUIRE(workers.submit([&ran, i] { ran.push_back(i); }));
  REQUIRE(workers.submit([&] { last.set_value(); }));
  last.get_future().wait();
  CHECK(ran == std::vector{0, 1, 2, 3, 4});
}

TEST_CASE("a task that finds the queue full is refused, and taken once there is room") {
  WorkerThreads workers({.threads = 1, .queue_max = 2});
  workers.start();
  Blocker blocker;
  REQUIRE(workers.submit(blocker.task()));
  blocker.wait_until_it_runs();
  std::promise<void> last;
  REQUIRE(workers.submit([] {}));
  REQUIRE(workers.submit([&] { last.set_value(); }));
  const auto refused = workers.submit([] { FAIL("a refused task must not run"); });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::overloaded);
  CHECK(refused.error().reason == "work-queue-full");
  blocker.let_go();
  last.get_future().wait();
  CHECK(workers.submit([] {}));
}

TEST_CASE("stopping awaits the task that runs, drops those that wait and refuses new ones") {
  WorkerThreads workers({.threads = 1, .queue_max = 10});
  workers.start();
  Blocker blocker;
  std::atomic<bool> dropped_ran{false};
  REQUIRE(workers.submit(blocker.task()));
  blocker.wait_until_it_runs();
  REQUIRE(workers.submit([&] { dropped_ran = true; }));
  auto stopped = std::async(std::launch::async, [&] { workers.stop(); });
  // The queue may be full before the other thread stops the workers.
  const auto is_refused = [&] {
    const auto submitted = workers.submit([] {});
    return !submitted && submitted.error().reason == "shutting-down";
  };
  while (!is_refused()) std::this_thread::yield();
  blocker.let_go();
  stopped.wait();
  CHECK_FALSE(dropped_ran);
}

}  // namespace backstitch::system

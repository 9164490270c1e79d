#include <doctest/doctest.h>

#include <deque>

#include <backstitch/memory/store.hpp>

#include "../support/store_contract.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

/// Runs tasks when told to; time stands still.
class ManualExecutor final : public engine::Executor {
 public:
  void post(engine::Task task) override { tasks_.push_back(std::move(task)); }
  engine::TimerId call_after(Duration, engine::Task) override { return 0; }
  void cancel(engine::TimerId) override {}
  engine::SteadyTime now() const override { return {}; }

  bool run_one() {
    if (tasks_.empty()) return false;
    const engine::Task task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }

 private:
  std::deque<engine::Task> tasks_;
};

class MemoryFixture final : public StoreFixture {
 public:
  Ports node() override { return {store_, store_, store_, store_, store_}; }
  Ports other() override { return node(); }
  bool drive() override { return executor_.run_one(); }
  void set_sessions_of_node(bool exist) override {
    store_.set_sessions([exist](const std::string&) { return exist; });
  }

 private:
  ManualExecutor executor_;
  memory::MemoryStore store_{executor_, TimePoint(Duration(1'790'000'000'000))};
};

}  // namespace

TEST_CASE("the memory store keeps the contract of the storage ports") {
  store_contract([] { return std::make_unique<MemoryFixture>(); });
}

TEST_CASE("answers of the memory store come through the executor, in the order of the calls") {
  ManualExecutor executor;
  memory::MemoryStore store(executor, TimePoint(Duration(1'790'000'000'000)));
  std::string order;
  store.append(0, {}, [&](auto) { order += "a"; });
  store.renew({{"a", "1"}, Duration(1000), 256, true, ""}, [&](auto) { order += "b"; });
  store.changes(0, [&](auto) { order += "c"; });
  CHECK(order.empty());
  while (executor.run_one()) {
  }
  CHECK(order == "abc");
}

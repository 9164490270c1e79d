#include <atomic>
#include <future>

#include <nlohmann/json.hpp>

#include "bench_target.hpp"

namespace backstitch::app {
namespace {

/// Blocks until the callback that `run` is given has been called.
template <class T>
T wait_for(const std::function<void(std::function<void(T)>)>& run) {
  auto slot = std::make_shared<std::promise<T>>();
  auto value = slot->get_future();
  run([slot](T result) { slot->set_value(std::move(result)); });
  return value.get();
}

class EmbeddedTarget : public BenchTarget {
 public:
  explicit EmbeddedTarget(engine::Engine& engine) : engine_(engine) {}

  Result<Done> put_service(const std::string& name, const Json& service) override {
    const auto stored = wait_for<Result<engine::ServiceRegistration>>(
        [&](auto done) { engine_.registry().put_service(name, service.dump(), std::move(done)); });
    if (!stored) return stored.error();
    return refused_by(stored->findings);
  }

  Result<Done> register_definition(const Json& definition) override {
    const auto stored = wait_for<Result<engine::Registration>>([&](auto done) {
      engine_.registry().register_definition(definition.dump(), true, std::move(done));
    });
    if (!stored) return stored.error();
    return refused_by(stored->findings);
  }

  Result<std::map<std::string, double>> counters() override {
    const engine::Counters now = engine_.counters();
    const auto as_double = [](std::uint64_t value) { return static_cast<double>(value); };
    return std::map<std::string, double>{{"sagas_ended_total", as_double(now.ended)},
                                         {"appends_total", as_double(now.appends)},
                                         {"commits_total", as_double(now.commits)}};
  }

  std::size_t start(const std::string& definition, std::size_t count) override {
    struct Batch {
      std::atomic<std::size_t> left;
      std::atomic<std::size_t> taken{0};
      std::promise<void> done;
    };
    auto batch = std::make_shared<Batch>();
    batch->left = count;
    auto done = batch->done.get_future();
    for (std::size_t i = 0; i < count; ++i) {
      engine_.start(any_reactor, request(definition, 100), [batch](const auto& reply) {
        if (reply) batch->taken.fetch_add(1);
        if (batch->left.fetch_sub(1) == 1) batch->done.set_value();
      });
    }
    done.get();
    return batch->taken;
  }

  Single single(const std::string& definition) override {
    return [this, definition] {
      const auto started = wait_for<Result<engine::StartReply>>(
          [&](auto done) { engine_.start(any_reactor, request(definition, 1), std::move(done)); });
      if (!started) return false;
      const auto view = wait_for<Result<Json>>(
          [&](auto done) { engine_.await_end(started->id, Duration{30'000}, std::move(done)); });
      return view.has_value();
    };
  }

 private:
  /// The caller's thread is none of the engine's.
  static constexpr auto any_reactor = static_cast<std::size_t>(-1);

  static engine::StartRequest request(const std::string& definition, int amount) {
    engine::StartRequest start;
    start.definition = definition;
    start.input = {{"amount", amount}};
    return start;
  }

  static Result<Done> refused_by(const std::vector<dsl::Finding>& findings) {
    for (const auto& finding : findings) {
      if (finding.severity == dsl::Severity::error)
        return Error{ErrorCode::invalid, "definition-invalid", finding.message};
    }
    return Done{};
  }

  engine::Engine& engine_;
};

}  // namespace

std::unique_ptr<BenchTarget> embedded_target(engine::Engine& engine) {
  return std::make_unique<EmbeddedTarget>(engine);
}

}  // namespace backstitch::app

#include <atomic>

#include "bench_target.hpp"

namespace backstitch::app {
namespace {

/// Starts go to one node after the other, single sagas to the first; the totals are those of all.
class NodesTarget : public BenchTarget {
 public:
  explicit NodesTarget(std::vector<std::unique_ptr<BenchTarget>> nodes)
      : nodes_(std::move(nodes)) {}

  Result<Done> put_service(const std::string& name, const Json& service) override {
    return nodes_.front()->put_service(name, service);
  }

  Result<Done> register_definition(const Json& definition) override {
    return nodes_.front()->register_definition(definition);
  }

  Result<std::map<std::string, double>> counters() override {
    std::map<std::string, double> sums;
    for (const auto& node : nodes_) {
      const auto values = node->counters();
      if (!values) return values.error();
      for (const auto& [name, value] : *values) sums[name] += value;
    }
    return sums;
  }

  std::size_t start(const std::string& definition, std::size_t count) override {
    return nodes_[next_++ % nodes_.size()]->start(definition, count);
  }

  Single single(const std::string& definition) override {
    return nodes_.front()->single(definition);
  }

 private:
  const std::vector<std::unique_ptr<BenchTarget>> nodes_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace

std::unique_ptr<BenchTarget> nodes_target(std::vector<std::unique_ptr<BenchTarget>> nodes) {
  return std::make_unique<NodesTarget>(std::move(nodes));
}

}  // namespace backstitch::app

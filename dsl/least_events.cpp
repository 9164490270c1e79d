#include <algorithm>
#include <cstdint>

#include <backstitch/base/match.hpp>
#include <backstitch/dsl/definition.hpp>

namespace backstitch::dsl {
namespace {

/// Counts stop here: far above what any saga may have, far below an overflow.
constexpr std::int64_t countless = 1'000'000'000'000;

class Counting {
 public:
  explicit Counting(bool all_items) : all_items_(all_items) {}

  std::int64_t of(const Steps& steps) const {
    std::int64_t sum = 0;
    for (const auto& step : steps) sum = std::min(countless, sum + of(step));
    return sum;
  }

 private:
  /// A call, a wait or a block begins and ends; a value does both at once, as does what is skipped.
  std::int64_t of(const Step& step) const {
    if (step.when) return 1;
    return std::visit(
        Match{[](const Value&) { return std::int64_t{1}; },
              [](const Fail&) { return std::int64_t{1}; },
              [&](const Parallel& block) {
                std::int64_t sum = 2;
                for (const auto& branch : block.branches) sum += of(branch.steps);
                return std::min(countless, sum);
              },
              [&](const Switch& block) {
                std::int64_t least = block.otherwise ? of(block.otherwise->steps) : 0;
                for (const auto& one : block.cases) least = std::min(least, of(one.steps));
                return 2 + least;
              },
              [&](const ForEach& block) {
                const auto items = all_items_ ? static_cast<std::int64_t>(block.items_max) : 0;
                return std::min(countless, 2 + items * (1 + of(block.steps)));
              },
              [&](const Try& block) { return 2 + (block.catches.empty() ? of(block.steps) : 0); },
              [](const auto&) { return std::int64_t{2}; }},
        step.body);
  }

  bool all_items_;
};

}  // namespace

std::int64_t least_events(const Steps& steps, bool all_items) {
  return Counting(all_items).of(steps);
}

}  // namespace backstitch::dsl

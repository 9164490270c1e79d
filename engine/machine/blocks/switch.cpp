/// switch: the first case that holds.
#include "../decider.hpp"

namespace backstitch::engine {
namespace {

const dsl::Case& case_of(const dsl::Switch& block, std::uint32_t chosen) {
  return chosen < block.cases.size() ? block.cases[chosen] : *block.otherwise;
}

}  // namespace

Progress Decider::begin_switch(const Located& at, const dsl::Switch& block) {
  std::uint32_t chosen = 0;
  {
    const SagaScope scope = scope_of(at, Phase::forward);
    for (; chosen < block.cases.size(); ++chosen) {
      dsl::Budget budget;
      const auto holds = block.cases[chosen].when->evaluate_condition(scope, budget);
      if (!holds) return fail_expression(at, holds.error());
      if (*holds) break;
    }
  }
  emit(BlockStarted{at.path, chosen, nullptr, {}});
  return run_open(at);
}

Progress Decider::run_switch(const Located& at, const dsl::Switch& block) {
  const std::uint32_t chosen = block_state(at.path).chosen;
  const dsl::Case& one = case_of(block, chosen);
  switch (run_steps(inside(at, one.steps, chosen))) {
    case Progress::waiting:
      return Progress::waiting;
    case Progress::failed:
      return fail_block(at);
    case Progress::done:
      return render_output(at, one.output);
  }
  return Progress::waiting;
}

}  // namespace backstitch::engine

/// try: a save-point. What failed after it is undone up to it; then a catch may go another way.
#include <algorithm>

#include "../decider.hpp"
#include "../limits.hpp"

namespace backstitch::engine {
namespace {

bool names(const std::vector<std::string>& list, const std::string& word) {
  return list.empty() || std::find(list.begin(), list.end(), word) != list.end();
}

/// Whether something of the body could not be undone: no ground to go another way from.
bool is_incomplete(const SagaState& state, const StepPath& block) {
  const std::string prefix = block + "/";
  for (auto step = state.steps.lower_bound(prefix);
       step != state.steps.end() && step->first.starts_with(prefix); ++step) {
    if (is_left_over(step->second)) return true;
  }
  return false;
}

}  // namespace

Progress Decider::begin_try(const Located& at, const dsl::Try&) {
  emit(BlockStarted{at.path, 0, nullptr, {}});
  return run_open(at);
}

Progress Decider::run_try(const Located& at, const dsl::Try& block) {
  if (!block_state(at.path).caught) {
    const Progress progress = run_steps(inside(at, block.steps, 0));
    if (progress == Progress::waiting) return progress;
    if (progress == Progress::done) return render_output(at, block.output);
    const auto& failures = block_state(at.path).failures;
    if (stopping(at) || failures.empty()) return fail_block(at);
    emit(TryFailed{at.path, failures.front()});
  }
  if (!block_state(at.path).catch_chosen) {
    if (undo_steps(inside(at, block.steps, 0)) != Progress::done) return Progress::waiting;
    const Progress chosen = choose_catch(at, block);
    if (chosen != Progress::done) return chosen;
  }
  const std::uint32_t chosen = *block_state(at.path).catch_chosen;
  const dsl::Catch& one = block.catches[chosen];
  const Progress progress = run_steps(inside(at, one.steps, chosen + 1));
  if (progress == Progress::waiting) return progress;
  if (progress == Progress::failed) return fail_block(at);
  return render_output(at, one.output, &*block_state(at.path).caught);
}

/// @return failed: the failure goes on outward
Progress Decider::choose_catch(const Located& at, const dsl::Try& block) {
  const Failure caught = *block_state(at.path).caught;
  const auto outward = [&] {
    emit(StepFailed{at.path, stopping(at) ? stopped_failure(at.path) : caught});
    return Progress::failed;
  };
  if (stopping(at) || is_incomplete(state(), at.path)) return outward();
  if (!has_room()) return Progress::waiting;
  SagaScope scope = scope_of(at, Phase::forward);
  scope.set_failure(caught);
  for (std::uint32_t i = 0; i < block.catches.size(); ++i) {
    const dsl::Catch& one = block.catches[i];
    if (!names(one.codes, caught.code) || !names(one.classes, caught.failure_class)) continue;
    if (one.when) {
      dsl::Budget budget;
      const auto holds = one.when->evaluate_condition(scope, budget);
      if (!holds) emit(CatchPassedOver{at.path, i, cut_message(holds.error().message)});
      if (!holds || !*holds) continue;
    }
    emit(CatchStarted{at.path, i});
    return Progress::done;
  }
  return outward();
}

}  // namespace backstitch::engine

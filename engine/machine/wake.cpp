#include <algorithm>

#include <backstitch/engine/machine/machine.hpp>

#include "locate.hpp"

namespace backstitch::engine {
namespace {

constexpr std::string_view notice_prefix = "onSuspended[";

void earlier(std::optional<TimePoint>& best, const std::optional<TimePoint>& time) {
  if (time && (!best || *time < *best)) best = time;
}

/// Whether the undo of a step that is unknown may begin as soon as its quiet period is over.
bool is_wanted_back(const dsl::Definition& definition, const SagaState& state,
                    const StepPath& path) {
  if (state.status == SagaStatus::compensating) return true;
  const auto at = locate(definition, path);
  return at && std::any_of(at->frames.begin(), at->frames.end(), [&](const Frame& frame) {
           const auto block = state.blocks.find(frame.path);
           return block != state.blocks.end() && block->second.caught && frame.index == 0 &&
                  !block->second.catch_chosen;
         });
}

}  // namespace

std::optional<TimePoint> next_wake(const dsl::Definition& definition, const SagaState& state) {
  std::optional<TimePoint> best;
  if (is_terminal(state.status)) return best;
  if (state.status == SagaStatus::running && !state.deadline_passed) earlier(best, state.deadline);
  for (const auto& path : state.open) {
    if (state.status == SagaStatus::suspended && !path.starts_with(notice_prefix)) continue;
    const StepState& step = state.steps.find(path)->second;
    if (step.status == StepStatus::unknown) {
      if (is_wanted_back(definition, state, path)) earlier(best, step.undo_not_before);
      continue;
    }
    for (const Phase phase : all_phases) earlier(best, call_of(step, phase).retry_at);
    if (step.status == StepStatus::waiting) earlier(best, step.wait_until);
    // A child that was asked to stop has been told; its end is waited for.
    if (step.status != StepStatus::compensating && !step.child_stopped)
      earlier(best, step.timeout_at);
  }
  return best;
}

bool has_call_in_flight(const SagaState& state) {
  return std::any_of(state.open.begin(), state.open.end(), [&](const StepPath& path) {
    const StepState& step = state.steps.find(path)->second;
    return step.forward.in_flight || step.probe.in_flight || step.poll.in_flight ||
           step.undo.in_flight;
  });
}

bool is_active(const SagaState& state) {
  if (state.status == SagaStatus::running || state.status == SagaStatus::compensating) return true;
  return state.status == SagaStatus::suspended &&
         std::any_of(state.open.begin(), state.open.end(),
                     [](const StepPath& path) { return path.starts_with(notice_prefix); });
}

}  // namespace backstitch::engine

#include <algorithm>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine {
namespace {

void earlier(std::optional<TimePoint>& best, const std::optional<TimePoint>& time) {
  if (time && (!best || *time < *best)) best = time;
}

}  // namespace

std::optional<TimePoint> next_wake(const dsl::Definition&, const SagaState& state) {
  std::optional<TimePoint> best;
  if (state.status == SagaStatus::running && !state.deadline_passed) earlier(best, state.deadline);
  if (state.status != SagaStatus::running && state.status != SagaStatus::compensating) return best;
  for (const auto& [path, step] : state.steps) {
    earlier(best, step.forward.retry_at);
    earlier(best, step.probe.retry_at);
    earlier(best, step.undo.retry_at);
    if (step.status == StepStatus::running) earlier(best, step.timeout_at);
    if (step.status == StepStatus::unknown && state.status == SagaStatus::compensating) {
      earlier(best, step.undo_not_before);
    }
  }
  return best;
}

bool has_call_in_flight(const SagaState& state) {
  return std::any_of(state.steps.begin(), state.steps.end(), [](const auto& entry) {
    const StepState& step = entry.second;
    return step.forward.in_flight || step.probe.in_flight || step.undo.in_flight;
  });
}

}  // namespace backstitch::engine

#include <algorithm>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine {
namespace {

constexpr std::string_view notice_prefix = "onSuspended[";

void earlier(std::optional<TimePoint>& best, const std::optional<TimePoint>& time) {
  if (time && (!best || *time < *best)) best = time;
}

/// Whether the compensation of a step that is unknown may begin as soon as its quiet period is
/// over: the saga goes back, or a `try` around the step does.
bool is_wanted_back(const SagaState& state, const StepPath& path) {
  if (state.failure) return true;
  for (auto end = path.rfind('/'); end != StepPath::npos && end > 0;
       end = path.rfind('/', end - 1)) {
    const auto block = state.blocks.find(path.substr(0, end));
    if (block != state.blocks.end() && block->second.caught && !block->second.catch_chosen)
      return true;
  }
  return false;
}

}  // namespace

bool goes_on_while_suspended(const SagaState& state, const StepPath& path) {
  if (path.starts_with(notice_prefix)) return true;
  const bool stopped =
      std::any_of(state.suspensions.begin(), state.suspensions.end(),
                  [&](const Suspension& one) { return one.step.empty() || one.step == path; });
  if (stopped) return false;
  const StepStatus status = state.steps.find(path)->second.status;
  return status == StepStatus::compensating ||
         (status == StepStatus::unknown && is_wanted_back(state, path));
}

std::optional<TimePoint> next_wake(const SagaState& state) {
  std::optional<TimePoint> best;
  if (is_terminal(state.status)) return best;
  if (state.status == SagaStatus::running && !state.deadline_passed) earlier(best, state.deadline);
  for (const auto& path : state.open) {
    if (state.status == SagaStatus::suspended && !goes_on_while_suspended(state, path)) continue;
    const StepState& step = state.steps.find(path)->second;
    if (step.status == StepStatus::unknown) {
      if (is_wanted_back(state, path)) earlier(best, step.undo_not_before);
      continue;
    }
    for (const Phase phase : all_phases) earlier(best, call_of(step, phase).retry_at);
    // A question in flight is waited for, because it may bring the answer.
    if (step.status == StepStatus::waiting && !step.poll.in_flight) earlier(best, step.wait_until);
    // A child that was asked to stop has been told; its end is waited for.
    if (step.status != StepStatus::compensating && !step.child_stopped)
      earlier(best, step.timeout_at);
  }
  return best;
}

Duration attempt_time(const StepState& step, Phase phase, TimePoint now) {
  const Duration whole = call_of(step, phase).request->attempt_timeout;
  // Compensations are not bounded by any timeout of the forward direction.
  if (phase == Phase::compensate || !step.timeout_at) return whole;
  return std::clamp<Duration>(*step.timeout_at - now, Duration{1}, whole);
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
                     [&](const StepPath& path) { return goes_on_while_suspended(state, path); });
}

}  // namespace backstitch::engine

/// What an open step waits for, as people are told.
#include <algorithm>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine {
namespace {

std::string named(Phase phase) {
  switch (phase) {
    case Phase::forward:
      return "";
    case Phase::probe:
      return " of its probe";
    case Phase::poll:
      return " of its poll";
    case Phase::compensate:
      return " of its compensation";
  }
  return "";
}

Awaited awaited_by(const StepPath& path, const StepState& step,
                   const std::vector<QueuedCall>& queued) {
  for (const Phase phase : all_phases) {
    const CallState& call = call_of(step, phase);
    if (!call.in_flight) continue;
    if (is_queued(queued, path, phase)) {
      return {path,
              "its turn among the calls to its service, for attempt " +
                  std::to_string(call.attempts) + named(phase),
              std::nullopt};
    }
    const std::string what =
        "the answer to attempt " + std::to_string(call.attempts) + named(phase);
    const bool is_known = call.request != nullptr;
    return {path, what,
            is_known ? std::optional(call.sent_at + attempt_time(step, phase, call.sent_at))
                     : std::nullopt};
  }
  if (step.child && !step.undo.request)
    return {path, "the sub-saga " + step.child->id.text(), step.timeout_at};
  if (step.status == StepStatus::waiting)
    return {path, step.forward.request ? "its participant's answer" : "a signal or its time",
            step.wait_until};
  if (step.status == StepStatus::unknown)
    return {path, "the end of its quiet period", step.undo_not_before};
  for (const Phase phase : all_phases) {
    const CallState& call = call_of(step, phase);
    if (call.retry_at)
      return {path, "its attempt " + std::to_string(call.attempts + 1) + named(phase),
              call.retry_at};
  }
  return {path, "an operator", std::nullopt};
}

}  // namespace

const QueuedCall* find_queued(const std::vector<QueuedCall>& queued, const StepPath& path,
                              Phase phase) {
  const auto found = std::find_if(queued.begin(), queued.end(), [&](const QueuedCall& call) {
    return call.path == path && call.phase == phase;
  });
  return found == queued.end() ? nullptr : &*found;
}

bool is_queued(const std::vector<QueuedCall>& queued, const StepPath& path, Phase phase) {
  return find_queued(queued, path, phase) != nullptr;
}

std::vector<Awaited> awaited(const SagaState& state, const std::vector<QueuedCall>& queued) {
  std::vector<Awaited> all;
  for (const auto& path : state.open)
    all.push_back(awaited_by(path, state.steps.find(path)->second, queued));
  return all;
}

}  // namespace backstitch::engine

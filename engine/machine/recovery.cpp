/// What is undone, and in what order: the mirror image of the block structure.
#include <algorithm>

#include "decider.hpp"

namespace backstitch::engine {

void Decider::go_back(const Failure& why) {
  emit(CompensationStarted{why});
}

void Decider::recover() {
  if (!state().handlers_started) {
    if (undo_steps(definition().steps, "") != Progress::done) return;
    if (definition().on_failure.empty()) return finish_recovery();
    emit(HandlersStarted{"onFailure"});
  }
  if (run_steps(definition().on_failure, "onFailure/", true) == Progress::done) finish_recovery();
}

Progress Decider::undo_steps(const dsl::Steps& steps, const std::string& prefix) {
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const Progress progress = undo_step({&*step, prefix + step->name, false});
    if (progress != Progress::done) return progress;
  }
  return Progress::done;
}

Progress Decider::undo_step(const Located& at) {
  const auto found = state().steps.find(at.path);
  if (found == state().steps.end()) return Progress::done;
  const StepState& step = found->second;
  switch (step.status) {
    case StepStatus::pending:
    case StepStatus::skipped:
    case StepStatus::failed:
    case StepStatus::compensated:
    case StepStatus::compensation_failed:
    case StepStatus::compensation_skipped:
      return Progress::done;
    case StepStatus::running:
    case StepStatus::waiting:
    case StepStatus::compensating:
      return Progress::waiting;
    case StepStatus::succeeded:
    case StepStatus::unknown:
      break;
  }
  if (std::holds_alternative<dsl::WaivedCompensation>(at.step->undo)) {
    emit(StepCompensationSkipped{at.path, "waived"});
    return Progress::done;
  }
  const auto* undo = std::get_if<dsl::Compensation>(&at.step->undo);
  if (undo == nullptr) return Progress::done;
  if (step.undo_not_before && now() < *step.undo_not_before) return Progress::waiting;
  return begin_undo(at, *undo);
}

Progress Decider::begin_undo(const Located& at, const dsl::Compensation& undo) {
  const SagaScope scope = scope_of(at, Phase::compensate);
  dsl::Budget budget;
  if (undo.when) {
    const auto holds = undo.when->evaluate_condition(scope, budget);
    if (!holds) {
      suspend("EXPRESSION_FAILED", holds.error().message, at.path, Phase::compensate);
      return Progress::waiting;
    }
    if (!*holds) {
      emit(StepCompensationSkipped{at.path, "when"});
      return Progress::done;
    }
  }
  const auto& action = std::get<dsl::Action>(at.step->body);
  auto request = render(program_, state(),
                        {at.path, Phase::compensate, undo.request, action.request.service,
                         undo.attempt_timeout ? &*undo.attempt_timeout : nullptr},
                        scope);
  if (!request) {
    suspend("EXPRESSION_FAILED", request.error().message, at.path, Phase::compensate);
    return Progress::waiting;
  }
  emit(StepCompensationScheduled{at.path, std::move(*request)});
  call(at.path, Phase::compensate);
  return Progress::waiting;
}

void Decider::finish_recovery() {
  const auto& steps = state().steps;
  const bool incomplete = std::any_of(steps.begin(), steps.end(), [](const auto& entry) {
    const StepState& step = entry.second;
    return step.status == StepStatus::compensation_failed || step.undo_given_up;
  });
  end(incomplete ? SagaStatus::failed_incomplete : SagaStatus::failed);
}

}  // namespace backstitch::engine

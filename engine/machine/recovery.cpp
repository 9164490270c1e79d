/// What is undone, and in what order: the mirror image of the block structure. The same walk undoes
/// a whole saga and, up to a save-point, the body of a try.
#include <algorithm>

#include "decider.hpp"
#include "limits.hpp"

namespace backstitch::engine {
namespace {

/// What an undo is for: it took effect, or may have.
bool needs_undo(const StepState& step) {
  return step.status == StepStatus::succeeded || step.status == StepStatus::unknown;
}

bool is_being_undone(const StepState& step) {
  return step.status == StepStatus::compensating;
}

}  // namespace

bool is_left_over(const StepState& step) {
  return step.status == StepStatus::compensation_failed || step.undo_given_up || step.left_over;
}

void Decider::go_back(const Failure& why) {
  emit(CompensationStarted{why});
}

void Decider::recover() {
  if (!state().handlers_started) {
    if (undo_steps(main_line(definition())) != Progress::done) return;
    if (state().status != SagaStatus::compensating) return;
    if (definition().on_failure.empty()) return finish_recovery();
    emit(HandlersStarted{"onFailure"});
  }
  if (run_steps(failure_handlers(definition())) == Progress::done &&
      state().status == SagaStatus::compensating)
    finish_recovery();
}

/// One stuck chain suspends the saga at once and does not stop the others, whether the whole saga
/// goes back or only the bodies of some `try` blocks do.
void Decider::go_on_undoing() {
  const auto& suspensions = state().suspensions;
  const bool as_a_whole = std::any_of(suspensions.begin(), suspensions.end(),
                                      [](const Suspension& one) { return one.step.empty(); });
  if (as_a_whole || state().handlers_started) return;
  if (state().failure) {
    undo_steps(main_line(definition()));
    return;
  }
  std::vector<StepPath> going_back;
  for (const auto& [path, block] : state().blocks) {
    if (block.caught && !block.catch_chosen && step_state(path).status == StepStatus::running)
      going_back.push_back(path);
  }
  for (const auto& path : going_back) {
    const auto at = locate(definition(), path);
    if (at) undo_steps(inside(*at, std::get<dsl::Try>(at->step->body).steps, 0));
  }
}

Progress Decider::undo_steps(const ListPlace& list) {
  for (auto step = list.steps->rbegin(); step != list.steps->rend(); ++step) {
    if (undo_step(locate_in(list, *step)) != Progress::done) return Progress::waiting;
  }
  return Progress::done;
}

Progress Decider::undo_step(const Located& at) {
  if (state().steps.count(at.path) == 0) return Progress::done;
  return is_block(*at.step) ? undo_block(at) : undo_leaf(at);
}

/// The steps inside know what they need, whatever became of the block.
Progress Decider::undo_block(const Located& at) {
  if (state().blocks.count(at.path) == 0) return Progress::done;
  if (const auto* block = std::get_if<dsl::Parallel>(&at.step->body))
    return undo_parallel(at, *block);
  if (const auto* block = std::get_if<dsl::ForEach>(&at.step->body))
    return undo_for_each(at, *block);
  const BlockState& known = block_state(at.path);
  if (const auto* block = std::get_if<dsl::Switch>(&at.step->body)) {
    const std::uint32_t chosen = known.chosen;
    const auto& one = chosen < block->cases.size() ? block->cases[chosen] : *block->otherwise;
    return undo_steps(inside(at, one.steps, chosen));
  }
  const auto& block = std::get<dsl::Try>(at.step->body);
  if (known.catch_chosen) {
    const std::uint32_t chosen = *known.catch_chosen;
    const Progress progress = undo_steps(inside(at, block.catches[chosen].steps, chosen + 1));
    if (progress != Progress::done) return progress;
  }
  // Where a catch ran, nothing of the body is left.
  return undo_steps(inside(at, block.steps, 0));
}

Progress Decider::undo_parallel(const Located& at, const dsl::Parallel& block) {
  if (block.compensation_order == dsl::CompensationOrder::serial) return undo_serially(at);
  Progress progress = Progress::done;
  for (std::uint32_t i = 0; i < block.branches.size(); ++i) {
    if (undo_steps(inside(at, block.branches[i].steps, i)) != Progress::done)
      progress = Progress::waiting;
  }
  return progress;
}

/// One step after the other, the last that ended first, whatever branch it stands in.
Progress Decider::undo_serially(const Located& at) {
  auto& order = block_state(at.path).undo_order;
  if (!order) {
    std::vector<std::pair<std::int64_t, StepPath>> ended;
    const std::string prefix = at.path + "/";
    for (auto step = state().steps.lower_bound(prefix);
         step != state().steps.end() && step->first.starts_with(prefix); ++step) {
      const bool leaf = state().blocks.count(step->first) == 0;
      if (leaf && (needs_undo(step->second) || is_being_undone(step->second)))
        ended.emplace_back(step->second.settled_sequence, step->first);
    }
    std::sort(ended.begin(), ended.end());
    order.emplace();
    for (auto& [sequence, path] : ended) order->push_back(std::move(path));
  }
  while (!order->empty()) {
    const auto step = locate(definition(), order->back());
    if (step && undo_leaf(*step) != Progress::done) return Progress::waiting;
    order->pop_back();
  }
  return Progress::done;
}

/// The last iteration first. Where the undo has got to is remembered, so that it takes linear time.
Progress Decider::undo_for_each(const Located& at, const dsl::ForEach& block) {
  const bool serial = block.compensation_order == dsl::CompensationOrder::serial;
  const std::size_t most = serial ? 1 : block.concurrency_max;
  BlockState& known = block_state(at.path);
  if (!known.undo_next) known.undo_next = known.next;
  const std::set<std::uint32_t> undoing = known.undoing;
  for (auto index = undoing.rbegin(); index != undoing.rend(); ++index) {
    if (undo_steps(inside(at, block.steps, *index)) == Progress::done) known.undoing.erase(*index);
  }
  while (known.undoing.size() < most && *known.undo_next > 0) {
    const std::uint32_t index = --*known.undo_next;
    if (undo_steps(inside(at, block.steps, index)) != Progress::done) known.undoing.insert(index);
  }
  return known.undoing.empty() ? Progress::done : Progress::waiting;
}

Progress Decider::undo_leaf(const Located& at) {
  const StepState& step = step_state(at.path);
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
  if (!has_room()) return Progress::waiting;
  if (std::holds_alternative<dsl::WaivedCompensation>(at.step->undo)) {
    emit(StepCompensationSkipped{at.path, "waived"});
    return Progress::done;
  }
  // An operator is needed before this compensation can begin.
  if (suspension_at(at.path) != nullptr) return Progress::waiting;
  if (undoes_child(at)) return begin_undo_of_child(at);
  const auto* undo = std::get_if<dsl::Compensation>(&at.step->undo);
  if (undo == nullptr) return Progress::done;
  if (step.undo_not_before && now() < *step.undo_not_before) return Progress::waiting;
  const auto under_way = std::count_if(
      state().open.begin(), state().open.end(),
      [this](const StepPath& path) { return is_being_undone(state().steps.find(path)->second); });
  if (static_cast<std::size_t>(under_way) >= branches_open_max) return Progress::waiting;
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
  const auto* action = std::get_if<dsl::Action>(&at.step->body);
  const std::string service = action != nullptr ? action->request.service : std::string{};
  auto request = render(program_, state(),
                        {at, Phase::compensate, undo.request, service, step_state(at.path).key,
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
  const bool incomplete = std::any_of(steps.begin(), steps.end(),
                                      [](const auto& entry) { return is_left_over(entry.second); });
  end(incomplete ? SagaStatus::failed_incomplete : SagaStatus::failed);
}

}  // namespace backstitch::engine

#include "moves.hpp"

#include <algorithm>

namespace backstitch::engine::explore {
namespace {

bool is_in_flight(const SagaState& state, const StepPath& path) {
  const StepState& step = state.steps.find(path)->second;
  return step.forward.in_flight || step.probe.in_flight || step.poll.in_flight ||
         step.undo.in_flight;
}

/// To be asked again comes to what one of the other answers comes to at once: done, refused, or
/// unknown for good. It is followed only where nothing else is on its way, see docs/verify.md.
bool leads_nowhere_else(const Answer& answer, Phase phase) {
  const bool again = answer.meaning == Meaning::transient || answer.meaning == Meaning::unknown ||
                     (answer.meaning == Meaning::refused && phase == Phase::compensate);
  return answer.sure && again && !answer.last;
}

/// No call has failed or is unknown, nothing is to stop, and no unusual body has come.
bool went_well(const SagaState& state) {
  if (state.failure || state.cancel_requested || state.deadline_passed ||
      !state.suspensions.empty())
    return false;
  return std::none_of(state.steps.begin(), state.steps.end(), [](const auto& entry) {
    const StepState& step = entry.second;
    return step.failure || step.undo_failure || step.forward.unknown_seen ||
           step.poll.unknown_seen || step.status == StepStatus::failed ||
           step.status == StepStatus::unknown;
  });
}

/// Lists of answers have a few dozen entries at most.
std::uint16_t variants_of(const auto& answers) {
  return static_cast<std::uint16_t>(answers.size());
}

}  // namespace

bool is_timer(MoveKind kind) {
  return kind == MoveKind::again || kind == MoveKind::step_timeout || kind == MoveKind::wait_over ||
         kind == MoveKind::quiet_over || kind == MoveKind::deadline;
}

bool comes_by_itself(MoveKind kind) {
  return kind != MoveKind::cancel && kind != MoveKind::crash && kind != MoveKind::retry;
}

bool is_quiet(const SagaState& state) {
  return state.status == SagaStatus::suspended && !is_active(state) && !has_call_in_flight(state);
}

const StepAnswers& Moves::answers_at(Slot slot) const {
  static const StepAnswers nothing;
  const auto found = answers_.steps.find(judge_.standing(slot).step);
  return found == answers_.steps.end() ? nothing : found->second;
}

std::vector<Move> Moves::all() {
  std::vector<Move> moves;
  const SagaState& state = positions_.state();
  if (is_terminal(state.status)) return moves;
  const bool suspended = state.status == SagaStatus::suspended;
  bool awaited = false;
  for (const auto& path : state.open) {
    // Where a saga stands still its calls only tell what they come to: one order stands for all.
    const bool call =
        suspended && !goes_on_while_suspended(state, path) && is_in_flight(state, path);
    if (call && awaited) continue;
    awaited = awaited || call;
    add_open(path, moves);
  }
  const bool running = state.status == SagaStatus::running;
  // A stop is wanted or it is not; after the pivot the deadline is only worth a notice.
  const bool stopping = state.cancel_requested || state.deadline_passed;
  const bool may_cancel = !state.pivot_sent && !state.pivot_passed && !state.failure && !stopping &&
                          program_.definition->recovery == dsl::Recovery::backward;
  // Where nothing reads the failure's code, the timeout comes to what a cancellation comes to.
  if (running && !stopping && !state.pivot_passed && state.deadline &&
      (answers_.failure_read || !may_cancel))
    moves.push_back({MoveKind::deadline, Phase::forward, 0, 0});
  const bool quiet = is_quiet(state);
  if (quiet) moves.push_back({MoveKind::retry, Phase::forward, 0, 0});
  if ((running || quiet) && may_cancel) moves.push_back({MoveKind::cancel, Phase::forward, 0, 0});
  if (is_active(state) && has_call_in_flight(state))
    moves.push_back({MoveKind::crash, Phase::forward, 0, 0});
  return moves;
}

void Moves::add_open(const StepPath& path, std::vector<Move>& moves) {
  const SagaState& state = positions_.state();
  const Slot slot = positions_.slot_of(path);
  const StepState& step = state.steps.find(path)->second;
  add_calls(slot, step, moves);
  if (step.child) add_child(slot, step, moves);
  if (state.status == SagaStatus::suspended && !goes_on_while_suspended(state, path)) return;
  add_timers(slot, step, moves);
  if (step.status != StepStatus::waiting) return;
  const auto& signals = answers_at(slot).signals;
  for (std::uint16_t i = 0; i < variants_of(signals); ++i)
    moves.push_back({MoveKind::signal, Phase::forward, i, slot});
}

void Moves::add_calls(Slot slot, const StepState& step, std::vector<Move>& moves) {
  const StepAnswers& answers = answers_at(slot);
  const bool alone = positions_.state().open.size() == 1;
  for (const Phase phase : all_phases) {
    if (!call_of(step, phase).in_flight) continue;
    const auto& list = answers.of(phase);
    for (std::uint16_t i = 0; i < variants_of(list); ++i) {
      if (!alone && leads_nowhere_else(list[i], phase)) continue;
      // One unusual body a way: each is tried at every step, and not all of them together.
      if (list[i].odd && (positions_.odd_body_seen || !went_well(positions_.state()))) continue;
      moves.push_back({MoveKind::answer, phase, i, slot});
    }
  }
  const bool open = step.status == StepStatus::running || step.status == StepStatus::waiting;
  if (!open || step.callback_token.empty() || step.callback_used) return;
  // It may come before the answer that announces it, not before the call.
  for (std::uint16_t i = 0; i < variants_of(answers.callback); ++i)
    moves.push_back({MoveKind::callback, Phase::forward, i, slot});
}

void Moves::add_timers(Slot slot, const StepState& step, std::vector<Move>& moves) {
  for (const Phase phase : all_phases) {
    if (call_of(step, phase).retry_at) moves.push_back({MoveKind::again, phase, 0, slot});
  }
  const bool forward = step.status == StepStatus::running || step.status == StepStatus::waiting;
  if (forward && step.timeout_at && !step.child_stopped)
    moves.push_back({MoveKind::step_timeout, Phase::forward, 0, slot});
  if (step.status == StepStatus::waiting && step.wait_until)
    moves.push_back({MoveKind::wait_over, Phase::forward, 0, slot});
  if (step.status == StepStatus::unknown && step.undo_not_before)
    moves.push_back({MoveKind::quiet_over, Phase::forward, 0, slot});
}

void Moves::add_child(Slot slot, const StepState& step, std::vector<Move>& moves) {
  const SagaState& state = positions_.state();
  const bool suspended =
      std::any_of(state.suspensions.begin(), state.suspensions.end(),
                  [&](const auto& one) { return one.step == positions_.path_of(slot); });
  if (suspended && is_active(state)) return;
  const bool back = step.status == StepStatus::compensating;
  if (!back && step.status != StepStatus::waiting) return;
  const auto& list = answers_at(slot).child;
  for (std::uint16_t i = 0; i < variants_of(list); ++i) {
    const ChildAnswer& answer = list[i];
    const bool cancelled = answer.failure && answer.failure->code == "CANCELLED";
    bool possible = false;
    switch (answer.status) {
      case SagaStatus::completed:
        possible = !back;
        break;
      case SagaStatus::failed:
        possible = back ? cancelled : cancelled == step.child_stopped;
        break;
      case SagaStatus::suspended:
        possible = !suspended;
        break;
      case SagaStatus::running:
        possible = suspended && !back;
        break;
      case SagaStatus::compensating:
        possible = suspended && back;
        break;
      case SagaStatus::failed_incomplete:
        break;
    }
    if (possible) moves.push_back({MoveKind::child, Phase::forward, i, slot});
  }
}

bool Moves::is_inadmissible(const Move& move) const {
  return move.kind == MoveKind::signal && !answers_at(move.slot).signals[move.variant].admitted;
}

std::string Moves::told(const Move& move) const {
  std::string text = told_without_arms(move);
  for (const std::uint32_t question : arms_.flips_of(move.script))
    text += ", " + arms_.told(question);
  return text;
}

std::string Moves::told_without_arms(const Move& move) const {
  const StepPath& path = positions_.path_of(move.slot);
  switch (move.kind) {
    case MoveKind::begin:
      return "starts with " + answers_.inputs[move.variant].dump();
    case MoveKind::answer: {
      const std::string which = move.phase == Phase::compensate ? "undo of " + path
                                : move.phase == Phase::forward  ? path
                                                                : path + ", " + to_text(move.phase);
      return which + ": " + answers_at(move.slot).of(move.phase)[move.variant].said;
    }
    case MoveKind::again:
      return (move.phase == Phase::compensate ? "undo of " + path : path) + ": tried again";
    case MoveKind::step_timeout:
      return path + ": its timeout passes";
    case MoveKind::wait_over:
      return path + ": the wait is over";
    case MoveKind::quiet_over:
      return path + ": the quiet period is over";
    case MoveKind::signal:
      return path + ": " + answers_at(move.slot).signals[move.variant].said;
    case MoveKind::callback:
      return path + ", callback: " + answers_at(move.slot).callback[move.variant].said;
    case MoveKind::child:
      return path + ": " + answers_at(move.slot).child[move.variant].said;
    case MoveKind::deadline:
      return "the saga's timeout passes";
    case MoveKind::cancel:
      return answers_.failure_read ? "somebody cancels the saga"
                                   : "somebody cancels the saga, or its timeout passes";
    case MoveKind::crash:
      return "the engine crashes; another node takes over";
    case MoveKind::retry:
      return "an operator retries";
  }
  return {};
}

}  // namespace backstitch::engine::explore

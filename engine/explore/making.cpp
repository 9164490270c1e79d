/// Making a move: the stimulus for the machine, and what participants then know.
#include <algorithm>

#include <backstitch/base/match.hpp>

#include "moves.hpp"

namespace backstitch::engine::explore {
namespace {

/// So many that no budget has any left.
constexpr std::uint32_t attempts_beyond_budgets = 1'000'000;

/// What was in the way is in the way still: an undo that cannot be rendered, for one.
bool suspends_again(const Move& move, const std::vector<Event>& events) {
  return move.kind == MoveKind::retry &&
         std::any_of(events.begin(), events.end(), [](const Event& event) {
           return std::holds_alternative<SagaSuspended>(event.body);
         });
}

}  // namespace

Made Moves::make(const Move& move) {
  Made made;
  SagaState& state = positions_.state();
  arms_.play(move.script);
  note_before(move);
  Stimulus stimulus{present, 0, prepare(move)};
  const bool answer = move.kind == MoveKind::answer;
  if (answer && answers_at(move.slot).of(move.phase)[move.variant].last)
    stimulus.now = beyond_budgets;
  if (is_timer(move.kind) && next_wake(state) != present) {
    made.refused = true;
    return made;
  }
  try {
    Transition transition = decided(move, stimulus);
    state = std::move(transition.next);
    made.events = std::move(transition.events);
    made.effects = std::move(transition.effects);
    made.refused = transition.refused.has_value();
    if (made.refused) made.reason = transition.refused->reason;
  } catch (const InvariantViolation& broken) {
    positions_.lose();
    made.broken = broken.what();
    return made;
  }
  touch_changed(move, made.events);
  note_after(made.events);
  return made;
}

/// How often it was suspended before must not matter, or retries would never come to an end.
Transition Moves::decided(const Move& move, const Stimulus& stimulus) {
  SagaState& state = positions_.state();
  if (move.kind != MoveKind::retry) return decide_to_rest(program_, std::move(state), stimulus);
  Transition transition = decide_to_rest(program_, state, stimulus);
  if (!suspends_again(move, transition.events)) return transition;
  positions_.forget_notices();
  return decide_to_rest(program_, std::move(state), stimulus);
}

bool Moves::need_not_be_followed(const Move& move, const Made& made) const {
  // Every call is sent again with its key; what each comes to then, it may come to without a crash.
  if (move.kind == MoveKind::crash) return positions_.state().open.size() > 1;
  if (move.kind != MoveKind::answer || !made.effects.empty()) return false;
  const Answer& answer = answers_at(move.slot).of(move.phase)[move.variant];
  if (answer.meaning != Meaning::success || !answer.sure) return false;
  const SagaState& state = positions_.state();
  const StepPath& path = positions_.path_of(move.slot);
  for (const auto& other : state.open) {
    if (other >= path) return false;
    const StepState& step = state.steps.find(other)->second;
    if (step.forward.in_flight || step.probe.in_flight || step.undo.in_flight) return true;
  }
  return false;
}

bool Moves::fold(const Move& move, const std::vector<Event>& events) {
  SagaState& state = positions_.state();
  arms_.play(move.script);
  note_before(move);
  prepare(move);
  if (suspends_again(move, events)) positions_.forget_notices();
  Sequence sequence = state.sequence;
  for (const auto& event : events) {
    sequence = Sequence{sequence.get() + 1};
    const auto read_back = decode(encode(event, sequence));
    if (!read_back) return false;
    apply(*program_.definition, state, *read_back);
  }
  touch_changed(move, events);
  note_after(events);
  return true;
}

/// The stimulus of a move. Timers that pass come to the present; all others stay sometime.
StimulusBody Moves::prepare(const Move& move) {
  SagaState& state = positions_.state();
  if (move.slot == 0) {
    if (move.kind == MoveKind::deadline) state.deadline = present;
    if (move.kind == MoveKind::cancel) return Cancel{"somebody", ""};
    if (move.kind == MoveKind::crash) return TakenOver{"another node"};
    if (move.kind == MoveKind::retry) return Retry{"an operator", ""};
    return Tick{};
  }
  const StepPath& path = positions_.path_of(move.slot);
  StepState& step = state.steps.find(path)->second;
  positions_.touch(move.slot);
  const StepAnswers& answers = answers_at(move.slot);
  switch (move.kind) {
    case MoveKind::answer: {
      const Answer& answer = answers.of(move.phase)[move.variant];
      CallState& call = call_of(step, move.phase);
      if (answer.last) call.attempts = attempts_beyond_budgets;
      return CallEnded{path, move.phase, call.attempts, answer.result};
    }
    case MoveKind::again:
      call_of(step, move.phase).retry_at = present;
      return Tick{};
    case MoveKind::step_timeout:
      step.timeout_at = present;
      return Tick{};
    case MoveKind::wait_over:
      step.wait_until = present;
      return Tick{};
    case MoveKind::quiet_over:
      step.undo_not_before = present;
      return Tick{};
    case MoveKind::signal:
      return answers.signals[move.variant].signal;
    case MoveKind::callback:
      return Callback{step.callback_token,
                      std::get<Response>(answers.callback[move.variant].result)};
    case MoveKind::child: {
      const ChildAnswer& answer = answers.child[move.variant];
      return ChildChanged{step.child->id, answer.status, answer.output, answer.failure};
    }
    case MoveKind::begin:
    case MoveKind::deadline:
    case MoveKind::cancel:
    case MoveKind::crash:
    case MoveKind::retry:
      break;
  }
  return Tick{};
}

/// An event changes its step, and what is noted in the blocks around it.
void Moves::touch_changed(const Move& move, const std::vector<Event>& events) {
  if (move.slot != 0) positions_.touch(move.slot);
  if (move.slot == 0) touch_polled();
  for (const auto& event : events) {
    const StepPath& path = path_of(event);
    if (path.empty()) continue;
    const Slot slot = positions_.slot_of(path);
    positions_.touch(slot);
    for (const auto& level : judge_.standing(slot).levels) {
      if (level.block != nullptr) positions_.touch(positions_.slot_of(level.path));
    }
  }
}

/// Questions change without an event.
void Moves::touch_polled() {
  const SagaState& state = positions_.state();
  for (const auto& path : state.open)
    if (state.steps.find(path)->second.poll.request) positions_.touch(positions_.slot_of(path));
}

void Moves::forget_questions() {
  engine::forget_questions(positions_.state());
  touch_polled();
}

/// What the answer says of the step's effect. The machine must not make more of it.
void Moves::note_answer(Slot slot, Question question, const CallResult& result) {
  const auto meant =
      engine::meaning_of(program_, positions_.state(), positions_.path_of(slot), question, result);
  Deed& deed = positions_.ledger(slot).deed;
  const dsl::Step& step = *judge_.standing(slot).step;
  switch (meaning_of(meant.outcome)) {
    case Meaning::success:
      deed = question == Question::compensation ? Deed::undone : Deed::done;
      return;
    case Meaning::refused:
      if (question == Question::compensation) return;
      // Asked for by its key, a sealed key is closed; else the call may still be on its way.
      if (question != Question::probe || std::get<dsl::Action>(step.body).probe->sealed)
        deed = Deed::refused;
      return;
    case Meaning::unknown:
    case Meaning::pending:
      if (question == Question::action && deed == Deed::unseen) deed = Deed::maybe;
      return;
    case Meaning::transient:
      return;
  }
}

/// What may have happened to calls whose answer will never be heard.
void Moves::note_before(const Move& move) {
  const SagaState& state = positions_.state();
  const auto lost = [&](const StepPath& path) {
    const StepState& step = state.steps.find(path)->second;
    const Slot slot = positions_.slot_of(path);
    if (!step.forward.in_flight) return;
    positions_.touch(slot);
    if (positions_.ledger(slot).deed == Deed::unseen) positions_.ledger(slot).deed = Deed::maybe;
  };
  if (move.kind == MoveKind::crash) {
    for (const auto& path : state.open) lost(path);
  }
  if (move.kind == MoveKind::step_timeout) lost(positions_.path_of(move.slot));
  const StepAnswers& answers = answers_at(move.slot);
  if (move.kind == MoveKind::answer) {
    const Answer& answer = answers.of(move.phase)[move.variant];
    note_answer(move.slot, question_of(move.phase), answer.result);
    positions_.odd_body_seen = positions_.odd_body_seen || answer.odd;
  }
  if (move.kind == MoveKind::callback)
    note_answer(move.slot, Question::callback, answers.callback[move.variant].result);
  if (move.kind != MoveKind::child) return;
  const bool back =
      state.steps.find(positions_.path_of(move.slot))->second.status == StepStatus::compensating;
  Deed& deed = positions_.ledger(move.slot).deed;
  const SagaStatus status = answers.child[move.variant].status;
  if (status == SagaStatus::completed) deed = Deed::done;
  if (status == SagaStatus::failed) deed = back ? Deed::undone : Deed::refused;
}

void Moves::note_after(const std::vector<Event>& events) {
  for (const auto& event : events) {
    const StepPath& path = path_of(event);
    if (path.empty()) continue;
    const Slot slot = positions_.slot_of(path);
    Ledger& ledger = positions_.ledger(slot);
    if (std::holds_alternative<StepCompensationSkipped>(event.body))
      ledger.excuse = Excuse::left_out;
    if (std::holds_alternative<StepCompensationFailed>(event.body))
      ledger.excuse = Excuse::given_up;
    const bool settled = std::holds_alternative<StepSucceeded>(event.body) ||
                         std::holds_alternative<StepUnknown>(event.body);
    if (!settled || ledger.number != 0 || !positions_.in_serial_block(path)) continue;
    std::uint16_t last = 0;
    for (Slot other = 1; other < positions_.slots(); ++other)
      last = std::max(last, positions_.ledger(other).number);
    ledger.number = static_cast<std::uint16_t>(last + 1);
  }
}

}  // namespace backstitch::engine::explore

#pragma once
/// What can happen next in a position, and making it happen.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/engine/machine/answer.hpp>
#include <backstitch/engine/machine/machine.hpp>

#include "answers.hpp"
#include "judge.hpp"
#include "positions.hpp"

namespace backstitch::engine::explore {

enum class MoveKind : std::uint8_t {
  begin,         ///< variant: which input
  answer,        ///< variant: of the step's answers of the phase
  again,         ///< the wait before the next attempt of the phase is over
  step_timeout,  ///< of the step
  wait_over,     ///< of a sleep, a wait, a completion
  quiet_over,    ///< the quiet period before the undo of an unknown step
  signal,
  callback,
  child,
  deadline,
  cancel,
  crash,
  retry  ///< an operator's
};
/// Time passes to one of the timers that run.
bool is_timer(MoveKind kind);
/// It comes by itself: not from a person, nor by a crash.
bool comes_by_itself(MoveKind kind);

struct Move {
  MoveKind kind = MoveKind::begin;
  Phase phase = Phase::forward;
  std::uint16_t variant = 0;
  Slot slot = 0;
  std::uint16_t script = 0;  ///< which conditions are turned round, see Arms
};

/// Suspended, the notices of it sent, and every call answered: only a person can move it.
bool is_quiet(const SagaState& state);

/// What came of a move. The position at hand is then the one after it, not yet settled.
struct Made {
  std::vector<Event> events;
  std::vector<Effect> effects;
  bool refused = false;  ///< not possible, or a timer the machine does not ask to be woken for
  std::string reason;    ///< of a refusal by the machine: the error's stable code
  std::string broken;    ///< an invariant of the machine was violated: nothing can be trusted
};

class Moves {
 public:
  Moves(const Program& program, const Answers& answers, Arms& arms, Positions& positions,
        Judge& judge)
      : program_(program), answers_(answers), arms_(arms), positions_(positions), judge_(judge) {}

  /// Every move of the position at hand.
  std::vector<Move> all();
  Made make(const Move& move);
  /// Partial-order reduction. The move was made and judged, but what comes of it comes of others,
  /// too: a success that sets nothing else going, while a call before it is on its way, can come
  /// after whatever becomes of that call; and a crash with several calls on their way.
  bool need_not_be_followed(const Move& move, const Made& made) const;
  /// A saga has begun: what its first events mean for the ledgers.
  void note_begun(const std::vector<Event>& events) { note_after(events); }
  /// The events as they would be read back, applied to the position at hand, which is the one
  /// before the move. @return false: they cannot be read
  bool fold(const Move& move, const std::vector<Event>& events);
  /// Of the position at hand; see StepState::poll.
  void forget_questions();
  /// Whether the move is a signal that the wait's schema does not admit.
  bool is_inadmissible(const Move& move) const;
  /// As a story tells it: `reserveStock: refused, OUT_OF_STOCK`.
  std::string told(const Move& move) const;

 private:
  std::string told_without_arms(const Move& move) const;
  Transition decided(const Move& move, const Stimulus& stimulus);
  void add_open(const StepPath& path, std::vector<Move>& moves);
  void add_calls(Slot slot, const StepState& step, std::vector<Move>& moves);
  void add_timers(Slot slot, const StepState& step, std::vector<Move>& moves);
  void add_child(Slot slot, const StepState& step, std::vector<Move>& moves);
  const StepAnswers& answers_at(Slot slot) const;
  StimulusBody prepare(const Move& move);
  void touch_changed(const Move& move, const std::vector<Event>& events);
  void touch_polled();
  void note_before(const Move& move);
  void note_after(const std::vector<Event>& events);
  void note_answer(Slot slot, Question question, const CallResult& result);

  const Program& program_;
  const Answers& answers_;
  Arms& arms_;
  Positions& positions_;
  Judge& judge_;
};

}  // namespace backstitch::engine::explore

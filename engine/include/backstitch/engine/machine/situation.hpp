#pragma once
/// What an operator asks about a saga that has not ended: why it has not, and what may be done.
#include <optional>
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine {

/// The one thing that says most about why a saga has not ended. A suspension comes before every
/// wait, a call that has failed before one that has not, a compensation before an action; among
/// equals the wait that began first.
struct Why {
  /// Stable, kebab-case: `start-queued`, `call-queued`, `call-in-flight`, `call-not-sent`,
  /// `retry-scheduled`, `completion-awaited`, `signal-awaited`, `sleeping`, `child-awaited`,
  /// `quiet-period`, `suspended`, `suspended-by-operator`, `child-suspended`, `child-incomplete`,
  /// `advancing`.
  std::string code;
  std::string sentence{};  ///< names steps, services and codes, and quotes no data of the saga
  std::string reason{};    ///< of a suspension: its code
  StepPath step{};         ///< empty: the saga as a whole
  Phase phase = Phase::forward;
  TimePoint since{};
  /// When the wait ends at the latest, or when the engine gives the retries up.
  std::optional<TimePoint> until{};
  std::optional<TimePoint> next_attempt_at{};  ///< of a retry or a poll
  /// Whom to ask what became of the step: the call's own URL and key. Of a probe and a poll those
  /// of the action, because it is the action that they ask about.
  struct Participant {
    std::string base_url{};  ///< empty: not known, or the service is local
    std::string target{};
    Phase phase = Phase::forward;
    std::string key{};
  };
  std::optional<Participant> participant{};
  std::optional<Failure> last_answer{};  ///< the latest that did not settle the step
  /// The participant may have done what is asked about. False: it certainly has not.
  bool possibly_done = false;
};

/// A command that would be accepted now, and would change something.
struct PossibleCommand {
  std::string action;      ///< `cancel`, `retry`, `suspend`, `skip`, `resolve`, `signal`
  StepPath step{};         ///< empty: the saga as a whole
  std::string as{};        ///< of `resolve`
  std::string signal{};    ///< of `signal`
  const char* needs = "";  ///< `output`: refused without one that suits; `payload` likewise
  const char* does = "";   ///< what it sets going, for people
};

struct Situation {
  std::optional<Why> why;  ///< unset: the saga has ended
  /// All that is possible, but for signals: only of those that a step waits for now.
  std::vector<PossibleCommand> actions;
};

/// Until when a call may be held before it goes out for the last time: its first attempt plus
/// `maxElapsed`, else the longest waits of its policy; its first attempt, if it is not tried again
/// after a refused connection. @return unset: without end
std::optional<TimePoint> held_until(const Program& program, const SagaState& state,
                                    const StepPath& path, Phase phase);

/// Pure. Equal arguments give equal results.
/// @param queued  as for awaited(); unknown, a pivot that was not sent yet counts as sent
Situation situation_of(const Program& program, const SagaState& state,
                       const std::vector<QueuedCall>& queued = {});

}  // namespace backstitch::engine

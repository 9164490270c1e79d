#pragma once
/// The semantics of a saga, and nothing else. Pure: no clock, chance, I/O, threads or logging.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/effect.hpp>
#include <backstitch/engine/machine/event.hpp>
#include <backstitch/engine/machine/state.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::engine {

/// Registered services of this environment by name. Immutable snapshot, shared between threads.
using ServiceMap = std::map<std::string, std::shared_ptr<const dsl::Service>, std::less<>>;

/// What a saga is decided with.
struct Program {
  std::shared_ptr<const dsl::Definition> definition;
  std::shared_ptr<const ServiceMap> services;
  /// Where participants reach this engine: `https://saga.example`; nullptr: nowhere.
  std::shared_ptr<const std::string> callback_base{};

  /// The service a step names, `use` followed; nullptr: not registered.
  const dsl::Service* service(std::string_view name) const;
};

struct Transition {
  SagaState next;               ///< `state` with `events` applied
  std::vector<Event> events;    ///< to be appended as one unit
  std::vector<Effect> effects;  ///< to be performed after the append
  /// The stimulus is not possible now (an operator's command, a late callback). Then nothing
  /// changed but what `events` put on record.
  std::optional<Error> refused;
  /// The command had been carried out before, under the same idempotency key; or the callback with
  /// the same answer.
  bool repeated = false;
};

/// What happens next. `state` is moved through, not copied. Equal arguments give equal results.
/// A stimulus that is out of date (an answer to an attempt already settled) gives no events.
/// @pre `state` was produced by decide and apply for this definition; default-constructed for
/// Start.
Transition decide(const Program& program, SagaState state, const Stimulus& stimulus);

/// Folds one event in. The only function that changes a SagaState.
/// @pre `event` was produced by decide for this state
void apply(const dsl::Definition& definition, SagaState& state, const Event& event);

/// When the machine wants a Tick: the earliest retry, step timeout or saga deadline that matters
/// now. Unset: only an answer or a command can move this saga.
std::optional<TimePoint> next_wake(const SagaState& state);
/// Makes the state that of who has only the log, where the questions to participants (see
/// StepState::poll) are not: the next one is due at once.
void forget_questions(SagaState& state);
/// Of a saga that comes into memory: the question whose time is nearest is due, then or now.
void resume_questions(SagaState& state, TimePoint now);
/// Attempts that have been sent and not answered.
bool has_call_in_flight(const SagaState& state);
/// What was asked of other sagas and may have been lost on the way: to be performed again whenever
/// a saga comes into memory. Each is harmless when it is repeated.
std::vector<Effect> effects_to_repeat(const SagaState& state);
/// What the undo of a step is told: why it is undone.
std::optional<Failure> failure_of_undo(const dsl::Definition& definition, const SagaState& state,
                                       const StepPath& path);
/// Whether anything can still happen without a person: running, compensating, or suspended while a
/// notice or a compensation goes on.
bool is_active(const SagaState& state);
/// Whether an open step goes on while the saga is suspended: notices do, and compensations that are
/// not themselves what the saga is suspended at.
bool goes_on_while_suspended(const SagaState& state, const StepPath& path);
/// The saga that a callback's token belongs to.
std::optional<SagaId> saga_of_callback(std::string_view token);

/// Whether that call has not left the node's own queue.
bool is_queued(const std::vector<QueuedCall>& queued, const StepPath& path, Phase phase);

/// What an open step waits for: `the answer to attempt 3`, and until when if that is known.
struct Awaited {
  StepPath step;
  std::string what;
  std::optional<TimePoint> until;
};
/// @param queued  calls that have not left the node's own queue, if that is known: those of the
///                saga's owner
std::vector<Awaited> awaited(const SagaState& state, const std::vector<QueuedCall>& queued = {});

/// Validates and renders what a start needs: input against the schema, defaults filled in.
/// @return invalid/INPUT_INVALID with pointers
Result<Json> admit_input(const dsl::Definition& definition, const Json& input);
/// The business key of a start; unset: the definition has none.
Result<std::optional<std::string>> business_key_of(const dsl::Definition& definition,
                                                   const Json& input);

/// The saga in JSON as the API shows it: every step of the definition in order, pending ones too.
/// Values marked x-sensitive in the input schema are masked, see Masking.
/// @param queued  as for awaited()
Json view(const dsl::Definition& definition, const SagaState& state,
          const std::vector<QueuedCall>& queued = {});

}  // namespace backstitch::engine

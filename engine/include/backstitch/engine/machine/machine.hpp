#pragma once
/// The semantics of a saga, and nothing else. Pure: no clock, chance, I/O, threads or logging.
#include <cstdint>
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

/// What one transition may cost, in steps of evaluation (dsl::Budget) of about 50 ns. The
/// transition ends before its next event if that might take it beyond.
inline constexpr std::uint32_t transition_steps_max = 1'000'000;
static_assert(2 * dsl::event_steps_max <= transition_steps_max,
              "what a stimulus says and one event that follows from it fit into a transition");

/// What a saga is decided with.
struct Program {
  std::shared_ptr<const dsl::Definition> definition;
  std::shared_ptr<const ServiceMap> services;
  /// Where participants reach this engine: `https://saga.example`; nullptr: nowhere.
  std::shared_ptr<const std::string> callback_base{};
  /// What idempotency keys are derived with, of the installation; nullptr: a tool, which has none.
  std::shared_ptr<const std::string> key_secret{};
  bool expects_callbacks = false;  ///< some step of it is completed by a callback
  /// Decides conditions in place of their values, for tools that explore; borrowed. nullptr: none.
  dsl::ConditionOracle* oracle = nullptr;
  /// As above; less cuts transitions more often and changes nothing else.
  std::uint32_t transition_steps_max = engine::transition_steps_max;

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
  /// It would have cost too much to go on here: the saga is consistent and not at rest. To be
  /// followed by a Tick at once; whoever takes the saga over goes on with it as well.
  bool cut = false;
  /// The command had been carried out before, under the same idempotency key; or the callback with
  /// the same answer.
  bool repeated = false;
};

/// What happens next. `state` is moved through, not copied. Equal arguments give equal results.
/// A stimulus that is out of date (an answer to an attempt already settled) gives no events.
/// @pre `state` was produced by decide and apply for this definition; default-constructed for
/// Start.
Transition decide(const Program& program, SagaState state, const Stimulus& stimulus);

/// The same for tools, which do not mind how long it takes: what is cut goes on, as one transition.
Transition decide_to_rest(const Program& program, SagaState state, const Stimulus& stimulus);

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
/// How long the attempt in flight may take if it is sent at `now`: its attempt timeout, and of the
/// forward direction at most what is left of the step's timeout, but never nothing.
/// @pre the call has a request
Duration attempt_time(const StepState& step, Phase phase, TimePoint now);
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
/// What a sub-saga is known by, whatever keys it has.
StartIdentity identity_of_child(const dsl::Definition& definition, const SagaState& parent,
                                const StepPath& path);
/// The saga that a callback's token belongs to.
std::optional<SagaId> saga_of_callback(std::string_view token);

/// Whether the step is a pivot: an action or a sub-saga from which the saga cannot go back.
bool is_pivot(const dsl::Definition& definition, const StepPath& path);
/// That call, if it has not left the node's own queue; else null.
const QueuedCall* find_queued(const std::vector<QueuedCall>& queued, const StepPath& path,
                              Phase phase);
/// Whether it has not.
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
Result<std::optional<std::string>> business_key_of(const Program& program, const Json& input);

/// The saga in JSON as the API shows it: every step of the definition in order, pending ones too,
/// and what situation_of() says of it. Values marked x-sensitive in the input schema are masked,
/// see Masking.
/// @param queued  as for awaited()
Json view(const Program& program, const SagaState& state,
          const std::vector<QueuedCall>& queued = {});

}  // namespace backstitch::engine

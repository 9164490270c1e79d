#pragma once
/// What is known of one saga: the fold of its log, and nothing else.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>
#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/ids.hpp>

namespace backstitch::engine {

enum class SagaStatus { running, compensating, completed, failed, failed_incomplete, suspended };
enum class StepStatus {
  pending,
  skipped,
  running,
  waiting,
  succeeded,
  failed,
  unknown,
  compensating,
  compensated,
  compensation_failed,
  compensation_skipped
};
/// The conversations a step can have with a participant. The action and the compensation have an
/// idempotency key each; a probe asks what became of the action's key, a poll whether its pending
/// answer has come.
enum class Phase { forward, probe, poll, compensate };
inline constexpr Phase all_phases[] = {Phase::forward, Phase::probe, Phase::poll,
                                       Phase::compensate};

/// As stored and sent: `RUNNING`, `compensation-failed`, `forward`.
const char* to_text(SagaStatus status);
const char* to_text(StepStatus status);
const char* to_text(Phase phase);
std::optional<SagaStatus> parse_saga_status(std::string_view text);
std::optional<StepStatus> parse_step_status(std::string_view text);
std::optional<Phase> parse_phase(std::string_view text);
bool is_terminal(SagaStatus status);  ///< completed, failed, failed_incomplete

struct Failure {
  std::string code;           ///< `OUT_OF_STOCK`, `HTTP_409`, `CANCELLED`
  std::string failure_class;  ///< failure, transient, unknown, timeout, cancelled, suspended
  std::string message;
  std::string step;  ///< the step's path
  Json details;
  bool operator==(const Failure&) const = default;
};
Json to_json(const Failure& failure);
Failure failure_from_json(const Json& json);

/// A request as every attempt sends it: rendered once, stored, never rendered again.
struct RenderedRequest {
  std::string service;  ///< the name in the definition's `services`
  std::string method;   ///< `PUT`; empty for a local operation
  std::string target;   ///< path and query below the service's base URL; or the operation's name
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;         ///< the exact bytes; empty: none
  std::string key;          ///< the idempotency key; a probe and a poll have none
  std::string compensates;  ///< in a compensation: the key of the action
  std::string probes;       ///< in a probe or poll: the key of the action
  std::string callback;     ///< where a pending answer is to be posted
  Duration attempt_timeout{10'000};
  bool operator==(const RenderedRequest&) const = default;
};

/// The attempts of one phase of one step.
struct CallState {
  std::shared_ptr<const RenderedRequest> request;  ///< shared by copies of the state
  std::uint32_t attempts = 0;                      ///< sent so far
  std::uint32_t attempts_before = 0;  ///< of these, before an operator gave a new budget
  std::uint32_t unknowns = 0;  ///< of the present budget, those that ended unknown or pending
  bool in_flight = false;      ///< the last attempt has no outcome yet
  bool unknown_seen = false;   ///< an attempt ended unknown
  TimePoint sent_at{};         ///< the last attempt
  bool last_attempt = false;   ///< the wait before it was cut to the end of the budget
  std::optional<TimePoint> first_at;      ///< when the first attempt of the present budget was sent
  std::optional<TimePoint> retry_at;      ///< the next attempt is due then
  std::optional<Failure> last;            ///< why the last attempt did not succeed
  std::uint32_t unsent = 0;               ///< tries in a row that could not be sent
  std::optional<TimePoint> unsent_since;  ///< the first of these
  bool unsent_reported = false;           ///< as needing a person
};

/// Another saga that a step runs and waits for.
struct ChildSaga {
  SagaId id;
  std::string definition;
  std::int64_t version = 0;
  Json input;
  std::optional<std::string> business_key;
  std::vector<std::string> sensitive{};  ///< see SagaStarted
};

struct StepState {
  StepStatus status = StepStatus::pending;
  /// The idempotency key of the action, from the event that scheduled the step. Every later call
  /// of the step names it; it is never computed again.
  std::string key;
  CallState forward;
  CallState probe;
  /// What is asked and when it was begun is in the log. The questions are not: which one is on its
  /// way and when the next is due is this node's memory, and is lost with it.
  CallState poll;
  Duration poll_every{0};
  std::uint32_t poll_notes = 0;  ///< answers that were noted, because they differed
  CallState undo;
  Json output;
  Json captured;
  std::optional<Failure> failure;  ///< of the forward direction
  std::optional<Failure> undo_failure;
  bool succeeded = false;       ///< at some time; its output may be read from then on
  bool effect_unknown = false;  ///< the undo must go by key: self.outcome is 'unknown'
  bool undo_given_up = false;   ///< an operator went on without it
  bool left_over = false;       ///< its child failed, and could not undo all of what it had done
  std::optional<TimePoint>
      undo_not_before;                  ///< the service's quiet period after an unknown attempt
  std::optional<TimePoint> timeout_at;  ///< `timeout` of the step
  std::optional<TimePoint> wait_until;  ///< status waiting: when a sleep, wait or completion ends
  std::string callback_token;           ///< of a step with a callback
  std::string callback_body;  ///< digest of the answer that came by callback and was taken
  bool callback_used = false;
  bool callback_refused = false;  ///< one came too late, which is on record
  bool callback_noted = false;    ///< one that could not be judged is in the log
  std::shared_ptr<const ChildSaga> child;
  bool child_stopped = false;  ///< its cancellation has been asked for
  std::optional<TimePoint> started_at;
  std::optional<TimePoint> ended_at;
  std::optional<TimePoint> undo_started_at;
  std::optional<TimePoint> undo_ended_at;
  std::int64_t settled_sequence = 0;  ///< orders steps by when they ended
};
/// The attempts of one phase.
CallState& call_of(StepState& step, Phase phase);
const CallState& call_of(const StepState& step, Phase phase);

/// How far a block has come, beside the state of its own step.
struct BlockState {
  std::uint32_t chosen = 0;  ///< switch: the case; the number of cases means `otherwise`
  /// Of the list being run inside, the first in time first; at most failures_max are kept.
  std::vector<Failure> failures;

  std::optional<Failure> caught;              ///< try: why its body is being undone, or was
  std::optional<std::uint32_t> catch_chosen;  ///< try: the catch that runs

  Json items;                     ///< forEach: the list, evaluated once
  std::vector<std::string> keys;  ///< forEach: of each item; empty: the index is the key
  Json yields;                    ///< forEach: an array as long as `items`
  std::uint32_t next = 0;         ///< forEach: the first iteration that has not begun
  std::set<std::uint32_t> open;   ///< forEach: begun and not ended

  /// Where an undo has got to; only saves walking what is behind it, and is found again by walking.
  std::optional<std::uint32_t> undo_next;
  std::set<std::uint32_t> undoing;
  std::optional<std::vector<StepPath>> undo_order;

  static constexpr std::size_t failures_max = 21;  ///< the first one and twenty others
};

/// A signal that no wait has taken yet.
struct QueuedSignal {
  std::int64_t sequence = 0;  ///< of the event that brought it
  std::string name;
  Json payload;
  std::string by;
  std::vector<std::string> roles;
  TimePoint at{};
};

/// The saga that waits for this one.
struct ParentLink {
  SagaId saga;
  StepPath step;
  std::uint32_t depth = 1;  ///< 1: a child of a saga that has no parent
  bool operator==(const ParentLink&) const = default;
};

/// What a suspension is about. The machine decides by this, never by the reason, because a reason
/// may be a code that a user chose.
enum class SuspensionCause {
  step,             ///< the saga, a step, or the undo of one
  child_suspended,  ///< the child of a step is suspended
  child_incomplete  ///< the child of a step failed, and could not undo all of what it had done
};
const char* to_text(SuspensionCause cause);
std::optional<SuspensionCause> parse_suspension_cause(std::string_view text);

/// Why a person is needed.
struct Suspension {
  std::string reason;  ///< a code: RETRIES_EXHAUSTED, OUTCOME_UNKNOWN, COMPENSATION_FAILED, …
  std::string message;
  StepPath step;  ///< empty: the saga as a whole
  Phase phase = Phase::forward;
  TimePoint since{};
  SagaStatus from = SagaStatus::running;  ///< where the saga goes back to
  bool by_operator = false;               ///< an operator suspended it: no notice is sent
  SuspensionCause cause = SuspensionCause::step;
};

/// What an operator has asked of the saga, and why.
struct OperatorNote {
  TimePoint at{};
  std::string action;  ///< cancel, retry, retry-now, retry-child, suspend, skip, resolve
  StepPath step;       ///< empty: the saga as a whole
  std::string as;      ///< of resolve
  std::string by;
  std::string reason;
};

struct SagaState {
  SagaId id;
  std::string root;  ///< what the idempotency keys of the saga begin with
  std::string definition;
  std::int64_t version = 0;
  SagaStatus status = SagaStatus::running;
  Json input;
  std::vector<std::string> sensitive;  ///< see SagaStarted
  std::map<std::string, std::string> labels;
  std::optional<std::string> business_key;
  Json output;
  std::optional<Failure> failure;
  std::vector<Suspension> suspensions;  ///< the oldest first; status suspended: at least one
  std::optional<ParentLink> parent;
  bool pivot_sent = false;
  bool pivot_passed = false;
  bool cancel_requested = false;
  bool deadline_passed = false;
  TimePoint started_at{};
  std::optional<TimePoint> ended_at;
  std::optional<TimePoint> deadline;
  Sequence sequence;        ///< of the last event folded in
  std::int64_t events = 0;  ///< of these, what the definition did: without repeated attempts
  std::uint32_t resumes_without_progress = 0;
  std::int64_t lineage = 1;       ///< of the store, under which the saga was started or resumed
  bool is_set_back = false;       ///< the store may have lost what came last
  bool handlers_started = false;  ///< onFailure runs: undo is over
  std::map<StepPath, StepState, std::less<>> steps;
  std::map<StepPath, BlockState, std::less<>> blocks;
  std::set<StepPath, std::less<>> open;  ///< steps that wait for an answer, a signal or a time
  std::vector<QueuedSignal> signals;
  std::vector<OperatorNote> acted;  ///< the latest acted_max, the oldest first
  static constexpr std::size_t acted_max = 10;
  std::uint32_t suspended_times = 0;
  /// Commands that came with an idempotency key: digest of the key -> of what was asked for.
  std::map<std::string, std::string> commands;
  std::size_t bytes = 0;          ///< of input, outputs, captured data, signals and failures, about
  std::size_t details_bytes = 0;  ///< of these the details of failures
  /// `saga` as expressions see it; kept beside the fields it is made from.
  Json saga_view;
};

}  // namespace backstitch::engine

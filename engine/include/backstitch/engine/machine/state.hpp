#pragma once
/// What is known of one saga: the fold of its log, and nothing else.
#include <cstdint>
#include <map>
#include <optional>
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
/// The three conversations a step can have with a participant. Each has its own idempotency key,
/// except that a probe asks about the forward key.
enum class Phase { forward, probe, compensate };

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
  std::string failure_class;  ///< failure, transient, unknown, timeout, cancelled
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
  std::string key;          ///< the idempotency key of this phase
  std::string compensates;  ///< in an undo: the forward key
  Duration attempt_timeout{10'000};
  bool operator==(const RenderedRequest&) const = default;
};

/// The attempts of one phase of one step.
struct CallState {
  std::optional<RenderedRequest> request;
  std::uint32_t attempts = 0;         ///< sent so far
  std::uint32_t attempts_before = 0;  ///< of these, before an operator gave a new budget
  bool in_flight = false;             ///< the last attempt has no outcome yet
  bool unknown_seen = false;          ///< an attempt ended unknown
  std::optional<TimePoint> first_at;
  std::optional<TimePoint> retry_at;  ///< the next attempt is due then
  std::optional<Failure> last;        ///< why the last attempt did not succeed
};

struct StepState {
  StepStatus status = StepStatus::pending;
  CallState forward;
  CallState probe;
  CallState undo;
  Json output;
  Json captured;
  std::optional<Failure> failure;  ///< of the forward direction
  std::optional<Failure> undo_failure;
  bool succeeded = false;       ///< at some time; its output may be read from then on
  bool effect_unknown = false;  ///< the undo must go by key: self.outcome is 'unknown'
  bool undo_given_up = false;   ///< an operator went on without it
  std::optional<TimePoint>
      undo_not_before;                  ///< the service's quiet period after an unknown attempt
  std::optional<TimePoint> timeout_at;  ///< `timeout` of the step
  std::optional<TimePoint> started_at;
  std::optional<TimePoint> ended_at;
  std::optional<TimePoint> undo_started_at;
  std::optional<TimePoint> undo_ended_at;
  std::int64_t started_sequence = 0;  ///< orders steps by when they started
};
/// The attempts of one phase.
CallState& call_of(StepState& step, Phase phase);
const CallState& call_of(const StepState& step, Phase phase);

/// Why a person is needed.
struct Suspension {
  std::string reason;  ///< a code: RETRIES_EXHAUSTED, OUTCOME_UNKNOWN, COMPENSATION_FAILED, …
  std::string message;
  StepPath step;  ///< empty: the saga as a whole
  Phase phase = Phase::forward;
  TimePoint since{};
  SagaStatus from = SagaStatus::running;  ///< where an operator's retry goes back to
};

struct SagaState {
  SagaId id;
  std::string definition;
  std::int64_t version = 0;
  SagaStatus status = SagaStatus::running;
  Json input;
  std::map<std::string, std::string> labels;
  std::optional<std::string> business_key;
  Json output;
  std::optional<Failure> failure;
  std::optional<Suspension> suspension;
  bool pivot_passed = false;
  bool cancel_requested = false;
  bool deadline_passed = false;
  TimePoint started_at{};
  std::optional<TimePoint> ended_at;
  std::optional<TimePoint> deadline;
  Sequence sequence;  ///< of the last event folded in
  std::uint32_t resumes_without_progress = 0;
  bool handlers_started = false;  ///< onFailure runs: undo is over
  std::map<StepPath, StepState, std::less<>> steps;
  /// `saga` as expressions see it; kept beside the fields it is made from.
  Json saga_view;
};

}  // namespace backstitch::engine

#pragma once
/// Everything that can happen to a saga. This list is the log's vocabulary and the table of
/// contents of the product: a change here is a change of the stored format (machine/codec).
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <backstitch/base/result.hpp>
#include <vector>

#include <backstitch/engine/machine/state.hpp>

namespace backstitch::engine {

struct SagaStarted {
  std::string definition;
  std::int64_t version = 0;
  Json input;
  std::map<std::string, std::string> labels;
  std::optional<std::string> business_key;
  std::optional<TimePoint> deadline;
};
/// The step's request is rendered and its first attempt is being sent after this commit. For steps
/// without a call (`value`, `fail`) it is left out: they begin and end in one event.
struct StepScheduled {
  StepPath path;
  RenderedRequest request;
  std::optional<TimePoint> timeout_at;
};
struct StepSkipped {
  StepPath path;
};
/// An attempt after the first of its phase is being sent after this commit.
struct AttemptStarted {
  StepPath path;
  Phase phase = Phase::forward;
  std::uint32_t attempt = 0;
};
/// An attempt ended without settling the phase.
struct AttemptFailed {
  StepPath path;
  Phase phase = Phase::forward;
  std::uint32_t attempt = 0;
  dsl::OutcomeClass outcome = dsl::OutcomeClass::transient;
  Failure failure;
  std::optional<TimePoint> retry_at;  ///< unset: no further attempt in this phase
};
struct StepSucceeded {
  StepPath path;
  Json output;
  Json captured;
};
/// Known not done.
struct StepFailed {
  StepPath path;
  Failure failure;
};
/// May or may not have been done; no further attempt will find out.
struct StepUnknown {
  StepPath path;
  Failure failure;
  std::optional<TimePoint> undo_not_before;
};
struct ProbeScheduled {
  StepPath path;
  RenderedRequest request;
};
/// Backward recovery begins; `failure` is the saga's.
struct CompensationStarted {
  Failure failure;
};
struct StepCompensationScheduled {
  StepPath path;
  RenderedRequest request;
};
struct StepCompensated {
  StepPath path;
};
/// The undo's budget ended and the definition says to go on.
struct StepCompensationFailed {
  StepPath path;
  Failure failure;
};
struct StepCompensationSkipped {
  StepPath path;
  std::string reason;  ///< `when`, `waived`, `operator`
};
struct HandlersStarted {
  std::string handler;  ///< `onFailure`, `onSuspended`
};
struct CancelRequested {
  std::string by;
  std::string reason;
};
/// The saga's timeout passed. Before the pivot it is the beginning of the end, after it only worth
/// a notice.
struct DeadlinePassed {};
struct SagaSuspended {
  Suspension suspension;
};
/// An operator's answer to a suspension.
struct OperatorActed {
  std::string action;  ///< retry, skip, resolve
  StepPath path;
  std::string by;
  std::string reason;
  Json output;  ///< of resolve
};
/// A node took the saga over; attempts in flight have become unknown.
struct Resumed {
  std::string node;
};
struct SagaEnded {
  SagaStatus status = SagaStatus::completed;
  Json output;
};

using EventBody =
    std::variant<SagaStarted, StepScheduled, StepSkipped, AttemptStarted, AttemptFailed,
                 StepSucceeded, StepFailed, StepUnknown, ProbeScheduled, CompensationStarted,
                 StepCompensationScheduled, StepCompensated, StepCompensationFailed,
                 StepCompensationSkipped, HandlersStarted, CancelRequested, DeadlinePassed,
                 SagaSuspended, OperatorActed, Resumed, SagaEnded>;

struct Event {
  TimePoint at;
  EventBody body;
};

/// The stored name: `StepSucceeded`.
std::string_view type_name(const Event& event);
/// The step concerned; empty for events of the saga as a whole.
const StepPath& path_of(const Event& event);

/// One row of the log. `data` is JSON text without type, path and time.
struct EventRecord {
  Sequence sequence;
  std::string type;
  StepPath path;
  std::string data;
  TimePoint at;
  bool operator==(const EventRecord&) const = default;
};

/// The stored form and back. Versioned by addition: a field that is absent has its default.
EventRecord encode(const Event& event, Sequence sequence);
/// @return internal/log-corrupt for a type or data this engine cannot read
Result<Event> decode(const EventRecord& record);

}  // namespace backstitch::engine

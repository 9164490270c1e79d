#pragma once
/// Everything that can happen to a saga. This list is the log's vocabulary and the table of
/// contents of the product: a change here is a change of the stored format (machine/codec).
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/machine/state.hpp>

namespace backstitch::engine {

struct SagaStarted {
  std::string definition;
  std::int64_t version = 0;
  Json input;
  std::map<std::string, std::string> labels;
  std::optional<std::string> business_key;
  std::optional<TimePoint> deadline;
  std::optional<ParentLink> parent{};
  std::string root{};                      ///< what the idempotency keys of the saga begin with
  std::optional<TimePoint> accepted_at{};  ///< when it was put down, if it was taken up later
  /// What the parent knows to be sensitive, beside the marks of the schema: JSON pointers into
  /// {input, businessKey}, with `*` for every item or member.
  std::vector<std::string> sensitive{};
  std::int64_t lineage = 1;  ///< of the store, see LeaseAnswer
  bool is_set_back = false;  ///< it may have been started before, under an earlier lineage
};
/// The step's request is rendered and its first attempt is being sent after this commit. For steps
/// without a call (`value`, `fail`) it is left out: they begin and end in one event.
struct StepScheduled {
  StepPath path;
  RenderedRequest request;
  std::optional<TimePoint> timeout_at;
  std::string callback_token{};
};
/// A `saga` step: the child is being started after this commit.
struct ChildScheduled {
  StepPath path;
  ChildSaga child;
  std::optional<TimePoint> timeout_at;
  std::string key{};  ///< the step's; no call carries it but the step's own compensation
};
/// The child has been asked to stop.
struct ChildStopped {
  StepPath path;
};
/// A block begins. What it decided at its start is kept with it.
struct BlockStarted {
  StepPath path;
  std::uint32_t chosen = 0;  ///< switch
  Json items;                ///< forEach
  std::vector<std::string> keys;
};
/// An iteration of a forEach ended: all its steps did, or one failed and the others are quiet.
struct IterationEnded {
  StepPath path;  ///< of the block
  std::uint32_t index = 0;
  Json output;                     ///< its `yield`
  std::optional<Failure> failure;  ///< of the `yield` itself
};
/// The body of a try failed; what it did is being undone.
struct TryFailed {
  StepPath path;
  Failure failure;
};
/// The body is undone, and this catch runs.
struct CatchStarted {
  StepPath path;
  std::uint32_t index = 0;
};
/// The `when` of this catch could not be evaluated, so the catch does not match.
struct CatchPassedOver {
  StepPath path;
  std::uint32_t index = 0;
  std::string message;
};
/// A `sleep`, a `wait`, or a call that was accepted and will be answered later.
struct StepWaiting {
  StepPath path;
  std::optional<TimePoint> until;
  std::optional<RenderedRequest> poll;
  Duration poll_every{0};  ///< it is asked then and then, counted from this event
};
struct SignalReceived {
  std::string name;
  Json payload;
  std::string by;
  std::vector<std::string> roles;
};
/// A wait took the signal that came with the event `sequence`.
struct SignalConsumed {
  StepPath path;
  std::int64_t sequence = 0;
};
/// A wait that begins refuses a signal that was kept, and no other one may still take it.
struct SignalDropped {
  StepPath path;
  std::int64_t sequence = 0;
  std::string reason;  ///< as its sender would be told: `signal-refused`, `signal-forbidden`, …
};
/// The participant's answer came by callback; what it means follows.
struct CallbackReceived {
  StepPath path;
  std::string body;  ///< digest of the answer, to tell a repetition
  /// It cannot be judged, because of these rules: the step goes on waiting, and the callback may be
  /// used again. Empty: it can.
  std::string note{};
};
/// An answer came by callback that the step does not wait for any more. Recorded once a step.
struct CallbackRefused {
  StepPath path;
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
  bool lost = false;                  ///< with the node that had sent the request
  bool next_is_last = false;          ///< the attempt at `retry_at` ends the budget
};
struct StepSucceeded {
  StepPath path;
  Json output;
  Json captured;
  /// It took effect, but what came of it cannot be used: the step fails and has to be undone.
  std::optional<Failure> failure{};
  std::string note{};  ///< which outcome rules could not be evaluated, and why
};
/// Known not done.
struct StepFailed {
  StepPath path;
  Failure failure;
  bool left_over = false;  ///< the child failed, and could not undo all of what it had done
};
/// May or may not have been done; no further attempt will find out.
struct StepUnknown {
  StepPath path;
  Failure failure;
  std::optional<TimePoint> undo_not_before;
};
/// The quiet period of an unknown step is over, and it is not yet the turn of its compensation.
struct QuietPeriodEnded {
  StepPath path;
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
/// The completed child of a step is asked to undo what it did.
struct ChildUndoScheduled {
  StepPath path;
};
struct StepCompensated {
  StepPath path;
  std::string note{};  ///< which outcome rules could not be evaluated, and why
};
/// The undo's budget ended and the definition says to go on.
struct StepCompensationFailed {
  StepPath path;
  Failure failure;
};
struct StepCompensationSkipped {
  StepPath path;
  std::string reason;  ///< `when`, `waived`, `operator`, `not-done`
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
/// An operator's answer to the suspension of a step; `child`: its child goes on again, `callback`:
/// its participant has answered after all. Not answers to a suspension: `retry-child`, a retry
/// handed on to the child; `retry-now`, a waiting attempt is sent now; `suspend`.
struct OperatorActed {
  std::string action;  ///< as above, or retry, skip, resolve, cancel
  StepPath path;
  std::string by;
  std::string reason;
  std::optional<Phase> renewed{};  ///< the call that was given up and gets a new budget
  std::string resolution{};        ///< of resolve: `done`, `not-done`, `compensated`
  Json output{};                   ///< of resolve as done
  Json captured{};                 ///< of resolve as done
};
/// A node took the saga over; attempts in flight have become unknown.
struct Resumed {
  std::string node;
  bool is_struck = false;  ///< strikes are counted instead of this
  /// Of the store, if it is another one than before: what the store has lost of this saga may have
  /// been done, so any step that is not settled counts as after an attempt of unknown outcome.
  std::optional<std::int64_t> lineage{};
};
/// The parent takes back what this completed saga did: it is undone after all.
struct SagaReopened {
  Failure failure;
};
struct SagaEnded {
  SagaStatus status = SagaStatus::completed;
  Json output;
};

using EventBody =
    std::variant<SagaStarted, StepScheduled, ChildScheduled, ChildStopped, BlockStarted,
                 IterationEnded, TryFailed, CatchStarted, CatchPassedOver, StepWaiting,
                 SignalReceived, SignalConsumed, SignalDropped, CallbackReceived, CallbackRefused,
                 StepSkipped, AttemptStarted, AttemptFailed, StepSucceeded, StepFailed, StepUnknown,
                 QuietPeriodEnded, ProbeScheduled, CompensationStarted, StepCompensationScheduled,
                 ChildUndoScheduled, StepCompensated, StepCompensationFailed,
                 StepCompensationSkipped, HandlersStarted, CancelRequested, DeadlinePassed,
                 SagaSuspended, OperatorActed, Resumed, SagaReopened, SagaEnded>;

/// What is worth a note about the attempt that an event ends.
struct AttemptNote {
  std::string unreadable{};  ///< why the answer's body is not JSON; empty: it is, or there is none
  std::optional<TimePoint> sent_at{};  ///< when it left the node's own queue, if it waited there
  bool unsent = false;                 ///< it never left the node: it is no attempt
  bool needs_person = false;           ///< the node has been unable to send it for too long
  /// Of an answer that settled nothing or said no, what tells who spoke: {"server", "via",
  /// "retryAfter", "contentType": its headers, "text": the first 200 bytes of a text}, each if it
  /// is there; null: nothing of it.
  Json answer{};
  bool operator==(const AttemptNote&) const = default;
};

/// Of the command that came to this, with an idempotency key: digests of the key and of what was
/// asked for. Stands with the first event of the command.
struct CommandNote {
  std::string key;  ///< empty: none
  std::string request;
  bool operator==(const CommandNote&) const = default;
};

struct Event {
  TimePoint at;
  EventBody body;
  AttemptNote attempt{};
  CommandNote command{};
};

/// The stored name: `StepSucceeded`.
std::string_view type_name(const Event& event);
/// The step concerned; empty for events of the saga as a whole.
const StepPath& path_of(const Event& event);
/// The failure that it records; null: none.
const Failure* failure_of(const EventBody& body);
Failure* failure_of(EventBody& body);
/// Whether the saga keeps that failure: of attempts it only has the latest.
bool keeps_failure(const EventBody& body);

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

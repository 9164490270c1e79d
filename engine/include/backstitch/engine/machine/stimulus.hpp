#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <backstitch/engine/machine/state.hpp>

namespace backstitch::engine {

/// What a participant answered. `body` is null for none, a string for text that is not JSON; see
/// answer_body.hpp.
struct Response {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< lower-case names
  Json body;
  std::string unreadable{};  ///< why the body is not JSON; empty: it is, or there is none
  /// Why it is not the participant's own answer to this call; empty: it is, as far as is known. See
  /// foreign_answer().
  std::string foreign{};
  /// The beginning of a text that is not the participant's own; its body is not read.
  std::string foreign_text{};
};
/// No usable answer.
struct TransportError {
  dsl::Transport kind = dsl::Transport::connect;
  bool sent = false;  ///< the participant may have read at least one byte of the request
  std::string message;
  bool is_last = false;  ///< the end of the call's time: it is not tried again
};
/// Something of the node's own, or of its operator's, that a call cannot be sent without.
enum class Lack : std::uint8_t {
  queue_place,  ///< the node's queue for the service is full
  shard,        ///< the node gives the saga away
  descriptor,   ///< no file descriptor is left
  port,         ///< no local address or port is left
  memory,       ///< the kernel has no buffers, or no thread can be made
  secret        ///< a secret that the service names is missing
};
inline constexpr std::size_t lack_count = 6;
/// Stable, kebab-case: `queue-full`.
const char* to_text(Lack lack);

/// The call was not sent, for want of something of our own. The participant has no part in it, so
/// it is no attempt.
struct NotSent {
  Lack lack = Lack::queue_place;
  std::string message;
};
using CallResult = std::variant<Response, TransportError, NotSent>;

/// The engine cannot go on with the saga, which is as its log has it: a bug came out of it, or it
/// has brought one node after the other down. Nothing is evaluated; whatever waits, waits for an
/// operator.
struct Quarantine {
  std::string reason;
  std::string message;
};

/// What a start is known by even when the log that knew it is lost, as with a failover or a
/// restore: the same identity gives the same idempotency keys.
struct StartIdentity {
  /// How many sagas of its business key were let go after they FAILED; unset: the key does not tell
  /// it from others.
  std::optional<std::int64_t> generation{};
  std::string idempotency_key{};  ///< of the caller; empty: none
  std::string parent_root{};      ///< of a sub-saga; empty: it is none
  std::string parent_path{};      ///< of its step, as keys have it
};

struct Start {
  SagaId id;
  Json input;
  std::map<std::string, std::string> labels;  ///< beside those of the definition
  std::optional<std::string> business_key;    ///< instead of the definition's
  std::optional<ParentLink> parent{};
  /// Promised before it could be looked at, and impossible: the saga FAILED at once with this.
  std::optional<Failure> refusal{};
  std::optional<Quarantine> quarantine{};  ///< it begins suspended, and nothing is evaluated
  std::optional<TimePoint> accepted_at{};  ///< when it was put down, if that was before now
  std::vector<std::string> sensitive{};    ///< see SagaStarted
  StartIdentity identity{};
  std::int64_t lineage = 1;  ///< of the store, see LeaseAnswer
  /// It was asked for under an earlier lineage, so it may have been started then, too, and lost.
  bool is_set_back = false;
};
struct CallEnded {
  StepPath path;
  Phase phase = Phase::forward;
  std::uint32_t attempt = 0;
  CallResult result;
  std::optional<TimePoint> sent_at{};  ///< when it left the node's own queue, if it waited there
};
/// Time passed: `next_wake` was reached.
struct Tick {};
/// The saga was rebuilt from its log by a node that took it over.
struct TakenOver {
  std::string node;
  bool is_struck = false;  ///< a strike against the saga was stored: that counts, and this does not
  std::int64_t lineage = 1;  ///< of the store, see LeaseAnswer
};
struct Cancel {
  std::string by;
  std::string reason;
};
/// An operator's action. A suspended saga tries again what it stopped at, with a new budget; of any
/// other the attempts that wait are sent now, once, within their budget.
struct Retry {
  std::string by;
  std::string reason;
};
/// Ends the waiting schedule of a step and suspends the saga there.
struct Suspend {
  std::string step;  ///< empty: every step that waits for its next attempt
  std::string by;
  std::string reason;
};
/// Operator actions; possible while suspended.
struct Skip {
  std::string step;
  std::string by;
  std::string reason;
};
/// What an operator has found out about the step that a saga is suspended at.
enum class Resolution {
  done,        ///< its action took effect
  not_done,    ///< its action did not take effect, and will not
  compensated  ///< its compensation took effect
};
const char* to_text(Resolution resolution);  ///< `done`, `not-done`, `compensated`
std::optional<Resolution> parse_resolution(std::string_view text);
struct Resolve {
  std::string step;
  Resolution as = Resolution::done;
  std::optional<Json> output{};    ///< of `done`
  std::optional<Json> captured{};  ///< of `done`
  std::string by{};
  std::string reason{};
};

/// From outside, for a `wait` step of that name.
struct Signal {
  std::string name;
  Json payload;
  std::string by;
  std::vector<std::string> roles;  ///< of who sent it; `*` has all
};
/// A participant's answer to a call that was pending.
struct Callback {
  std::string token;
  Response response;
};
/// What has become of a child. Told at least once a change, perhaps again.
struct ChildChanged {
  SagaId child;
  SagaStatus status = SagaStatus::running;
  Json output;
  std::optional<Failure> failure;  ///< of a suspended child: why
  bool started = true;             ///< false: it could not be started, `failure` says why
};
/// The parent takes back what this completed child did.
struct UndoneByParent {
  Failure failure;
};
/// The store cannot hold what was decided, however often it is tried; the state is the one before.
struct ContentRefused {
  /// The call whose answer it was decided on, which is as good as none. Empty path: no call's.
  StepPath path;
  Phase phase = Phase::forward;
  std::uint32_t attempt = 0;
};

using StimulusBody =
    std::variant<Start, CallEnded, Tick, TakenOver, Cancel, Retry, Suspend, Skip, Resolve, Signal,
                 Callback, ChildChanged, UndoneByParent, ContentRefused, Quarantine>;

/// A call that has not left the node's own queue.
struct QueuedCall {
  StepPath path;
  Phase phase = Phase::forward;
  bool held = false;  ///< every connection to the service is refused
};

/// Everything from outside comes with a stimulus, time and chance included.
struct Stimulus {
  TimePoint now;
  std::uint64_t random = 0;  ///< for jitter
  StimulusBody body;
  /// Calls in flight of which nothing was sent yet. One that is not in flight any more after the
  /// decision is withdrawn.
  std::vector<QueuedCall> queued{};
  /// Of a command: what came under the same key before is not done again. Empty: none.
  std::string idempotency_key{};
};

}  // namespace backstitch::engine

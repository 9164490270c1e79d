#pragma once
/// The model of a saga definition: a tree of steps. Plain data, immutable once parsed, shared by
/// const pointer between threads. Only parse.cpp knows how it is spelled in JSON.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>
#include <backstitch/base/time.hpp>
#include <backstitch/dsl/expression.hpp>
#include <backstitch/dsl/payload_schema.hpp>
#include <backstitch/dsl/template.hpp>

namespace backstitch::dsl {

/// A duration that is known, or an expression that gives its text.
using DurationField = std::variant<Duration, Expression>;

enum class StepKind { compensatable, pivot, retryable, readonly };
enum class OutcomeClass { success, failure, transient, unknown, pending };
enum class Transport { dns, connect, tls, timeout, reset, protocol };
enum class Jitter { none, equal, full };
enum class Method { get, head, post, put, patch, delete_ };
enum class Idempotency { key, natural, none };
enum class OnExhausted { suspend, continue_ };
enum class OnBranchFailure { cancel, finish };
enum class CompensationOrder { mirror, serial };
enum class Recovery { backward, forward };
/// Whether the business key of a saga that FAILED is free for another one.
enum class BusinessKeyReuse { never, after_failed };
enum class OnTimeout { fail, continue_ };
enum class AuthType { none, bearer, basic, api_key, oauth2, hmac };

/// As written in a definition: `compensatable`, `5xx` … One spelling, here.
const char* to_text(StepKind kind);
const char* to_text(OutcomeClass outcome);
const char* to_text(Transport transport);
const char* to_text(Method method);
const char* to_text(Idempotency idempotency);

/// What is left open of a retry before the pivot: 17 waits of 63 to 126 s together, long enough for
/// a sidecar that starts late or a deployment.
inline constexpr std::uint32_t default_attempts_max = 18;
inline constexpr Duration default_delay{250};
inline constexpr Duration default_delay_max{10'000};

/// What an author wrote of a retry policy. Absent fields come from the table of defaults of the use
/// it is put to (engine/machine/backoff).
struct RetrySpec {
  std::optional<std::uint32_t> attempts_max;  ///< unset and !unlimited: the default
  bool unlimited = false;
  std::optional<DurationField> delay;
  std::optional<double> factor;
  std::optional<DurationField> delay_max;
  std::optional<Jitter> jitter;
  std::optional<DurationField> elapsed_max;
  std::optional<std::vector<OutcomeClass>> on;  ///< transient, unknown
  std::vector<std::string> except;
  std::string pointer;  ///< where it is written; empty: nowhere
};

struct StatusRange {
  int first = 0;
  int last = 0;  ///< inclusive
};

/// One rule of `outcomes`; the first that matches decides.
/// Of an attempt about whose time neither the step, its service nor the definition says anything.
inline constexpr Duration attempt_timeout_default{10'000};

struct OutcomeRule {
  std::vector<StatusRange> status;
  std::optional<Transport> transport;
  std::optional<Expression> when;
  OutcomeClass is = OutcomeClass::success;
  std::string code;                 ///< empty: made by the engine
  std::optional<Template> message;  ///< for people; a text over the answer
  std::optional<DurationField> retry_after;
  std::string pointer;
};

struct NamedTemplate {
  std::string name;
  Template value;
};

/// A request to a participant: `http` or `operation`.
struct Request {
  std::string service;  ///< empty in compensation, probe, poll: the action's
  Method method = Method::post;
  std::optional<Template> path;  ///< text template, starts with '/'; unset: a local operation
  std::string operation;
  std::vector<NamedTemplate> query;
  std::vector<NamedTemplate> headers;
  std::optional<Template> body;
  std::string pointer;
};

struct Probe {
  Request request;
  std::vector<OutcomeRule> outcomes;
  std::optional<Template> output;
  bool sealed = false;
  RetrySpec retry;
  std::optional<DurationField> attempt_timeout;
};

struct Poll {
  Request request;
  DurationField every = Duration{0};
  std::vector<OutcomeRule> outcomes;
};

struct Completion {
  bool callback = false;
  std::optional<Poll> poll;
  DurationField timeout = Duration{0};
};

struct Compensation {
  Request request;
  std::optional<Expression> when;
  std::vector<OutcomeRule> outcomes;
  RetrySpec retry;
  std::optional<DurationField> attempt_timeout;
  OnExhausted on_exhausted = OnExhausted::suspend;  ///< defaults of the definition already applied
};

/// What was said about undo: nothing, "none", "auto" (sub-sagas), or a request.
struct NoCompensation {};
struct WaivedCompensation {};
struct AutoCompensation {};
using Undo = std::variant<NoCompensation, WaivedCompensation, AutoCompensation, Compensation>;

struct Step;
using Steps = std::vector<Step>;

struct Action {
  Request request;
  std::optional<Template> output;  ///< unset: the response body
  std::optional<Template> capture;
  std::vector<OutcomeRule> outcomes;
  RetrySpec retry;
  std::optional<DurationField> attempt_timeout;
  std::optional<Probe> probe;
  std::optional<Completion> completion;
};

struct SubSaga {
  std::string name;
  std::optional<std::int64_t> version;
  Template input;
  std::optional<Template> business_key;
};

struct Branch {
  std::string name;
  Steps steps;
};
struct Parallel {
  std::vector<Branch> branches;  ///< by name
  std::optional<std::uint32_t> concurrency_max;
  OnBranchFailure on_failure = OnBranchFailure::cancel;
  CompensationOrder compensation_order = CompensationOrder::mirror;
};

struct Case {
  std::optional<Expression> when;  ///< unset: otherwise
  Steps steps;
  std::optional<Template> output;
};
struct Switch {
  std::vector<Case> cases;
  std::shared_ptr<const Case> otherwise;  ///< set by the parser always
};

struct ForEach {
  Expression in;
  std::string as;
  std::string index_as;
  std::optional<Expression> key;
  std::uint32_t items_max = 100;
  std::uint32_t concurrency_max = 1;
  OnBranchFailure on_failure = OnBranchFailure::cancel;
  CompensationOrder compensation_order = CompensationOrder::mirror;
  Steps steps;
  std::optional<Template> yield;
};

struct Catch {
  std::vector<std::string> codes;
  std::vector<std::string> classes;
  std::optional<Expression> when;
  Steps steps;
  std::optional<Template> output;
};
struct Try {
  Steps steps;
  std::optional<Template> output;
  std::vector<Catch> catches;
};

struct Wait {
  std::vector<std::string> signals;
  DurationField timeout = Duration{0};
  std::shared_ptr<const PayloadSchema> schema;
  std::optional<Expression> accept;
  std::vector<std::string> allow;
  OnTimeout on_timeout = OnTimeout::fail;
  std::optional<Template> default_value;
};

struct Sleep {
  std::optional<DurationField> duration;
  std::optional<Template> until;  ///< text template giving an RFC 3339 time
};

struct Value {
  Template value;
};

struct Fail {
  std::string code;
  std::optional<Template> message;
  std::optional<Template> details;
};

using StepBody =
    std::variant<Action, SubSaga, Parallel, Switch, ForEach, Try, Wait, Sleep, Value, Fail>;

struct Step {
  std::string name;
  std::string description;
  std::optional<Expression> when;
  StepBody body;
  StepKind kind =
      StepKind::compensatable;  ///< stated or defaulted; meaningful for Action and SubSaga
  bool kind_stated = false;
  Undo undo;                             ///< meaningful for Action and SubSaga
  std::optional<DurationField> timeout;  ///< meaningful for Action and SubSaga
  std::string pointer;                   ///< of the step in the document
};

struct Auth {
  AuthType type = AuthType::none;
  std::string secret;
  std::string header;
  std::string token_url;
  std::vector<std::string> scopes;
};
/// The header that carries the credentials; empty: there are none.
std::string_view credential_header(const Auth& auth);
/// How an answer of the participant itself is told from one of an intermediary, or from the answer
/// to another request.
struct AnswerMarks {
  std::string echo;    ///< the header in which it returns the key of the call; empty: none
  std::string header;  ///< a header that all its answers have; empty: none
  std::string value;   ///< of that header
  std::vector<std::string> content_types;  ///< media types in lower case; empty: any

  bool any() const { return !echo.empty() || !header.empty() || !content_types.empty(); }
};
struct Tls {
  std::string ca;
  std::string client_cert;
  std::string server_name;
  std::string version_min;  ///< "1.2", "1.3" or empty
};
/// The forward proxy that a registered service is called through.
struct Proxy {
  std::string url;     ///< `http://HOST[:PORT]`; empty: the service names none
  std::string secret;  ///< of `proxyAuth`: `user:password`; empty: no credentials are sent
};
struct Breaker {
  Duration window{30'000};
  std::uint32_t calls_min = 20;
  double failure_ratio = 0.5;
  Duration open_for{15'000};
  std::uint32_t half_open_calls = 3;
};
struct ServiceLimits {
  std::optional<std::uint32_t> in_flight_max;
  std::optional<std::uint32_t> queue_max;
  std::optional<double> rate_per_second;
  std::optional<std::uint32_t> burst;
  std::optional<Breaker> breaker;
};

/// A service as registered (PUT /v1/services/{name}) or written inline. No expressions inside.
struct Service {
  std::string use;  ///< not empty: everything else comes from the registered service of that name
  bool local = false;
  std::string base_url;
  Auth auth;
  Tls tls;
  Proxy proxy;
  std::vector<std::pair<std::string, std::string>> headers;
  Idempotency idempotency = Idempotency::key;
  std::string idempotency_header = "Idempotency-Key";
  bool keep_alive = true;  ///< false: a connection of its own for each call
  AnswerMarks answers;
  Duration quiet_period{0};
  std::optional<Duration> connect_timeout;
  std::optional<Duration> attempt_timeout;
  RetrySpec retry;
  std::vector<OutcomeRule> outcomes;
  ServiceLimits limits;
  std::size_t response_bytes_max = 1024 * 1024;
  std::string pointer;
};

struct Label {
  std::string name;
  Template value;
};

struct TaintMap;

struct Definition {
  std::string name;
  std::int64_t version = 1;
  std::string description;
  std::string owner;
  std::vector<Label> labels;
  std::optional<Template> business_key;  ///< text template
  BusinessKeyReuse business_key_reuse = BusinessKeyReuse::never;
  std::shared_ptr<const PayloadSchema> input;
  std::map<std::string, Service> services;
  std::map<std::string, RetrySpec> retry_policies;
  /// `defaults`. Those of a compensation are applied already; these stand behind the service's own.
  RetrySpec default_retry;
  std::optional<DurationField> default_attempt_timeout;
  std::optional<DurationField> default_step_timeout;
  Recovery recovery = Recovery::backward;
  DurationField timeout = Duration{3'600'000};
  Steps steps;
  std::optional<Template> output;
  Steps on_failure;
  Steps on_suspended;
  std::optional<Duration> retention;
  /// Where each step stands: its name -> `reserve/flight/holdSeats[]/holdSeat`; `[]` stands for an
  /// iteration. Filled in by the parser.
  std::map<std::string, std::string, std::less<>> step_paths;
  std::shared_ptr<const TaintMap> taints;  ///< null: nothing is marked x-sensitive
  Json document;     ///< canonical form: keys sorted (x- keys kept), numbers normalised
  std::string hash;  ///< lower-case hex SHA-256 of the canonical text
};

/// What a saga is as a step of another one: with a pivot, a pivot; else with anything that can be
/// undone, compensatable; else retryable or readonly.
StepKind kind_as_child(const Definition& definition);
/// What a saga's steps may add to its log; repeated attempts are not counted.
inline constexpr std::int64_t saga_events_max = 100'000;
/// How many events these steps add at least if each succeeds. Of a forEach that is not known:
/// `all_items`, as many iterations as it may have; else none.
std::int64_t least_events(const Steps& steps, bool all_items);
/// What step_paths holds.
std::map<std::string, std::string, std::less<>> step_paths_of(const Definition& definition);
/// The step of that name anywhere in the tree, handlers included; nullptr: none.
const Step* find_step(const Definition& definition, std::string_view name);

}  // namespace backstitch::dsl

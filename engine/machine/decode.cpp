#include <utility>

#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/engine/machine/event.hpp>

namespace backstitch::engine {
namespace {

/// The library would turn a fraction or a number out of range into some other number.
template <class Integer>
Integer integer(const Json& json) {
  bool fits = false;
  if (json.is_number_unsigned())
    fits = std::in_range<Integer>(json.get<std::uint64_t>());
  else if (json.is_number_integer())
    fits = std::in_range<Integer>(json.get<std::int64_t>());
  if (!fits) throw std::invalid_argument("not an integer of its range: " + json.dump());
  return json.get<Integer>();
}
TimePoint time_from(const Json& json) {
  return TimePoint{Duration{integer<std::int64_t>(json)}};
}

std::string text(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found == in.end() ? std::string{} : found->get<std::string>();
}
Duration duration(const Json& in, const char* name) {
  const auto found = in.find(name);
  return Duration{found == in.end() ? 0 : integer<std::int64_t>(*found)};
}
std::optional<TimePoint> time(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found == in.end() ? std::nullopt : std::optional(time_from(*found));
}
Json value(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found == in.end() ? Json() : *found;
}
bool flag(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found != in.end() && found->get<bool>();
}
std::uint32_t number(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found == in.end() ? 0 : integer<std::uint32_t>(*found);
}
template <class Parsed>
Parsed parsed(std::optional<Parsed> found, const std::string& what) {
  if (!found) throw std::invalid_argument("unknown word " + what);
  return *found;
}

RenderedRequest request_from(const Json& in) {
  RenderedRequest request;
  request.service = text(in, "service");
  request.method = text(in, "method");
  request.target = text(in, "target");
  if (const auto headers = in.find("headers"); headers != in.end()) {
    for (const auto& header : *headers) {
      request.headers.emplace_back(header.at(0).get<std::string>(),
                                   header.at(1).get<std::string>());
    }
  }
  request.body = text(in, "body");
  request.key = text(in, "key");
  request.compensates = text(in, "compensates");
  request.probes = text(in, "probes");
  request.callback = text(in, "callback");
  request.attempt_timeout = Duration{integer<std::int64_t>(in.at("timeoutMs"))};
  return request;
}

SagaId saga_from(const Json& in) {
  return parsed(SagaId::parse(in.get<std::string>()), "saga");
}

std::optional<ParentLink> parent_from(const Json& in) {
  const auto found = in.find("parent");
  if (found == in.end()) return std::nullopt;
  return ParentLink{saga_from(found->at("saga")), text(*found, "step"),
                    integer<std::uint32_t>(found->at("depth"))};
}

template <class T>
std::vector<T> list(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found == in.end() ? std::vector<T>{} : found->get<std::vector<T>>();
}

ChildSaga child_from(const Json& in) {
  ChildSaga child{saga_from(in.at("saga")), text(in, "definition"),
                  integer<std::int64_t>(in.at("version")), value(in, "input"), std::nullopt};
  if (in.contains("businessKey")) child.business_key = text(in, "businessKey");
  child.sensitive = list<std::string>(in, "sensitive");
  return child;
}

std::optional<Failure> failure_in(const Json& in) {
  const auto found = in.find("failure");
  return found == in.end() ? std::nullopt : std::optional(failure_from_json(*found));
}

dsl::OutcomeClass outcome_from(const std::string& word) {
  using enum dsl::OutcomeClass;
  for (const auto outcome : {success, failure, transient, unknown, pending}) {
    if (word == to_text(outcome)) return outcome;
  }
  throw std::invalid_argument("unknown outcome " + word);
}

std::optional<std::int64_t> lineage_from(const Json& in) {
  const auto lineage = in.find("lineage");
  if (lineage == in.end()) return std::nullopt;
  return integer<std::int64_t>(*lineage);
}

SagaStarted started_from(const Json& in) {
  SagaStarted e;
  e.definition = text(in, "definition");
  e.version = integer<std::int64_t>(in.at("version"));
  e.input = value(in, "input");
  if (const auto labels = in.find("labels"); labels != in.end()) {
    e.labels = labels->get<std::map<std::string, std::string>>();
  }
  if (in.contains("businessKey")) e.business_key = text(in, "businessKey");
  e.deadline = time(in, "deadline");
  e.parent = parent_from(in);
  e.root = text(in, "root");
  e.accepted_at = time(in, "acceptedAt");
  e.sensitive = list<std::string>(in, "sensitive");
  e.lineage = lineage_from(in).value_or(1);
  e.is_set_back = flag(in, "setBack");
  return e;
}

AttemptFailed attempt_failed_from(const StepPath& path, const Json& in) {
  return {path,
          parsed(parse_phase(text(in, "phase")), "phase"),
          integer<std::uint32_t>(in.at("attempt")),
          outcome_from(text(in, "outcome")),
          failure_from_json(in.at("failure")),
          time(in, "retryAt"),
          flag(in, "lost"),
          flag(in, "nextIsLast")};
}

SagaSuspended suspended_from(const StepPath& path, TimePoint at, const Json& in) {
  const auto cause = in.contains("cause")
                         ? parsed(parse_suspension_cause(text(in, "cause")), "cause")
                         : SuspensionCause::step;
  return {{text(in, "reason"), text(in, "message"), path,
           parsed(parse_phase(text(in, "phase")), "phase"), at,
           parsed(parse_saga_status(text(in, "from")), "status"), flag(in, "byOperator"), cause}};
}

CommandNote command_from(const Json& in) {
  const auto found = in.find("command");
  if (found == in.end()) return {};
  return {text(*found, "key"), text(*found, "request")};
}

AttemptNote note_from(const Json& in) {
  return {text(in, "unreadable"), time(in, "sentAt"), in.contains("sent"),
          in.contains("needsPerson"), value(in, "answer")};
}

/// Those of the log as a whole.
std::optional<EventBody> saga_event_from(const std::string& type, const StepPath& path,
                                         TimePoint at, const Json& in) {
  if (type == "SagaStarted") return started_from(in);
  if (type == "CompensationStarted")
    return CompensationStarted{failure_from_json(in.at("failure"))};
  if (type == "HandlersStarted") return HandlersStarted{text(in, "handler")};
  if (type == "CancelRequested") return CancelRequested{text(in, "by"), text(in, "reason")};
  if (type == "DeadlinePassed") return DeadlinePassed{};
  if (type == "SagaSuspended") return suspended_from(path, at, in);
  if (type == "SignalReceived") {
    return SignalReceived{text(in, "name"), value(in, "payload"), text(in, "by"),
                          list<std::string>(in, "roles")};
  }
  if (type == "Resumed") return Resumed{text(in, "node"), flag(in, "struck"), lineage_from(in)};
  if (type == "SagaReopened") return SagaReopened{failure_from_json(in.at("failure"))};
  if (type == "SagaEnded")
    return SagaEnded{parsed(parse_saga_status(text(in, "status")), "status"), value(in, "output")};
  return std::nullopt;
}

/// The calls of a step, and what they came to.
std::optional<EventBody> step_event_from(const std::string& type, const StepPath& path,
                                         const Json& in) {
  if (type == "StepScheduled") {
    return StepScheduled{path, request_from(in.at("request")), time(in, "timeoutAt"),
                         text(in, "callbackToken")};
  }
  if (type == "StepSkipped") return StepSkipped{path};
  if (type == "AttemptStarted") {
    return AttemptStarted{path, parsed(parse_phase(text(in, "phase")), "phase"),
                          integer<std::uint32_t>(in.at("attempt"))};
  }
  if (type == "AttemptFailed") return attempt_failed_from(path, in);
  if (type == "StepSucceeded")
    return StepSucceeded{path, value(in, "output"), value(in, "captured"), failure_in(in),
                         text(in, "note")};
  if (type == "StepFailed")
    return StepFailed{path, failure_from_json(in.at("failure")), flag(in, "leftOver")};
  if (type == "StepUnknown")
    return StepUnknown{path, failure_from_json(in.at("failure")), time(in, "undoNotBefore")};
  if (type == "QuietPeriodEnded") return QuietPeriodEnded{path};
  if (type == "ProbeScheduled") return ProbeScheduled{path, request_from(in.at("request"))};
  if (type == "StepCompensationScheduled")
    return StepCompensationScheduled{path, request_from(in.at("request"))};
  if (type == "StepCompensated") return StepCompensated{path, text(in, "note")};
  if (type == "StepCompensationFailed")
    return StepCompensationFailed{path, failure_from_json(in.at("failure"))};
  if (type == "StepCompensationSkipped") return StepCompensationSkipped{path, text(in, "reason")};
  if (type == "OperatorActed") {
    OperatorActed e{text(in, "action"), path, text(in, "by"), text(in, "reason")};
    if (in.contains("renewed")) e.renewed = parsed(parse_phase(text(in, "renewed")), "phase");
    e.resolution = text(in, "resolution");
    e.output = value(in, "output");
    e.captured = value(in, "captured");
    return e;
  }
  return std::nullopt;
}

/// Blocks, waits and sub-sagas.
std::optional<EventBody> block_event_from(const std::string& type, const StepPath& path,
                                          const Json& in) {
  if (type == "BlockStarted") {
    return BlockStarted{path, number(in, "chosen"), value(in, "items"),
                        list<std::string>(in, "keys")};
  }
  if (type == "IterationEnded")
    return IterationEnded{path, number(in, "index"), value(in, "output"), failure_in(in)};
  if (type == "TryFailed") return TryFailed{path, failure_from_json(in.at("failure"))};
  if (type == "CatchStarted") return CatchStarted{path, number(in, "index")};
  if (type == "CatchPassedOver")
    return CatchPassedOver{path, number(in, "index"), text(in, "message")};
  if (type == "StepWaiting") {
    const auto poll = in.find("poll");
    return StepWaiting{path, time(in, "until"),
                       poll == in.end() ? std::nullopt : std::optional(request_from(*poll)),
                       duration(in, "pollEveryMs")};
  }
  if (type == "SignalConsumed") return SignalConsumed{path, integer<std::int64_t>(in.at("signal"))};
  if (type == "SignalDropped")
    return SignalDropped{path, integer<std::int64_t>(in.at("signal")), text(in, "reason")};
  if (type == "CallbackReceived") return CallbackReceived{path, text(in, "body"), text(in, "note")};
  if (type == "CallbackRefused") return CallbackRefused{path};
  if (type == "ChildScheduled")
    return ChildScheduled{path, child_from(in.at("child")), time(in, "timeoutAt"), text(in, "key")};
  if (type == "ChildStopped") return ChildStopped{path};
  if (type == "ChildUndoScheduled") return ChildUndoScheduled{path};
  return std::nullopt;
}

std::optional<EventBody> body_from(const std::string& type, const StepPath& path, TimePoint at,
                                   const Json& in) {
  if (auto body = step_event_from(type, path, in)) return body;
  if (auto body = block_event_from(type, path, in)) return body;
  return saga_event_from(type, path, at, in);
}

}  // namespace

Result<Event> decode(const EventRecord& record) {
  try {
    const Json data = record.data.empty() ? Json::object() : dsl::stored_json(record.data);
    if (auto body = body_from(record.type, record.path, record.at, data))
      return Event{record.at, std::move(*body), note_from(data), command_from(data)};
    return Error{
        ErrorCode::internal, "log-corrupt",
        "The event type " + record.type + " is not known; was it written by a newer engine?"};
  } catch (const std::exception& error) {
    return Error{ErrorCode::internal, "log-corrupt",
                 "Event " + std::to_string(record.sequence.get()) + " (" + record.type +
                     ") cannot be read: " + error.what()};
  }
}

}  // namespace backstitch::engine

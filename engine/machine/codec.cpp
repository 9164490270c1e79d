#include <backstitch/base/match.hpp>
#include <backstitch/engine/machine/event.hpp>

namespace backstitch::engine {
namespace {

using Object = Json::object_t;

Json millis(TimePoint time) {
  return time.time_since_epoch().count();
}
TimePoint time_from(const Json& json) {
  return TimePoint{Duration{json.get<std::int64_t>()}};
}

void put(Json& out, const char* name, const std::optional<TimePoint>& time) {
  if (time) out[name] = millis(*time);
}
void put(Json& out, const char* name, const std::string& text) {
  if (!text.empty()) out[name] = text;
}
void put(Json& out, const char* name, const Json& value) {
  if (!value.is_null()) out[name] = value;
}

std::string text(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found == in.end() ? std::string{} : found->get<std::string>();
}
std::optional<TimePoint> time(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found == in.end() ? std::nullopt : std::optional(time_from(*found));
}
Json value(const Json& in, const char* name) {
  const auto found = in.find(name);
  return found == in.end() ? Json() : *found;
}
template <class Enum>
Enum parsed(std::optional<Enum> found, const std::string& what) {
  if (!found) throw std::invalid_argument("unknown word " + what);
  return *found;
}

Json to_json(const RenderedRequest& request) {
  Json out = Json::object();
  put(out, "service", request.service);
  put(out, "method", request.method);
  put(out, "target", request.target);
  if (!request.headers.empty()) {
    Json& headers = out["headers"] = Json::array();
    for (const auto& [name, content] : request.headers)
      headers.push_back(Json::array({name, content}));
  }
  // Text in text: stored as jsonb its bytes would change, and every attempt sends the same bytes.
  put(out, "body", request.body);
  put(out, "key", request.key);
  put(out, "compensates", request.compensates);
  out["timeoutMs"] = request.attempt_timeout.count();
  return out;
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
  request.attempt_timeout = Duration{in.at("timeoutMs").get<std::int64_t>()};
  return request;
}

dsl::OutcomeClass outcome_from(const std::string& word) {
  using enum dsl::OutcomeClass;
  for (const auto outcome : {success, failure, transient, unknown, pending}) {
    if (word == to_text(outcome)) return outcome;
  }
  throw std::invalid_argument("unknown outcome " + word);
}

Json data_of(const Event& event) {
  Json out = Json::object();
  std::visit(Match{[&](const SagaStarted& e) {
                     put(out, "definition", e.definition);
                     out["version"] = e.version;
                     put(out, "input", e.input);
                     if (!e.labels.empty()) out["labels"] = e.labels;
                     if (e.business_key) out["businessKey"] = *e.business_key;
                     put(out, "deadline", e.deadline);
                   },
                   [&](const StepScheduled& e) {
                     out["request"] = to_json(e.request);
                     put(out, "timeoutAt", e.timeout_at);
                   },
                   [&](const StepSkipped&) {},
                   [&](const AttemptStarted& e) {
                     out["phase"] = to_text(e.phase);
                     out["attempt"] = e.attempt;
                   },
                   [&](const AttemptFailed& e) {
                     out["phase"] = to_text(e.phase);
                     out["attempt"] = e.attempt;
                     out["outcome"] = to_text(e.outcome);
                     out["failure"] = to_json(e.failure);
                     put(out, "retryAt", e.retry_at);
                   },
                   [&](const StepSucceeded& e) {
                     put(out, "output", e.output);
                     put(out, "captured", e.captured);
                   },
                   [&](const StepFailed& e) { out["failure"] = to_json(e.failure); },
                   [&](const StepUnknown& e) {
                     out["failure"] = to_json(e.failure);
                     put(out, "undoNotBefore", e.undo_not_before);
                   },
                   [&](const ProbeScheduled& e) { out["request"] = to_json(e.request); },
                   [&](const CompensationStarted& e) { out["failure"] = to_json(e.failure); },
                   [&](const StepCompensationScheduled& e) { out["request"] = to_json(e.request); },
                   [&](const StepCompensated&) {},
                   [&](const StepCompensationFailed& e) { out["failure"] = to_json(e.failure); },
                   [&](const StepCompensationSkipped& e) { put(out, "reason", e.reason); },
                   [&](const HandlersStarted& e) { put(out, "handler", e.handler); },
                   [&](const CancelRequested& e) {
                     put(out, "by", e.by);
                     put(out, "reason", e.reason);
                   },
                   [&](const DeadlinePassed&) {},
                   [&](const SagaSuspended& e) {
                     put(out, "reason", e.suspension.reason);
                     put(out, "message", e.suspension.message);
                     out["phase"] = to_text(e.suspension.phase);
                     out["from"] = to_text(e.suspension.from);
                   },
                   [&](const OperatorActed& e) {
                     put(out, "action", e.action);
                     put(out, "by", e.by);
                     put(out, "reason", e.reason);
                     put(out, "output", e.output);
                   },
                   [&](const Resumed& e) { put(out, "node", e.node); },
                   [&](const SagaEnded& e) {
                     out["status"] = to_text(e.status);
                     put(out, "output", e.output);
                   }},
             event.body);
  return out;
}

SagaStarted started_from(const Json& in) {
  SagaStarted e;
  e.definition = text(in, "definition");
  e.version = in.at("version").get<std::int64_t>();
  e.input = value(in, "input");
  if (const auto labels = in.find("labels"); labels != in.end()) {
    e.labels = labels->get<std::map<std::string, std::string>>();
  }
  if (in.contains("businessKey")) e.business_key = text(in, "businessKey");
  e.deadline = time(in, "deadline");
  return e;
}

AttemptFailed attempt_failed_from(const StepPath& path, const Json& in) {
  return {path,
          parsed(parse_phase(text(in, "phase")), "phase"),
          in.at("attempt").get<std::uint32_t>(),
          outcome_from(text(in, "outcome")),
          failure_from_json(in.at("failure")),
          time(in, "retryAt")};
}

SagaSuspended suspended_from(const StepPath& path, TimePoint at, const Json& in) {
  return {{text(in, "reason"), text(in, "message"), path,
           parsed(parse_phase(text(in, "phase")), "phase"), at,
           parsed(parse_saga_status(text(in, "from")), "status")}};
}

std::optional<EventBody> body_from(const std::string& type, const StepPath& path, TimePoint at,
                                   const Json& in) {
  if (type == "SagaStarted") return started_from(in);
  if (type == "StepScheduled")
    return StepScheduled{path, request_from(in.at("request")), time(in, "timeoutAt")};
  if (type == "StepSkipped") return StepSkipped{path};
  if (type == "AttemptStarted") {
    return AttemptStarted{path, parsed(parse_phase(text(in, "phase")), "phase"),
                          in.at("attempt").get<std::uint32_t>()};
  }
  if (type == "AttemptFailed") return attempt_failed_from(path, in);
  if (type == "StepSucceeded")
    return StepSucceeded{path, value(in, "output"), value(in, "captured")};
  if (type == "StepFailed") return StepFailed{path, failure_from_json(in.at("failure"))};
  if (type == "StepUnknown") {
    return StepUnknown{path, failure_from_json(in.at("failure")), time(in, "undoNotBefore")};
  }
  if (type == "ProbeScheduled") return ProbeScheduled{path, request_from(in.at("request"))};
  if (type == "CompensationStarted")
    return CompensationStarted{failure_from_json(in.at("failure"))};
  if (type == "StepCompensationScheduled")
    return StepCompensationScheduled{path, request_from(in.at("request"))};
  if (type == "StepCompensated") return StepCompensated{path};
  if (type == "StepCompensationFailed")
    return StepCompensationFailed{path, failure_from_json(in.at("failure"))};
  if (type == "StepCompensationSkipped") return StepCompensationSkipped{path, text(in, "reason")};
  if (type == "HandlersStarted") return HandlersStarted{text(in, "handler")};
  if (type == "CancelRequested") return CancelRequested{text(in, "by"), text(in, "reason")};
  if (type == "DeadlinePassed") return DeadlinePassed{};
  if (type == "SagaSuspended") return suspended_from(path, at, in);
  if (type == "OperatorActed") {
    return OperatorActed{text(in, "action"), path, text(in, "by"), text(in, "reason"),
                         value(in, "output")};
  }
  if (type == "Resumed") return Resumed{text(in, "node")};
  if (type == "SagaEnded") {
    return SagaEnded{parsed(parse_saga_status(text(in, "status")), "status"), value(in, "output")};
  }
  return std::nullopt;
}

}  // namespace

std::string_view type_name(const Event& event) {
  return std::visit(
      Match{[](const SagaStarted&) { return "SagaStarted"; },
            [](const StepScheduled&) { return "StepScheduled"; },
            [](const StepSkipped&) { return "StepSkipped"; },
            [](const AttemptStarted&) { return "AttemptStarted"; },
            [](const AttemptFailed&) { return "AttemptFailed"; },
            [](const StepSucceeded&) { return "StepSucceeded"; },
            [](const StepFailed&) { return "StepFailed"; },
            [](const StepUnknown&) { return "StepUnknown"; },
            [](const ProbeScheduled&) { return "ProbeScheduled"; },
            [](const CompensationStarted&) { return "CompensationStarted"; },
            [](const StepCompensationScheduled&) { return "StepCompensationScheduled"; },
            [](const StepCompensated&) { return "StepCompensated"; },
            [](const StepCompensationFailed&) { return "StepCompensationFailed"; },
            [](const StepCompensationSkipped&) { return "StepCompensationSkipped"; },
            [](const HandlersStarted&) { return "HandlersStarted"; },
            [](const CancelRequested&) { return "CancelRequested"; },
            [](const DeadlinePassed&) { return "DeadlinePassed"; },
            [](const SagaSuspended&) { return "SagaSuspended"; },
            [](const OperatorActed&) { return "OperatorActed"; },
            [](const Resumed&) { return "Resumed"; },
            [](const SagaEnded&) { return "SagaEnded"; }},
      event.body);
}

const StepPath& path_of(const Event& event) {
  static const StepPath none;
  const auto of_step = [](const auto& e) -> const StepPath& { return e.path; };
  const auto of_saga = [](const auto&) -> const StepPath& { return none; };
  return std::visit(
      Match{[&](const SagaStarted& e) -> const StepPath& { return of_saga(e); },
            [&](const StepScheduled& e) -> const StepPath& { return of_step(e); },
            [&](const StepSkipped& e) -> const StepPath& { return of_step(e); },
            [&](const AttemptStarted& e) -> const StepPath& { return of_step(e); },
            [&](const AttemptFailed& e) -> const StepPath& { return of_step(e); },
            [&](const StepSucceeded& e) -> const StepPath& { return of_step(e); },
            [&](const StepFailed& e) -> const StepPath& { return of_step(e); },
            [&](const StepUnknown& e) -> const StepPath& { return of_step(e); },
            [&](const ProbeScheduled& e) -> const StepPath& { return of_step(e); },
            [&](const CompensationStarted& e) -> const StepPath& { return of_saga(e); },
            [&](const StepCompensationScheduled& e) -> const StepPath& { return of_step(e); },
            [&](const StepCompensated& e) -> const StepPath& { return of_step(e); },
            [&](const StepCompensationFailed& e) -> const StepPath& { return of_step(e); },
            [&](const StepCompensationSkipped& e) -> const StepPath& { return of_step(e); },
            [&](const HandlersStarted& e) -> const StepPath& { return of_saga(e); },
            [&](const CancelRequested& e) -> const StepPath& { return of_saga(e); },
            [&](const DeadlinePassed& e) -> const StepPath& { return of_saga(e); },
            [&](const SagaSuspended& e) -> const StepPath& { return e.suspension.step; },
            [&](const OperatorActed& e) -> const StepPath& { return of_step(e); },
            [&](const Resumed& e) -> const StepPath& { return of_saga(e); },
            [&](const SagaEnded& e) -> const StepPath& { return of_saga(e); }},
      event.body);
}

EventRecord encode(const Event& event, Sequence sequence) {
  return {sequence, std::string(type_name(event)), path_of(event), data_of(event).dump(), event.at};
}

Result<Event> decode(const EventRecord& record) {
  try {
    const Json data = record.data.empty() ? Json::object() : Json::parse(record.data);
    if (auto body = body_from(record.type, record.path, record.at, data))
      return Event{record.at, std::move(*body)};
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

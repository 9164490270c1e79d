#include <backstitch/base/json_text.hpp>
#include <backstitch/base/match.hpp>
#include <backstitch/engine/machine/event.hpp>

namespace backstitch::engine {
namespace {

Json millis(TimePoint time) {
  return time.time_since_epoch().count();
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
void put(Json& out, const char* name, const std::optional<Failure>& failure) {
  if (failure) out[name] = to_json(*failure);
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
  put(out, "probes", request.probes);
  put(out, "callback", request.callback);
  out["timeoutMs"] = request.attempt_timeout.count();
  return out;
}

Json parent_json(const ParentLink& parent) {
  return {{"saga", parent.saga.text()}, {"step", parent.step}, {"depth", parent.depth}};
}

Json child_json(const ChildSaga& child) {
  Json out{{"saga", child.id.text()}, {"definition", child.definition}, {"version", child.version}};
  put(out, "input", child.input);
  if (child.business_key) out["businessKey"] = *child.business_key;
  if (!child.sensitive.empty()) out["sensitive"] = child.sensitive;
  return out;
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
                     if (e.parent) out["parent"] = parent_json(*e.parent);
                     put(out, "root", e.root);
                     put(out, "acceptedAt", e.accepted_at);
                     if (!e.sensitive.empty()) out["sensitive"] = e.sensitive;
                     if (e.lineage != 1) out["lineage"] = e.lineage;
                     if (e.is_set_back) out["setBack"] = true;
                   },
                   [&](const StepScheduled& e) {
                     out["request"] = to_json(e.request);
                     put(out, "timeoutAt", e.timeout_at);
                     put(out, "callbackToken", e.callback_token);
                   },
                   [&](const ChildScheduled& e) {
                     out["child"] = child_json(e.child);
                     put(out, "timeoutAt", e.timeout_at);
                     put(out, "key", e.key);
                   },
                   [&](const ChildStopped&) {},
                   [&](const BlockStarted& e) {
                     if (e.chosen != 0) out["chosen"] = e.chosen;
                     put(out, "items", e.items);
                     if (!e.keys.empty()) out["keys"] = e.keys;
                   },
                   [&](const IterationEnded& e) {
                     out["index"] = e.index;
                     put(out, "output", e.output);
                     put(out, "failure", e.failure);
                   },
                   [&](const TryFailed& e) { out["failure"] = to_json(e.failure); },
                   [&](const CatchStarted& e) { out["index"] = e.index; },
                   [&](const CatchPassedOver& e) {
                     out["index"] = e.index;
                     put(out, "message", e.message);
                   },
                   [&](const StepWaiting& e) {
                     put(out, "until", e.until);
                     if (e.poll) out["poll"] = to_json(*e.poll);
                     if (e.poll) out["pollEveryMs"] = e.poll_every.count();
                   },
                   [&](const SignalReceived& e) {
                     put(out, "name", e.name);
                     put(out, "payload", e.payload);
                     put(out, "by", e.by);
                     if (!e.roles.empty()) out["roles"] = e.roles;
                   },
                   [&](const SignalConsumed& e) { out["signal"] = e.sequence; },
                   [&](const SignalDropped& e) {
                     out["signal"] = e.sequence;
                     out["reason"] = e.reason;
                   },
                   [&](const CallbackReceived& e) {
                     put(out, "body", e.body);
                     put(out, "note", e.note);
                   },
                   [&](const CallbackRefused&) {},
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
                     if (e.lost) out["lost"] = true;
                     if (e.next_is_last) out["nextIsLast"] = true;
                   },
                   [&](const StepSucceeded& e) {
                     put(out, "output", e.output);
                     put(out, "captured", e.captured);
                     put(out, "failure", e.failure);
                     put(out, "note", e.note);
                   },
                   [&](const StepFailed& e) {
                     out["failure"] = to_json(e.failure);
                     if (e.left_over) out["leftOver"] = true;
                   },
                   [&](const StepUnknown& e) {
                     out["failure"] = to_json(e.failure);
                     put(out, "undoNotBefore", e.undo_not_before);
                   },
                   [&](const QuietPeriodEnded&) {},
                   [&](const ProbeScheduled& e) { out["request"] = to_json(e.request); },
                   [&](const CompensationStarted& e) { out["failure"] = to_json(e.failure); },
                   [&](const StepCompensationScheduled& e) { out["request"] = to_json(e.request); },
                   [&](const ChildUndoScheduled&) {},
                   [&](const StepCompensated& e) { put(out, "note", e.note); },
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
                     if (e.suspension.by_operator) out["byOperator"] = true;
                     if (e.suspension.cause != SuspensionCause::step)
                       out["cause"] = to_text(e.suspension.cause);
                   },
                   [&](const OperatorActed& e) {
                     put(out, "action", e.action);
                     put(out, "by", e.by);
                     put(out, "reason", e.reason);
                     if (e.renewed) out["renewed"] = to_text(*e.renewed);
                     put(out, "resolution", e.resolution);
                     put(out, "output", e.output);
                     put(out, "captured", e.captured);
                   },
                   [&](const Resumed& e) {
                     put(out, "node", e.node);
                     if (e.is_struck) out["struck"] = true;
                     if (e.lineage) out["lineage"] = *e.lineage;
                   },
                   [&](const SagaReopened& e) { out["failure"] = to_json(e.failure); },
                   [&](const SagaEnded& e) {
                     out["status"] = to_text(e.status);
                     put(out, "output", e.output);
                   }},
             event.body);
  put(out, "unreadable", event.attempt.unreadable);
  put(out, "sentAt", event.attempt.sent_at);
  if (event.attempt.unsent) out["sent"] = false;
  if (event.attempt.needs_person) out["needsPerson"] = true;
  put(out, "answer", event.attempt.answer);
  if (!event.command.key.empty())
    out["command"] = {{"key", event.command.key}, {"request", event.command.request}};
  return out;
}

}  // namespace

EventRecord encode(const Event& event, Sequence sequence) {
  return {sequence, std::string(type_name(event)), path_of(event), json_text(data_of(event)),
          event.at};
}

}  // namespace backstitch::engine

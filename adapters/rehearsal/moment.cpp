/// What an event says, in words.
#include <algorithm>

#include <backstitch/base/time.hpp>
#include <backstitch/rehearsal/report.hpp>

namespace backstitch::rehearsal {
namespace {

constexpr std::size_t value_chars_max = 100;

std::string text_in(const Json& data, const char* member) {
  const auto found = data.find(member);
  return found != data.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::string value_in(const Json& data, const char* member) {
  const auto found = data.find(member);
  if (found == data.end() || found->is_null() || (found->is_object() && found->empty())) return {};
  std::string text = found->dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= value_chars_max) return text;
  std::size_t end = value_chars_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text += "…";
}

std::string number_in(const Json& data, const char* member) {
  const auto found = data.find(member);
  return found != data.end() && found->is_number_integer()
             ? std::to_string(found->get<std::int64_t>())
             : std::string{"0"};
}

/// Between an event and a time that is in it.
std::string until(const Moment& moment, const char* member) {
  const auto found = moment.data.find(member);
  if (found == moment.data.end() || !found->is_number_integer()) return {};
  return backstitch::to_text(TimePoint{Duration{found->get<std::int64_t>()}} - moment.at);
}

std::string with(const std::string& word, const std::string& rest, const char* between = " ") {
  return rest.empty() ? word : word + between + rest;
}

std::string request_in(const Json& data, const char* member) {
  const auto request = data.find(member);
  if (request == data.end() || !request->is_object()) return {};
  const std::string method = text_in(*request, "method");
  return (method.empty() ? "" : method + " ") + text_in(*request, "target") + " to " +
         text_in(*request, "service");
}

std::string failure_in(const Json& data) {
  const auto failure = data.find("failure");
  if (failure == data.end() || !failure->is_object()) return {};
  return with(text_in(*failure, "code"), text_in(*failure, "message"), ", ");
}

std::string attempt_in(const Json& data) {
  const std::string phase = text_in(data, "phase");
  const std::string word = phase == "compensate" ? "undo" : phase == "forward" ? "" : phase;
  return with(word, "attempt " + number_in(data, "attempt"), word.empty() ? "" : " ");
}

std::string failed_attempt(const Moment& moment) {
  std::string text = with(attempt_in(moment.data) + " " + text_in(moment.data, "outcome"),
                          failure_in(moment.data), ": ");
  if (const auto wait = until(moment, "retryAt"); !wait.empty()) text += "; again in " + wait;
  return text;
}

std::string waiting(const Moment& moment) {
  std::string text = with("waits", until(moment, "until"), ", at most ");
  const Duration every{moment.data.value("pollEveryMs", std::int64_t{0})};
  if (every.count() > 0) text += "; asks every " + backstitch::to_text(every);
  return text;
}

std::string block(const Json& data) {
  const auto items = data.find("items");
  if (items == data.end() || !items->is_array()) return "begins";
  return "begins, " + std::to_string(items->size()) + (items->size() == 1 ? " item" : " items");
}

std::string child_in(const Json& data) {
  const auto child = data.find("child");
  return child == data.end() ? std::string{} : text_in(*child, "definition");
}

std::string step_text(const Moment& moment) {
  const Json& data = moment.data;
  const std::string& type = moment.type;
  if (type == "StepScheduled") return request_in(data, "request");
  if (type == "ChildScheduled") return with("runs", child_in(data));
  if (type == "ChildStopped") return "its saga is asked to stop";
  if (type == "BlockStarted") return block(data);
  if (type == "IterationEnded")
    return with("[" + number_in(data, "index") + "] ends", value_in(data, "output"));
  if (type == "TryFailed") return with("fails and is undone", failure_in(data), ": ");
  if (type == "CatchStarted") return "catch " + number_in(data, "index") + " begins";
  if (type == "CatchPassedOver")
    return "catch " + number_in(data, "index") + " does not match: " + text_in(data, "message");
  if (type == "StepWaiting") return waiting(moment);
  if (type == "SignalConsumed") return "takes the signal";
  if (type == "SignalDropped") return "turns a kept signal away: " + text_in(data, "reason");
  if (type == "CallbackReceived") return "is called back";
  if (type == "CallbackRefused") return "is called back too late";
  if (type == "QuietPeriodEnded") return "its quiet period is over";
  if (type == "StepSkipped") return "skipped";
  if (type == "AttemptStarted") return attempt_in(data);
  if (type == "AttemptFailed") return failed_attempt(moment);
  if (type == "StepSucceeded") {
    const std::string failure = failure_in(data);
    return failure.empty() ? with("succeeded", value_in(data, "output"))
                           : "took effect, but fails: " + failure;
  }
  if (type == "StepFailed") return with("failed", failure_in(data), ": ");
  if (type == "StepUnknown") return with("unknown", failure_in(data), ": ");
  if (type == "ProbeScheduled") return "asks " + request_in(data, "request");
  if (type == "StepCompensationScheduled") return "undo " + request_in(data, "request");
  if (type == "ChildUndoScheduled") return "its saga is asked to undo what it did";
  if (type == "StepCompensated") return "undone";
  if (type == "StepCompensationFailed") return with("not undone", failure_in(data), ": ");
  if (type == "StepCompensationSkipped") return with("not undone", text_in(data, "reason"), ": ");
  return type;
}

}  // namespace

std::string to_text(const Moment& moment) {
  const Json& data = moment.data;
  const std::string& type = moment.type;
  if (type == "SagaStarted")
    return text_in(data, "definition") + " v" + number_in(data, "version") + " starts";
  if (type == "SignalReceived")
    return with("signal " + text_in(data, "name"), value_in(data, "payload"));
  if (type == "CompensationStarted") return with("is undone", failure_in(data), ": ");
  if (type == "HandlersStarted") return text_in(data, "handler") + " begins";
  if (type == "CancelRequested") return with("cancelled", text_in(data, "reason"));
  if (type == "DeadlinePassed") return "its timeout passes";
  if (type == "SagaSuspended") {
    return with("suspended: " + text_in(data, "reason"), text_in(data, "message"), ", ");
  }
  if (type == "OperatorActed")
    return with("operator: " + text_in(data, "action"), text_in(data, "resolution"), " as ");
  if (type == "Resumed") return "is taken over";
  if (type == "SagaReopened") return with("is undone after all", failure_in(data), ": ");
  if (type == "SagaEnded") return with(text_in(data, "status"), value_in(data, "output"));
  if (type == "Refused")
    return "refused: " + text_in(data, "what") + ": " + text_in(data, "message");
  // A failure for that reason says so itself.
  const std::string said = step_text(moment);
  const std::string why = text_in(data, "unreadable");
  return said.find(why) != std::string::npos
             ? said
             : with(said, why, "; the answer's body is unreadable: ");
}

}  // namespace backstitch::rehearsal

#include "timeline.hpp"

#include <optional>

#include <backstitch/base/time.hpp>

#include "member_text.hpp"
#include "situation_text.hpp"

namespace backstitch::app {
namespace {

constexpr std::size_t value_chars_max = 100;

std::optional<TimePoint> time_of(const Json& json, const char* member) {
  return parse_rfc3339(text_of(json, member));
}

std::string span(std::optional<TimePoint> from, std::optional<TimePoint> to) {
  return from && to ? to_text(*to - *from) : std::string{};
}

std::string short_value(const Json& value) {
  return shortened(visible(value.dump(-1, ' ', false, Json::error_handler_t::replace)),
                   value_chars_max);
}

struct StatusMark {
  const char* sign;
  Style style;
};

StatusMark status_mark(const std::string& status) {
  if (status == "succeeded") return {"✔", Style::good};
  if (status == "failed" || status == "compensation-failed") return {"✘", Style::bad};
  if (status == "suspended") return {"!", Style::bad};
  if (status == "unknown") return {"?", Style::warn};
  if (status == "running" || status == "waiting" || status == "compensating")
    return {"▸", Style::accent};
  if (status == "compensated") return {"↩", Style::warn};
  return {"·", Style::dim};
}

std::string attempts_text(const Json& json) {
  const auto attempts = json.value("attempts", 0);
  if (attempts == 0) return "";
  return std::to_string(attempts) + (attempts == 1 ? " attempt" : " attempts");
}

std::string failure_text(const Json& failure) {
  std::string text = text_of(failure, "code");
  if (const auto message = text_of(failure, "message"); !message.empty()) text += ": " + message;
  return text;
}

struct Column {
  std::string name, status, attempts, start, took;
};

std::string row(const StatusMark& mark, const Column& column, const Terminal& terminal) {
  return "  " + terminal.paint(mark.style, mark.sign) + " " + padded(column.name, 28) + " " +
         terminal.paint(mark.style, padded(column.status, 20)) + " " + padded(column.attempts, 12) +
         " " + terminal.paint(Style::dim, padded(column.start, 10) + " " + column.took) + "\n";
}

std::string offset(std::optional<TimePoint> origin, std::optional<TimePoint> time) {
  return origin && time ? "+" + to_text(*time - *origin) : std::string{};
}

std::string step_lines(const Json& step, std::optional<TimePoint> origin,
                       const Terminal& terminal) {
  const bool suspended = !text_of(step, "suspended").empty();
  const std::string status = suspended ? "suspended" : text_of(step, "status");
  const std::string path = text_of(step, "path");
  std::string name = path.empty() ? text_of(step, "name") : path;
  if (text_of(step, "kind") == "pivot") name += " (pivot)";
  std::string lines =
      row(status_mark(status),
          {name, status, attempts_text(step), offset(origin, time_of(step, "startedAt")),
           span(time_of(step, "startedAt"), time_of(step, "endedAt"))},
          terminal);
  if (step.contains("failure") && step["failure"].is_object()) {
    lines += "      " + terminal.paint(Style::bad, failure_text(step["failure"])) + "\n";
  } else if (step.contains("output") && !step["output"].is_null()) {
    lines += "      " + terminal.paint(Style::dim, short_value(step["output"])) + "\n";
  }
  return lines;
}

/// Undo in the order it ran, below the forward steps.
std::string undo_lines(const Json& saga, std::optional<TimePoint> origin,
                       const Terminal& terminal) {
  std::string lines;
  const auto& steps = saga["steps"];
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const auto undo = step->find("compensation");
    if (undo == step->end() || !undo->is_object()) continue;
    const bool suspended = text_of(*step, "suspended") == "compensate";
    const std::string status = suspended ? "suspended" : text_of(*undo, "status");
    if (status.empty() || status == "pending") continue;
    lines += row(status_mark(status),
                 {"undo " + text_of(*step, "name"), status, attempts_text(*undo),
                  offset(origin, time_of(*undo, "startedAt")),
                  span(time_of(*undo, "startedAt"), time_of(*undo, "endedAt"))},
                 terminal);
    if (undo->contains("failure") && (*undo)["failure"].is_object()) {
      lines += "      " + terminal.paint(Style::bad, failure_text((*undo)["failure"])) + "\n";
    }
  }
  return lines.empty() ? lines : "  " + terminal.paint(Style::dim, "undo") + "\n" + lines;
}

std::string head(const Json& saga, const Terminal& terminal) {
  const std::string status = text_of(saga, "status");
  std::string line = terminal.paint(Style::bold, text_of(saga, "definition")) + " v" +
                     std::to_string(saga.value("version", 0)) + "  " + text_of(saga, "id") + "  " +
                     terminal.paint(style_of_status(status), status);
  if (const auto took = span(time_of(saga, "startedAt"), time_of(saga, "endedAt")); !took.empty()) {
    line += "  " + terminal.paint(Style::dim, "in " + took);
  }
  line += "\n";
  if (const auto key = text_of(saga, "businessKey"); !key.empty()) {
    line += "  " + terminal.paint(Style::dim, "business key " + key) + "\n";
  }
  return line;
}

}  // namespace

Style style_of_status(const std::string& status) {
  if (status == "COMPLETED") return Style::good;
  if (status == "FAILED") return Style::warn;
  if (status == "FAILED_INCOMPLETE" || status == "SUSPENDED") return Style::bad;
  return Style::accent;
}

std::string timeline(const Json& saga, const Terminal& terminal) {
  const auto origin = time_of(saga, "startedAt");
  std::string text = head(saga, terminal);
  for (const auto& step : saga.value("steps", Json::array()))
    text += step_lines(step, origin, terminal);
  if (saga.contains("steps")) text += undo_lines(saga, origin, terminal);
  if (saga.contains("suspension") && saga["suspension"].is_object()) {
    const auto& suspension = saga["suspension"];
    text += "  " + terminal.paint(Style::bad, "suspended: " + text_of(suspension, "reason")) +
            "  " + text_of(suspension, "message") + "\n";
  }
  if (saga.contains("failure") && saga["failure"].is_object()) {
    text +=
        "  " + terminal.paint(Style::bad, "failure") + "  " + failure_text(saga["failure"]) + "\n";
  }
  if (saga.contains("output") && !saga["output"].is_null()) {
    text +=
        "  " + terminal.paint(Style::good, "output") + "  " + short_value(saga["output"]) + "\n";
  }
  return text + situation_text(saga, terminal);
}

std::string summary_line(const Json& saga, const Terminal& terminal) {
  const std::string status = text_of(saga, "status");
  std::string line =
      text_of(saga, "id") + "  " + terminal.paint(style_of_status(status), padded(status, 18)) +
      padded(text_of(saga, "definition") + " v" + std::to_string(saga.value("version", 0)), 28) +
      " " + text_of(saga, "startedAt");
  if (const auto key = text_of(saga, "businessKey"); !key.empty()) line += "  " + key;
  if (saga.contains("failure") && saga["failure"].is_object()) {
    line += "  " + terminal.paint(Style::bad, text_of(saga["failure"], "code"));
  }
  return line + "\n";
}

std::string event_line(const Json& event, const Terminal& terminal) {
  std::string line =
      terminal.paint(Style::dim,
                     padded(std::to_string(event.value("sequence", 0)), 5) + text_of(event, "at")) +
      "  " + padded(text_of(event, "type"), 26) + " " + padded(text_of(event, "path"), 20);
  const auto data = event.find("data");
  if (data != event.end() && data->is_object() && !data->empty()) {
    line += " " + terminal.paint(Style::dim, short_value(*data));
  }
  return line + "\n";
}

}  // namespace backstitch::app

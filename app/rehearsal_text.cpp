#include "rehearsal_text.hpp"
#include "member_text.hpp"

#include <algorithm>
#include <vector>

#include "timeline.hpp"

namespace backstitch::app {
namespace {

using rehearsal::LedgerEntry;
using rehearsal::Moment;

constexpr std::size_t label_width = 30;
constexpr std::size_t attempts_shown_first = 5;
constexpr std::size_t attempts_shown_last = 2;

struct EventMark {
  const char* type;
  const char* sign;
  Style style;
};
/// Types that are not here are passing: a dot.
constexpr EventMark event_marks[] = {
    {"StepScheduled", "▸", Style::accent},
    {"ChildScheduled", "▸", Style::accent},
    {"BlockStarted", "▸", Style::accent},
    {"AttemptStarted", "▸", Style::accent},
    {"ProbeScheduled", "▸", Style::accent},
    {"StepSucceeded", "✔", Style::good},
    {"AttemptFailed", "!", Style::warn},
    {"StepFailed", "✘", Style::bad},
    {"TryFailed", "✘", Style::bad},
    {"StepUnknown", "?", Style::warn},
    {"CompensationStarted", "↩", Style::warn},
    {"SagaReopened", "↩", Style::warn},
    {"StepCompensationScheduled", "↩", Style::warn},
    {"ChildUndoScheduled", "↩", Style::warn},
    {"StepCompensated", "✔", Style::good},
    {"StepCompensationFailed", "✘", Style::bad},
    {"CallbackRefused", "!", Style::warn},
    {"CancelRequested", "!", Style::warn},
    {"DeadlinePassed", "!", Style::warn},
    {"Refused", "✘", Style::bad},
    {"SagaSuspended", "■", Style::bad},
    {"SagaStarted", "▸", Style::bold},
    {"SagaEnded", "■", Style::bold},
};

EventMark event_mark(const std::string& type) {
  const auto found = std::find_if(std::begin(event_marks), std::end(event_marks),
                                  [&](const EventMark& mark) { return type == mark.type; });
  return found == std::end(event_marks) ? EventMark{"", "·", Style::dim} : *found;
}

std::string offset_of(const Duration& offset) {
  return "+" + backstitch::to_text(offset);
}

std::string line(const Moment& moment, std::size_t offset_width, const Terminal& terminal) {
  const EventMark mark = event_mark(moment.type);
  const std::string indent(2 * moment.depth, ' ');
  std::string text = to_text(moment);
  // What concerns the saga as a whole has no step to name.
  if (!moment.label.empty())
    text = padded(moment.label, label_width - std::min(label_width, indent.size())) + " " + text;
  return "  " + terminal.paint(Style::dim, padded(offset_of(moment.offset), offset_width)) +
         indent + terminal.paint(mark.style, mark.sign) + " " +
         (mark.style == Style::good || mark.style == Style::accent
              ? text
              : terminal.paint(mark.style, text)) +
         "\n";
}

bool is_attempt(const Moment& moment) {
  return moment.type == "AttemptStarted" || moment.type == "AttemptFailed";
}

/// Three days of retries are two lines an attempt: of a long row only its ends are shown.
std::string timeline_text(const std::vector<Moment>& timeline, const Terminal& terminal) {
  std::size_t offset_width = 0;
  for (const auto& moment : timeline)
    offset_width = std::max(offset_width, offset_of(moment.offset).size() + 2);
  std::string text;
  for (std::size_t i = 0; i < timeline.size();) {
    const Moment& first = timeline[i];
    std::size_t end = i + 1;
    while (is_attempt(first) && end < timeline.size() && is_attempt(timeline[end]) &&
           timeline[end].path == first.path && timeline[end].saga == first.saga)
      ++end;
    // A line that says that nothing is left out would be one line more.
    const bool is_long = end - i > attempts_shown_first + attempts_shown_last + 3;
    const std::size_t head_end = is_long ? i + attempts_shown_first : end;
    const std::size_t tail_begin = is_long ? end - attempts_shown_last : end;
    for (std::size_t at = i; at < head_end; ++at)
      text += line(timeline[at], offset_width, terminal);
    if (is_long) {
      text += std::string(2 + offset_width + 2 * first.depth, ' ') +
              terminal.paint(Style::dim, "… " + std::to_string((tail_begin - head_end) / 2) +
                                             " more attempts") +
              "\n";
    }
    for (std::size_t at = tail_begin; at < end; ++at)
      text += line(timeline[at], offset_width, terminal);
    i = end;
  }
  return text;
}

std::string shown(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string coded(const Json& reason, const char* member) {
  std::string text = reason.value(member, "");
  const Json step = reason.value("step", Json());
  if (step.is_string() && !step.get_ref<const std::string&>().empty())
    text += " at " + step.get<std::string>();
  if (const auto message = text_of(reason, "message"); !message.empty()) text += ": " + message;
  return text;
}

std::string ending(const rehearsal::Report& report, const Terminal& terminal) {
  std::string text = "  " + terminal.paint(style_of_status(report.status), report.status) + "  " +
                     terminal.paint(Style::dim, "after " + backstitch::to_text(report.took)) + "\n";
  if (report.suspension.is_object()) {
    text += "  " + terminal.paint(Style::bad, "suspended") + "  " +
            coded(report.suspension, "reason") + "\n";
  }
  if (report.failure.is_object())
    text +=
        "  " + terminal.paint(Style::bad, "failure") + "  " + coded(report.failure, "code") + "\n";
  if (!report.output.is_null())
    text += "  " + terminal.paint(Style::good, "output") + "  " + shown(report.output) + "\n";
  return text;
}

struct Cells {
  std::string what;
  Style style = Style::plain;
};

Cells cells_of(const LedgerEntry& entry) {
  const auto at = [](const std::optional<Duration>& time) {
    return time ? " " + offset_of(*time) : std::string{};
  };
  switch (entry.standing) {
    case rehearsal::Standing::accepted:
      return {"accepted, not done", Style::warn};
    case rehearsal::Standing::exists:
      return {"exists since" + at(entry.done), Style::good};
    case rehearsal::Standing::undone:
      return {"undone" + at(entry.undone), Style::dim};
    case rehearsal::Standing::closed:
      return {"never done, refused since" + at(entry.undone), Style::dim};
  }
  return {};
}

std::string ledger_text(const rehearsal::Report& report, const Terminal& terminal) {
  std::vector<std::string> services;
  for (const auto& entry : report.ledger) {
    if (std::find(services.begin(), services.end(), entry.service) == services.end())
      services.push_back(entry.service);
  }
  if (services.empty()) return "  no participant was left with anything\n";
  std::size_t path_width = 0;
  std::size_t what_width = 0;
  for (const auto& entry : report.ledger) {
    path_width = std::max(path_width, entry.path.size());
    what_width = std::max(what_width, cells_of(entry).what.size());
  }
  std::string text;
  for (const auto& service : services) {
    text += "  " + terminal.paint(Style::bold, service) + "\n";
    for (const auto& entry : report.ledger) {
      if (entry.service != service) continue;
      const Cells cells = cells_of(entry);
      text += "    " + padded(entry.path, path_width) + "  " +
              terminal.paint(cells.style, padded(cells.what, what_width)) + "  " + entry.request;
      if (entry.calls > 1)
        text += terminal.paint(Style::dim, "  " + std::to_string(entry.calls) + " calls");
      text += "\n";
    }
  }
  return text;
}

}  // namespace

std::string rehearsal_text(const rehearsal::Report& report, const Terminal& terminal) {
  return timeline_text(report.timeline, terminal) + "\n" + ending(report, terminal) + "\n" +
         ledger_text(report, terminal);
}

}  // namespace backstitch::app

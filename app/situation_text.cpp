#include "situation_text.hpp"

#include <algorithm>

#include "member_text.hpp"

namespace backstitch::app {
namespace {

constexpr std::size_t commands_shown_max = 12;
constexpr std::size_t label_columns = 14;

std::string labelled(const Terminal& terminal, const char* label, const std::string& text) {
  if (text.empty()) return {};
  return "  " + terminal.paint(Style::dim, padded(label, label_columns)) + text + "\n";
}

/// As a shell takes it for one word: the path of an iteration has brackets.
std::string shell_word(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./").find(c) != std::string_view::npos;
  });
  return plain ? text : "'" + text + "'";
}

std::string command_line(const std::string& saga, const Json& action) {
  const std::string name = text_of(action, "action");
  std::string line = "backstitch " + name + " " + saga;
  if (const auto signal = text_of(action, "signal"); !signal.empty()) {
    line += " " + shell_word(signal);
  } else if (const auto step = text_of(action, "step"); !step.empty()) {
    line += " " + shell_word(step);
  }
  if (const auto as = text_of(action, "as"); !as.empty()) line += " --as " + as;
  if (const auto needs = text_of(action, "needs"); !needs.empty()) line += " --" + needs + " FILE";
  return line;
}

std::string commands_text(const Json& saga, const Terminal& terminal) {
  const Json actions = saga.value("actions", Json::array());
  std::string text;
  std::size_t shown = 0;
  for (const auto& action : actions) {
    if (shown == commands_shown_max) break;
    const char* label = shown++ == 0 ? "you can" : "";
    text += labelled(terminal, label,
                     command_line(text_of(saga, "id"), action) + "  " +
                         terminal.paint(Style::dim, "# " + text_of(action, "does")));
  }
  if (actions.size() > shown)
    text += labelled(terminal, "",
                     "and " + std::to_string(actions.size() - shown) + " more; see --json");
  return text;
}

std::string participant_text(const Json& why, const Terminal& terminal) {
  const auto participant = why.find("participant");
  if (participant == why.end() || !participant->is_object()) return {};
  const std::string url = text_of(*participant, "url");
  const bool maybe = why.value("possiblyDone", false);
  return labelled(terminal, "ask",
                  (url.empty() ? "the participant" : url) + " about key " +
                      text_of(*participant, "key")) +
         labelled(terminal, "",
                  std::string("the request with this key ") + (maybe ? "may have" : "has not") +
                      " taken effect");
}

std::string answer_text(const Json& why, const Terminal& terminal) {
  const auto answer = why.find("lastAnswer");
  if (answer == why.end() || !answer->is_object()) return {};
  const std::string message = text_of(*answer, "message");
  return labelled(terminal, "last answer",
                  text_of(*answer, "code") + (message.empty() ? "" : ": " + message));
}

std::string why_text(const Json& why, const Terminal& terminal) {
  const bool retries = text_of(why, "code") == "retry-scheduled";
  return labelled(terminal, "why", text_of(why, "sentence")) +
         labelled(terminal, "since", text_of(why, "since")) +
         labelled(terminal, "next attempt", text_of(why, "nextAttemptAt")) +
         labelled(terminal, retries ? "gives up at" : "until", text_of(why, "until")) +
         participant_text(why, terminal) + answer_text(why, terminal);
}

/// What the saga waits for besides.
std::string others_text(const Json& saga, const std::string& step, const Terminal& terminal) {
  std::string text;
  for (const auto& one : saga.value("suspensions", Json::array())) {
    const std::string at = text_of(one, "step");
    if (at != step) text += labelled(terminal, "suspended at", at + ": " + text_of(one, "reason"));
  }
  const bool suspended = text_of(saga, "status") == "SUSPENDED";
  for (const auto& one : saga.value("awaits", Json::array())) {
    if (suspended || text_of(one, "step") == step) continue;
    const std::string until = text_of(one, "until");
    text += labelled(terminal, "also awaits",
                     text_of(one, "step") + ": " + text_of(one, "what") +
                         (until.empty() ? "" : ", until " + until));
  }
  return text;
}

std::string acted_text(const Json& saga, const Terminal& terminal) {
  std::string text;
  for (const auto& one : saga.value("acted", Json::array())) {
    std::string line = text_of(one, "at") + "  " + text_of(one, "action");
    if (const auto step = text_of(one, "step"); !step.empty()) line += " " + step;
    if (const auto as = text_of(one, "as"); !as.empty()) line += " as " + as;
    line += " by " + text_of(one, "by");
    if (const auto reason = text_of(one, "reason"); !reason.empty()) line += ": " + reason;
    text += labelled(terminal, text.empty() ? "acted" : "", line);
  }
  return text;
}

}  // namespace

std::string situation_text(const Json& saga, const Terminal& terminal) {
  const Json why = saga.value("why", Json());
  if (!why.is_object()) return acted_text(saga, terminal);
  return why_text(why, terminal) + others_text(saga, text_of(why, "step"), terminal) +
         acted_text(saga, terminal) + commands_text(saga, terminal);
}

}  // namespace backstitch::app

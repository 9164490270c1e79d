#include "faults.hpp"

#include <algorithm>
#include <charconv>

namespace backstitch::rehearsal {
namespace {

constexpr int refused_status = 422;
constexpr int unseen_status = 404;

const std::pair<const char*, Trouble> troubles[] = {{"refuse", Trouble::refuse},
                                                    {"transient", Trouble::transient},
                                                    {"unknown-done", Trouble::unknown_done},
                                                    {"unknown-lost", Trouble::unknown_lost},
                                                    {"down", Trouble::down},
                                                    {"unanswered", Trouble::unanswered},
                                                    {"empty-body", Trouble::empty_body},
                                                    {"html-body", Trouble::html_body}};
const std::pair<const char*, Target> targets[] = {
    {"undo", Target::undo}, {"probe", Target::probe}, {"poll", Target::poll}};

Error invalid(std::string_view text, const std::string& why) {
  return {ErrorCode::invalid, "fault-invalid", "`" + std::string(text) + "`: " + why};
}

std::optional<int> number_in(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// What to answer so that this rule matches.
engine::CallResult matching(const dsl::OutcomeRule& rule, const Json& body) {
  if (rule.transport) {
    const bool sent = *rule.transport != dsl::Transport::dns &&
                      *rule.transport != dsl::Transport::connect &&
                      *rule.transport != dsl::Transport::tls;
    return engine::TransportError{*rule.transport, sent, "as rehearsed"};
  }
  const int status = rule.status.empty() ? 200 : rule.status.front().first;
  return engine::Response{status, {}, rule.when ? Answers::of_rule(rule, 1) : body};
}

/// Codes that the engine makes of a status, and the status itself.
std::optional<int> status_in(const std::string& code) {
  constexpr std::string_view made = "HTTP_";
  const auto status =
      number_in(code.starts_with(made) ? std::string_view(code).substr(made.size()) : code);
  return status && *status >= 100 && *status <= 599 ? status : std::nullopt;
}

std::string names_of(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

const char* to_text(Target target) {
  for (const auto& [text, one] : targets) {
    if (one == target) return text;
  }
  return "action";
}

}  // namespace

Result<Fault> parse_fault(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos)
    return invalid(text, "a fault is STEP=WHAT, for example charge=refuse");
  Fault fault;
  fault.step = text.substr(0, equals);
  for (const auto& [word, target] : targets) {
    const std::string suffix = std::string("/") + word;
    if (!fault.step.ends_with(suffix)) continue;
    fault.step.resize(fault.step.size() - suffix.size());
    fault.target = target;
    break;
  }
  std::string_view what = text.substr(equals + 1);
  if (const auto star = what.rfind('*'); star != std::string_view::npos) {
    const auto times = number_in(what.substr(star + 1));
    if (!times || *times < 1) return invalid(text, "after `*` stands how often, from 1");
    fault.times = static_cast<std::uint32_t>(*times);
    what = what.substr(0, star);
  }
  const auto colon = what.find(':');
  const std::string_view word = what.substr(0, colon);
  const auto found = std::find_if(std::begin(troubles), std::end(troubles),
                                  [&](const auto& one) { return word == one.first; });
  if (found == std::end(troubles)) {
    return invalid(text, "there is no `" + std::string(word) +
                             "`; there are refuse[:CODE], transient, unknown-done, unknown-lost, "
                             "down[:TIME], unanswered, empty-body and html-body");
  }
  fault.trouble = found->second;
  if (colon == std::string_view::npos) return fault;
  const std::string_view argument = what.substr(colon + 1);
  if (fault.trouble == Trouble::refuse && !argument.empty()) {
    fault.code = argument;
  } else if (fault.trouble == Trouble::down) {
    fault.lasts = parse_duration(argument);
    if (!fault.lasts) return invalid(text, "after `down:` stands a duration like 30s");
  } else {
    return invalid(text, "`" + std::string(word) + "` takes nothing after a colon");
  }
  return fault;
}

bool has_target(const dsl::Step& step, Target target) {
  const auto* action = std::get_if<dsl::Action>(&step.body);
  switch (target) {
    case Target::action:
      return action != nullptr;
    case Target::undo:
      return std::holds_alternative<dsl::Compensation>(step.undo);
    case Target::probe:
      return action != nullptr && action->probe.has_value();
    case Target::poll:
      return action != nullptr && action->completion && action->completion->poll;
  }
  return false;
}

Rules rules_of(const Answers& answers, const dsl::Definition& definition, const dsl::Step& step,
               Target target) {
  const auto* action = std::get_if<dsl::Action>(&step.body);
  const std::string own = action != nullptr ? action->request.service : std::string{};
  Rules rules;
  const auto add = [&](const std::vector<dsl::OutcomeRule>& list) {
    for (const auto& rule : list) rules.push_back(&rule);
  };
  // A service's rules are written for actions: they give no probe, poll or undo an answer.
  if (target == Target::undo) add(std::get<dsl::Compensation>(step.undo).outcomes);
  if (target == Target::probe) add(action->probe->outcomes);
  if (target == Target::poll) add(action->completion->poll->outcomes);
  if (target == Target::action) return answers.rules_of(definition, own, action->outcomes);
  return rules;
}

std::optional<engine::CallResult> refusal(const Rules& rules, Target target,
                                          const std::string& code) {
  const auto fails = [](const dsl::OutcomeRule* rule) {
    return rule->is == dsl::OutcomeClass::failure;
  };
  const dsl::OutcomeRule* found = nullptr;
  for (const auto* rule : rules) {
    if (!fails(rule) || (!code.empty() && rule->code != code)) continue;
    // A plain status is what a participant most likely says.
    if (found == nullptr || (found->when && !rule->when)) found = rule;
  }
  if (found != nullptr) {
    return matching(*found, {{"error", found->code.empty() ? "refused" : found->code}});
  }
  std::optional<int> status;
  if (code.empty())
    status = target == Target::probe ? unseen_status : refused_status;
  else
    status = status_in(code);
  if (!status) return std::nullopt;
  return engine::Response{*status, {}, {{"error", "refused"}}};
}

bool names_path(const std::string& named, const std::string& path) {
  return path == named || path.ends_with("/" + named);
}

std::string name_in(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

namespace {

Result<Done> check_fault(const Fault& fault, const Definitions& definitions,
                         const Answers& answers) {
  const std::string name = name_in(fault.step);
  bool known = false;
  bool can_meet = false;
  std::vector<std::string> codes;
  for (const auto& definition : definitions) {
    const dsl::Step* step = dsl::find_step(*definition, name);
    known = known || step != nullptr;
    if (step == nullptr || !has_target(*step, fault.target)) continue;
    const Rules rules = rules_of(answers, *definition, *step, fault.target);
    const auto* action = std::get_if<dsl::Action>(&step->body);
    if (fault.trouble == Trouble::unanswered && (action == nullptr || !action->completion))
      continue;
    can_meet = true;
    if (fault.trouble != Trouble::refuse || refusal(rules, fault.target, fault.code)) return Done{};
    for (const auto* rule : rules) {
      if (rule->is == dsl::OutcomeClass::failure && !rule->code.empty())
        codes.push_back(rule->code);
    }
  }
  if (!known) return Error{ErrorCode::invalid, "step-unknown", "There is no step `" + name + "`."};
  if (can_meet) {
    return invalid(fault.code, "no rule of `" + name + "` gives that code; there are " +
                                   names_of(codes) + ", and every HTTP status");
  }
  const std::string what =
      fault.trouble == Trouble::unanswered ? "completion" : to_text(fault.target);
  return invalid(fault.step, "the step has no " + what);
}

}  // namespace

Result<Done> check_faults(const Options& options, const Definitions& definitions,
                          const Answers& answers) {
  for (const auto& fault : options.faults) {
    if (auto checked = check_fault(fault, definitions, answers); !checked) return checked;
  }
  std::vector<std::string> named = options.cancel_at_steps;
  for (const auto& [step, answer] : options.answers) named.push_back(step);
  for (const auto& one : named) {
    const std::string name = name_in(one);
    const bool known = std::any_of(
        definitions.begin(), definitions.end(),
        [&](const auto& definition) { return dsl::find_step(*definition, name) != nullptr; });
    if (!known) return Error{ErrorCode::invalid, "step-unknown", "There is no step `" + one + "`."};
  }
  return Done{};
}

}  // namespace backstitch::rehearsal

/// Answers that would be taken for more than they say: what a router or a login page could answer,
/// refusals that will not be believed, and codes that are the engine's own.
#include <algorithm>
#include <string>

#include <backstitch/dsl/codes.hpp>

#include "walk.hpp"

namespace backstitch::dsl {
namespace {

constexpr const char* say_no_hint =
    "write a rule with a condition on the body or a header: { \"status\": 404, \"when\": "
    "\"${response.body.error == 'NOT_SEEN'}\", \"is\": \"failure\", \"code\": \"NOT_SEEN\" }";
constexpr const char* say_yes_hint =
    "add a rule that reads what only the participant answers: { \"status\": \"2xx\", \"when\": "
    "\"${response.body.state != 'DONE'}\", \"is\": \"unknown\" }";
constexpr const char* undone_hint =
    "add a condition on the body or a header: \"when\": \"${response.body.error == 'NOT_FOUND'}\"";

constexpr const char* relies_hint =
    "give the compensation a rule of its own, with a condition on the body or a header";

constexpr const char* engines_code_hint =
    "choose another one; naming it in `catch` and `except` is allowed";

std::string engines_code(const std::string& code) {
  return "`" + code + "` is a code of the engine";
}

std::string relies_message(const std::string& step) {
  return "the compensation of `" + step +
         "` has no rule for what the service's rules call a success; a service's success does not "
         "reach compensations";
}

/// What rules see of a page that somebody other than the participant answered.
class PageScope : public Scope {
 public:
  explicit PageScope(int status)
      : response_{{"status", status},
                  {"headers", Json::object()},
                  {"body", "<!doctype html>"},
                  {"unreadable", true},
                  {"from", "unmarked"}} {}
  const Json* find(std::string_view name) const override {
    return name == "response" ? &response_ : nullptr;
  }
  const Json* step(std::string_view) const override { return nullptr; }
  const Json* step_output(std::string_view) const override { return nullptr; }

 private:
  Json response_;
};

bool covers(const OutcomeRule& rule, int status) {
  if (rule.transport) return false;
  return rule.status.empty() ||
         std::any_of(rule.status.begin(), rule.status.end(), [&](const StatusRange& range) {
           return range.first <= status && status <= range.last;
         });
}

enum class PageMatch { no, yes, perhaps };

/// Whether the rule matches a page with that status.
PageMatch match_page(const OutcomeRule& rule, int status) {
  if (!covers(rule, status)) return PageMatch::no;
  if (!rule.when) return PageMatch::yes;
  Budget budget;
  const auto holds = rule.when->evaluate_condition(PageScope(status), budget);
  if (!holds) return PageMatch::perhaps;
  return *holds ? PageMatch::yes : PageMatch::no;
}

/// A status that the rule is about; 404 if it is about all.
int status_of(const OutcomeRule& rule) {
  return rule.status.empty() || covers(rule, 404) ? 404 : rule.status.front().first;
}

bool has_failure_rule(const std::vector<OutcomeRule>& rules) {
  return std::any_of(rules.begin(), rules.end(),
                     [](const auto& rule) { return rule.is == OutcomeClass::failure; });
}

/// Of a list, the statuses named one by one are believed; a range counts as the table does; see the
/// participant contract.
bool has_believed_rule(const std::vector<OutcomeRule>& rules) {
  return std::any_of(rules.begin(), rules.end(), [](const OutcomeRule& rule) {
    const bool single = std::any_of(rule.status.begin(), rule.status.end(),
                                    [](const auto& range) { return range.first == range.last; });
    return rule.is == OutcomeClass::failure && (rule.when || single);
  });
}

/// Whether the service's rules call something a success that is none for the compensation, and
/// that the compensation's own rules say nothing about.
bool relies_on_success_rule(const Compensation& undo, const Service& service) {
  const auto is_left = [&](const OutcomeRule& rule, int status) {
    return covers(rule, status) &&
           std::none_of(undo.outcomes.begin(), undo.outcomes.end(),
                        [&](const auto& own) { return covers(own, status); });
  };
  return std::any_of(service.outcomes.begin(), service.outcomes.end(), [&](const auto& rule) {
    if (rule.is != OutcomeClass::success) return false;
    for (int status = 300; status < 600; ++status) {
      if (is_left(rule, status)) return true;
    }
    return false;
  });
}

class AnswerRules {
 public:
  explicit AnswerRules(const Check& check) : check_(check) {}

  void run() {
    for (const auto& [name, service] : check_.definition.services) codes(service.outcomes);
    for_each_step(check_.definition, [&](const Step& step) { one(step); });
  }

 private:
  void one(const Step& step) {
    for (const auto& use : requests_of(step)) codes(*use.outcomes);
    if (const auto* fail = std::get_if<Fail>(&step.body))
      code(fail->code, step.pointer + "/fail/code");
    const auto* action = std::get_if<Action>(&step.body);
    if (action != nullptr) of_action(step, *action);
    if (const auto* undo = std::get_if<Compensation>(&step.undo)) {
      const std::string own = action != nullptr ? action->request.service : std::string{};
      of_undo(step, *undo, undo->request.service.empty() ? own : undo->request.service);
    }
  }

  void codes(const std::vector<OutcomeRule>& rules) {
    for (const auto& rule : rules) code(rule.code, rule.pointer + "/code");
  }

  void code(const std::string& code, const std::string& pointer) {
    if (is_engine_code(code)) check_.error("E307", pointer, engines_code(code), engines_code_hint);
  }

  void of_action(const Step& step, const Action& action) {
    const Service* service = check_.service(action.request.service);
    const bool known = service != nullptr && !check_.unread.below(step.pointer);
    if (step.kind == StepKind::pivot && !action.probe && known &&
        !has_believed_rule(action.outcomes) && !has_believed_rule(service->outcomes)) {
      const bool by_key = service->idempotency == Idempotency::key;
      check_.warning("W305", step.pointer,
                     "the pivot `" + step.name +
                         "` has neither a probe nor a failure rule for a single status: after an "
                         "attempt of unknown outcome no refusal" +
                         (by_key ? " but 402 and 422" : "") + " is believed",
                     "add a probe, or a rule for each status with which the participant refuses");
    }
    if (step.kind == StepKind::pivot && known && !service->local && !service->answers.any()) {
      check_.info("I301", step.pointer,
                  "the service of the pivot `" + step.name +
                      "` does not say how its answers are told from those of a gateway: a refusal "
                      "or a success of the gateway's counts as the participant's",
                  "have the participant mark its answers, and write \"answers\": {\"echo\": "
                  "\"Saga-Echo\"} into the service");
    }
    if (action.probe && !check_.unread.below(step.pointer + "/probe"))
      of_probe(step, *action.probe);
  }

  void of_probe(const Step& step, const Probe& probe) {
    const std::string pointer = step.pointer + "/probe";
    const auto* own = std::get_if<Action>(&step.body);
    const std::string& name =
        probe.request.service.empty() ? own->request.service : probe.request.service;
    if (says_yes(probe, check_.service(name))) {
      check_.warning("W306", pointer,
                     "any page with status 200 tells the probe of `" + step.name +
                         "` that the step was done; a login page would, too",
                     say_yes_hint);
    }
    if (!probe.sealed) return;
    if (!has_failure_rule(probe.outcomes)) {
      check_.warning("W306", pointer,
                     "a bare 404 or 410 tells the sealed probe of `" + step.name +
                         "` that the step was not done; a router answers the same",
                     say_no_hint);
    }
    for (const auto& rule : probe.outcomes) {
      if (rule.is != OutcomeClass::failure || rule.transport ||
          match_page(rule, status_of(rule)) != PageMatch::yes)
        continue;
      check_.warning("W306", rule.pointer,
                     "the status alone tells the sealed probe of `" + step.name +
                         "` that the step was not done; a router may answer the same",
                     say_no_hint);
    }
  }

  /// Whether a page with status 200 means that the step was done.
  static bool says_yes(const Probe& probe, const Service* service) {
    for (const auto& rule : probe.outcomes) {
      const PageMatch match = match_page(rule, 200);
      if (match == PageMatch::yes) return rule.is == OutcomeClass::success;
      if (match == PageMatch::perhaps && rule.is != OutcomeClass::success) return false;
    }
    if (service == nullptr) return true;
    // A service's rule can only withhold the success.
    return std::none_of(service->outcomes.begin(), service->outcomes.end(), [](const auto& rule) {
      return rule.is != OutcomeClass::success && match_page(rule, 200) != PageMatch::no;
    });
  }

  void of_undo(const Step& step, const Compensation& undo, const std::string& name) {
    for (const auto& rule : undo.outcomes) {
      if (rule.is != OutcomeClass::success || match_page(rule, 404) != PageMatch::yes) continue;
      check_.warning("W306", rule.pointer,
                     "a bare 404 counts as the undo of `" + step.name +
                         "`; a router answers the same, and nothing would be undone",
                     undone_hint);
    }
    const Service* service = check_.service(name);
    if (service == nullptr || !relies_on_success_rule(undo, *service)) return;
    check_.warning("W307", step.pointer + "/compensation", relies_message(step.name), relies_hint);
  }

  const Check& check_;
};

}  // namespace

void check_answers(const Check& check) {
  AnswerRules(check).run();
}

std::vector<Finding> check_service_use(const Definition& definition, const std::string& name,
                                       const Service& service) {
  std::vector<Finding> findings;
  const auto uses = [&](const std::string& declared) {
    const auto found = definition.services.find(declared);
    return found != definition.services.end() && found->second.use == name;
  };
  for_each_step(definition, [&](const Step& step) {
    const auto* undo = std::get_if<Compensation>(&step.undo);
    if (undo == nullptr) return;
    const auto* action = std::get_if<Action>(&step.body);
    const std::string own = action != nullptr ? action->request.service : std::string{};
    if (!uses(undo->request.service.empty() ? own : undo->request.service) ||
        !relies_on_success_rule(*undo, service))
      return;
    add_finding(findings,
                {"W307", Severity::warning, step.pointer + "/compensation", 1, 1,
                 "`" + definition.name + "` version " + std::to_string(definition.version) + ": " +
                     relies_message(step.name),
                 relies_hint});
  });
  return findings;
}

}  // namespace backstitch::dsl

#include "walk.hpp"

#include <algorithm>

#include <backstitch/base/match.hpp>

#include "children.hpp"

namespace backstitch::dsl {
namespace {

/// One more than are listed tells that there are more.
bool are_enough(const std::vector<Finding>& findings, Severity severity) {
  return static_cast<std::size_t>(std::count_if(
             findings.begin(), findings.end(),
             [&](const Finding& finding) { return finding.severity == severity; })) > findings_max;
}

void add(const Check& check, Severity severity, std::string code, std::string pointer,
         std::string message, std::string hint) {
  if (check.unread.hides(code, pointer)) return;
  if (are_enough(check.findings, severity)) return;
  add_finding(check.findings, {.code = std::move(code),
                               .severity = severity,
                               .pointer = std::move(pointer),
                               .message = std::move(message),
                               .hint = std::move(hint)});
}

}  // namespace

void Check::error(std::string code, std::string pointer, std::string message,
                  std::string hint) const {
  add(*this, Severity::error, std::move(code), std::move(pointer), std::move(message),
      std::move(hint));
}

void Check::warning(std::string code, std::string pointer, std::string message,
                    std::string hint) const {
  add(*this, Severity::warning, std::move(code), std::move(pointer), std::move(message),
      std::move(hint));
}

void Check::info(std::string code, std::string pointer, std::string message,
                 std::string hint) const {
  add(*this, Severity::info, std::move(code), std::move(pointer), std::move(message),
      std::move(hint));
}

bool Check::is_full() const {
  return are_enough(findings, Severity::error);
}

const Service* Check::service(const std::string& name) const {
  const auto found = definition.services.find(name);
  if (found == definition.services.end()) return nullptr;
  if (found->second.use.empty()) return &found->second;
  return context.service ? context.service(found->second.use).get() : nullptr;
}

std::vector<const Steps*> inner_lists(const Step& step) {
  std::vector<const Steps*> lists;
  std::visit(Match{[&](const Parallel& block) {
                     for (const auto& branch : block.branches) lists.push_back(&branch.steps);
                   },
                   [&](const Switch& block) {
                     for (const auto& one : block.cases) lists.push_back(&one.steps);
                     if (block.otherwise) lists.push_back(&block.otherwise->steps);
                   },
                   [&](const ForEach& block) { lists.push_back(&block.steps); },
                   [&](const Try& block) {
                     lists.push_back(&block.steps);
                     for (const auto& one : block.catches) lists.push_back(&one.steps);
                   },
                   [](const Action&) {}, [](const SubSaga&) {}, [](const Wait&) {},
                   [](const Sleep&) {}, [](const Value&) {}, [](const Fail&) {}},
             step.body);
  return lists;
}

void for_each_step(const Steps& steps, const std::function<void(const Step&)>& use) {
  for (const auto& step : steps) {
    use(step);
    for (const auto* list : inner_lists(step)) for_each_step(*list, use);
  }
}

void for_each_step(const Definition& definition, const std::function<void(const Step&)>& use) {
  for (const auto* steps : {&definition.steps, &definition.on_failure, &definition.on_suspended})
    for_each_step(*steps, use);
}

std::vector<RequestUse> requests_of(const Step& step) {
  std::vector<RequestUse> uses;
  const auto* action = std::get_if<Action>(&step.body);
  const std::string own = action != nullptr ? action->request.service : "";
  const auto add = [&](const Request& request, const std::vector<OutcomeRule>& outcomes,
                       const char* role) {
    uses.push_back({&request, &outcomes, role, request.service.empty() ? own : request.service});
  };
  if (action != nullptr) {
    add(action->request, action->outcomes, "action");
    if (action->probe) add(action->probe->request, action->probe->outcomes, "probe");
    if (action->completion && action->completion->poll) {
      add(action->completion->poll->request, action->completion->poll->outcomes, "poll");
    }
  }
  if (const auto* undo = std::get_if<Compensation>(&step.undo))
    add(undo->request, undo->outcomes, "compensation");
  return uses;
}

bool can_end(const Steps& steps) {
  return std::all_of(steps.begin(), steps.end(), [](const Step& step) { return can_end(step); });
}

bool can_end(const Step& step) {
  if (step.when) return true;
  if (std::holds_alternative<Fail>(step.body)) return false;
  if (const auto* block = std::get_if<Switch>(&step.body)) {
    const bool some = std::any_of(block->cases.begin(), block->cases.end(),
                                  [](const Case& one) { return can_end(one.steps); });
    return some || (block->otherwise && can_end(block->otherwise->steps));
  }
  if (const auto* block = std::get_if<Parallel>(&step.body)) {
    return std::all_of(block->branches.begin(), block->branches.end(),
                       [](const Branch& one) { return can_end(one.steps); });
  }
  if (const auto* block = std::get_if<Try>(&step.body)) {
    const bool caught = std::any_of(block->catches.begin(), block->catches.end(),
                                    [](const Catch& one) { return can_end(one.steps); });
    return caught || can_end(block->steps);
  }
  return true;
}

bool is_call(const Step& step) {
  return std::holds_alternative<Action>(step.body) || std::holds_alternative<SubSaga>(step.body);
}

std::optional<StepKind> kind_of(const Step& step, const Check& check) {
  const auto* saga = std::get_if<SubSaga>(&step.body);
  if (saga == nullptr || step.kind_stated) return step.kind;
  if (const auto derived = check.children.kind_of(*saga)) return derived;
  // Who writes an undo takes it for one that is undone.
  const bool undone = std::holds_alternative<Compensation>(step.undo);
  return undone ? std::optional(StepKind::compensatable) : std::nullopt;
}

bool is_pivot(const Step& step, const Check& check) {
  return is_call(step) && kind_of(step, check) == StepKind::pivot;
}

bool contains_pivot(const Step& step, const Check& check) {
  if (is_pivot(step, check)) return true;
  for (const auto* list : inner_lists(step)) {
    if (std::any_of(list->begin(), list->end(),
                    [&](const Step& inner) { return contains_pivot(inner, check); }))
      return true;
  }
  return false;
}

bool is_effectful(const Step& step) {
  const auto* action = std::get_if<Action>(&step.body);
  if (action == nullptr) return false;
  const bool reads = action->request.path && (action->request.method == Method::get ||
                                              action->request.method == Method::head);
  return !reads && step.kind != StepKind::readonly;
}

bool is_waived(const Step& step) {
  return std::holds_alternative<WaivedCompensation>(step.undo);
}

std::optional<Duration> known(const std::optional<DurationField>& field) {
  const auto* duration = field ? std::get_if<Duration>(&*field) : nullptr;
  return duration == nullptr ? std::nullopt : std::optional(*duration);
}

}  // namespace backstitch::dsl

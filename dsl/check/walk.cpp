#include "walk.hpp"

#include <algorithm>

#include <backstitch/base/match.hpp>

namespace backstitch::dsl {

void Check::error(std::string code, std::string pointer, std::string message,
                  std::string hint) const {
  findings.push_back({std::move(code), Severity::error, std::move(pointer), 0, 0,
                      std::move(message), std::move(hint)});
}

void Check::warning(std::string code, std::string pointer, std::string message,
                    std::string hint) const {
  findings.push_back({std::move(code), Severity::warning, std::move(pointer), 0, 0,
                      std::move(message), std::move(hint)});
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

namespace {

class Durations {
 public:
  std::vector<DurationUse> uses;
  bool of_undo = false;

  void add(const DurationField& field, const std::string& pointer, bool of_answer = false) {
    const auto* source = std::get_if<Expression>(&field);
    if (source != nullptr) uses.push_back({source, pointer, of_answer, of_undo});
  }
  void add(const std::optional<DurationField>& field, const std::string& pointer,
           bool of_answer = false) {
    if (field) add(*field, pointer, of_answer);
  }
  void retry(const RetrySpec& spec, const std::string& pointer) {
    add(spec.delay, pointer + "/delay");
    add(spec.delay_max, pointer + "/maxDelay");
    add(spec.elapsed_max, pointer + "/maxElapsed");
  }
  void outcomes(const std::vector<OutcomeRule>& rules) {
    for (const auto& rule : rules) add(rule.retry_after, rule.pointer + "/retryAfter", true);
  }
  void action(const Action& action, const std::string& at) {
    retry(action.retry, at + "/retry");
    add(action.attempt_timeout, at + "/attemptTimeout");
    outcomes(action.outcomes);
    if (action.probe) {
      add(action.probe->attempt_timeout, at + "/probe/attemptTimeout");
      retry(action.probe->retry, at + "/probe/retry");
      outcomes(action.probe->outcomes);
    }
    if (!action.completion) return;
    add(action.completion->timeout, at + "/completion/timeout");
    if (!action.completion->poll) return;
    add(action.completion->poll->every, at + "/completion/poll/every");
    outcomes(action.completion->poll->outcomes);
  }
};

}  // namespace

std::vector<DurationUse> durations_of(const Step& step) {
  Durations durations;
  durations.add(step.timeout, step.pointer + "/timeout");
  if (const auto* action = std::get_if<Action>(&step.body)) durations.action(*action, step.pointer);
  if (const auto* wait = std::get_if<Wait>(&step.body))
    durations.add(wait->timeout, step.pointer + "/wait/timeout");
  if (const auto* sleep = std::get_if<Sleep>(&step.body))
    durations.add(sleep->duration, step.pointer + "/sleep/for");
  if (const auto* undo = std::get_if<Compensation>(&step.undo)) {
    durations.of_undo = true;
    durations.add(undo->attempt_timeout, step.pointer + "/compensation/attemptTimeout");
    durations.retry(undo->retry, step.pointer + "/compensation/retry");
    durations.outcomes(undo->outcomes);
  }
  return std::move(durations.uses);
}

std::vector<DurationUse> durations_of(const Definition& definition) {
  Durations durations;
  durations.add(definition.timeout, "/timeout");
  durations.retry(definition.default_retry, "/defaults/retry");
  durations.add(definition.default_attempt_timeout, "/defaults/attemptTimeout");
  durations.add(definition.default_step_timeout, "/defaults/stepTimeout");
  for (const auto& [name, service] : definition.services) {
    durations.retry(service.retry, service.pointer + "/retry");
    durations.outcomes(service.outcomes);
  }
  return std::move(durations.uses);
}

bool can_end(const Steps& steps) {
  return std::all_of(steps.begin(), steps.end(), [](const Step& step) {
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
  });
}

StepKind kind_of(const Step& step, const Check& check) {
  const auto* saga = std::get_if<SubSaga>(&step.body);
  if (saga == nullptr || step.kind_stated || !check.context.definition) return step.kind;
  const auto child = check.context.definition(saga->name, saga->version.value_or(0));
  if (!child) return step.kind;
  bool pivot = false;
  bool compensatable = false;
  bool retryable = false;
  for_each_step(child->steps, [&](const Step& inner) {
    if (!std::holds_alternative<Action>(inner.body)) return;
    pivot = pivot || inner.kind == StepKind::pivot;
    compensatable = compensatable || inner.kind == StepKind::compensatable;
    retryable = retryable || inner.kind == StepKind::retryable;
  });
  if (pivot) return StepKind::pivot;
  if (compensatable) return StepKind::compensatable;
  return retryable ? StepKind::retryable : StepKind::readonly;
}

bool contains_pivot(const Steps& steps, const Check& check) {
  bool found = false;
  for_each_step(steps, [&](const Step& step) {
    const bool calls =
        std::holds_alternative<Action>(step.body) || std::holds_alternative<SubSaga>(step.body);
    found = found || (calls && kind_of(step, check) == StepKind::pivot);
  });
  return found;
}

bool is_effectful(const Step& step) {
  const auto* action = std::get_if<Action>(&step.body);
  if (action == nullptr) return false;
  const bool reads = action->request.path && (action->request.method == Method::get ||
                                              action->request.method == Method::head);
  return !reads && step.kind != StepKind::readonly;
}

}  // namespace backstitch::dsl

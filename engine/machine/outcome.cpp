#include "outcome.hpp"

#include <algorithm>
#include <charconv>

#include <backstitch/engine/machine/answer.hpp>

#include "backoff.hpp"

namespace backstitch::engine {
namespace {

using dsl::OutcomeClass;

constexpr Duration retry_after_max{24 * 3'600'000};

bool matches(const dsl::OutcomeRule& rule, const CallResult& result, const dsl::Scope& scope) {
  const auto* response = std::get_if<Response>(&result);
  if (rule.transport) {
    const auto* error = std::get_if<TransportError>(&result);
    return error != nullptr && error->kind == *rule.transport;
  }
  if (response == nullptr) return false;
  const bool in_range = rule.status.empty() ||
                        std::any_of(rule.status.begin(), rule.status.end(), [&](const auto& r) {
                          return response->status >= r.first && response->status <= r.last;
                        });
  if (!in_range) return false;
  if (!rule.when) return true;
  dsl::Budget budget;
  // A condition that cannot be evaluated says nothing about the answer.
  const auto holds = rule.when->evaluate_condition(scope, budget);
  return holds.has_value() && *holds;
}

OutcomeClass class_of_status(int status) {
  if (status >= 200 && status < 300) return OutcomeClass::success;
  if (status == 408 || status == 425 || status == 429) return OutcomeClass::transient;
  if (status >= 500) return OutcomeClass::unknown;
  return OutcomeClass::failure;
}

/// Whole seconds (RFC 9110, 10.2.3); dates are left to the computed delay.
std::optional<Duration> retry_after_of(const Response& response) {
  for (const auto& [name, value] : response.headers) {
    if (name != "retry-after") continue;
    std::int64_t seconds = 0;
    const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error == std::errc{} && rest == value.data() + value.size() && seconds >= 0) {
      return std::min(Duration{std::min<std::int64_t>(seconds, 1'000'000) * 1'000},
                      retry_after_max);
    }
  }
  return std::nullopt;
}

Verdict from_table(const CallResult& result) {
  Verdict verdict;
  if (const auto* response = std::get_if<Response>(&result)) {
    verdict.outcome = class_of_status(response->status);
    verdict.code = "HTTP_" + std::to_string(response->status);
    verdict.message = "the participant answered " + std::to_string(response->status);
    verdict.retry_after = retry_after_of(*response);
    verdict.accepted = response->status == 202;
    return verdict;
  }
  const auto& error = std::get<TransportError>(result);
  verdict.outcome = error.sent ? OutcomeClass::unknown : OutcomeClass::transient;
  std::string kind = dsl::to_text(error.kind);
  std::transform(kind.begin(), kind.end(), kind.begin(),
                 [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  verdict.code = "TRANSPORT_" + kind;
  verdict.message = error.message;
  return verdict;
}

}  // namespace

std::vector<const std::vector<dsl::OutcomeRule>*> outcome_rules(const Program& program,
                                                                const dsl::Step& step,
                                                                Phase phase) {
  const auto* action = std::get_if<dsl::Action>(&step.body);
  const dsl::Request* request = nullptr;
  std::vector<const std::vector<dsl::OutcomeRule>*> rules;
  if (phase == Phase::compensate) {
    const auto& undo = std::get<dsl::Compensation>(step.undo);
    request = &undo.request;
    rules.push_back(&undo.outcomes);
  } else if (phase == Phase::probe) {
    request = &action->probe->request;
    rules.push_back(&action->probe->outcomes);
  } else if (phase == Phase::poll && action->completion->poll) {
    request = &action->completion->poll->request;
    // What is polled, or posted back, is the action's answer, so its rules speak, too.
    rules = {&action->completion->poll->outcomes, &action->outcomes};
  } else {
    request = &action->request;
    rules.push_back(&action->outcomes);
  }
  const std::string& name =
      request->service.empty() && action != nullptr ? action->request.service : request->service;
  if (const auto* service = program.service(name); service != nullptr)
    rules.push_back(&service->outcomes);
  return rules;
}

AnswerMeaning meaning_of(const Program& program, const dsl::Step& step, Phase phase,
                         const CallResult& result) {
  const SagaState nothing_yet;
  SagaScope scope(*program.definition, nothing_yet);
  Verdict verdict = classify(result, outcome_rules(program, step, phase), scope);
  const auto* action = std::get_if<dsl::Action>(&step.body);
  if (verdict.accepted && phase == Phase::forward && action != nullptr && action->completion)
    verdict.outcome = OutcomeClass::pending;
  return {verdict.outcome, std::move(verdict.code), std::move(verdict.message)};
}

Verdict classify(const CallResult& result,
                 const std::vector<const std::vector<dsl::OutcomeRule>*>& rules, SagaScope& scope) {
  if (const auto* response = std::get_if<Response>(&result)) scope.set_response(*response);
  Verdict verdict = from_table(result);
  if (const auto* response = std::get_if<Response>(&result);
      response != nullptr && !response->body.is_null()) {
    verdict.details = response->body;
  }
  for (const auto* list : rules) {
    for (const auto& rule : *list) {
      if (!matches(rule, result, scope)) continue;
      verdict.outcome = rule.is;
      verdict.accepted = false;
      if (!rule.code.empty()) verdict.code = rule.code;
      if (rule.retry_after) {
        if (const auto wait = duration_of(*rule.retry_after, scope)) verdict.retry_after = *wait;
      }
      return verdict;
    }
  }
  return verdict;
}

}  // namespace backstitch::engine

#include "outcome.hpp"

#include <algorithm>

#include <backstitch/engine/machine/answer_body.hpp>

#include "backoff.hpp"
#include "limits.hpp"
#include "retry_after.hpp"

namespace backstitch::engine {
namespace {

using dsl::OutcomeClass;

bool is_2xx(int status) {
  return status >= 200 && status < 300;
}

bool is_read(dsl::Method method) {
  return method == dsl::Method::get || method == dsl::Method::head;
}

/// Web frameworks answer a finished POST with 301, 302 or 303; 307 and 308 ask for the same request
/// at another place, so nothing was done here.
OutcomeClass class_of_redirect(int status, dsl::Method method) {
  if (status == 307 || status == 308) return OutcomeClass::failure;
  const bool moved = status >= 301 && status <= 303;
  return moved && is_read(method) ? OutcomeClass::failure : OutcomeClass::unknown;
}

OutcomeClass class_of_status(int status, dsl::Method method) {
  if (is_2xx(status)) return OutcomeClass::success;
  if (status >= 300 && status < 400) return class_of_redirect(status, method);
  if (status == 408 || status == 425 || status == 429) return OutcomeClass::transient;
  return status >= 400 && status < 500 ? OutcomeClass::failure : OutcomeClass::unknown;
}

bool has_failure_rule(const AnswerContext& context) {
  const auto& own = *context.rules.front().list;
  return std::any_of(own.begin(), own.end(),
                     [](const auto& rule) { return rule.is == OutcomeClass::failure; });
}

/// A sealed probe says "not seen" by its own failure rule; only one without takes a bare 404 or
/// 410, because any other refusal speaks of the question and not of the step.
bool may_say_no(const AnswerContext& context, int status) {
  if (!context.sealed) return true;
  return !has_failure_rule(context) && (status == 404 || status == 410);
}

/// The table, for this kind of call.
OutcomeClass class_by_table(const AnswerContext& context, int status) {
  const OutcomeClass meant = class_of_status(status, context.method);
  switch (context.question) {
    case Question::action:
    case Question::callback:
      return status == 202 && context.completes ? OutcomeClass::pending : meant;
    case Question::poll:
      // The refusal of a question says nothing about the call that was accepted.
      return status == 202 || meant == OutcomeClass::failure ? OutcomeClass::pending : meant;
    case Question::probe:
      return meant == OutcomeClass::failure && !may_say_no(context, status) ? OutcomeClass::unknown
                                                                            : meant;
    case Question::compensation:
      return meant;
  }
  return meant;
}

/// ` (server: envoy)`.
std::string named_server(const AnswerContext& context, const Response& response) {
  if (!context.may_quote) return {};
  const auto found = std::find_if(response.headers.begin(), response.headers.end(),
                                  [](const auto& header) { return header.first == "server"; });
  if (found == response.headers.end() || found->second.empty()) return {};
  return " (server: " + cut_text(found->second, answer_header_bytes_max) + ")";
}

/// What an error page says tells more of who wrote it than its status.
std::string quoted_text(const AnswerContext& context, const Response& response) {
  if (!context.may_quote) return {};
  const std::string text = beginning_of_text(response);
  return text.empty() ? text : ": " + Json(text).dump();
}

bool is_marked(const AnswerContext& context) {
  return context.has_marks || context.question == Question::callback;
}

/// Only of a service that marks its answers it is known that the participant spoke.
std::string who_said(const AnswerContext& context, const Response& response) {
  const std::string status = std::to_string(response.status);
  if (is_marked(context)) return "the participant answered " + status;
  return "the answer was " + status + named_server(context, response);
}

Verdict judge_by_table(const AnswerContext& context, const CallResult& result) {
  Verdict verdict;
  if (const auto* response = std::get_if<Response>(&result)) {
    verdict.outcome = class_by_table(context, response->status);
    verdict.code = "HTTP_" + std::to_string(response->status);
    verdict.message = who_said(context, *response) + quoted_text(context, *response);
    if (!response->unreadable.empty())
      verdict.message += "; its body is unreadable: " + response->unreadable;
    verdict.retry_after = retry_after_of(*response);
    if (!response->body.is_null()) verdict.details = response->body;
    return verdict;
  }
  const auto& error = std::get<TransportError>(result);
  verdict.outcome = error.sent ? OutcomeClass::unknown : OutcomeClass::transient;
  std::string kind = dsl::to_text(error.kind);
  std::transform(kind.begin(), kind.end(), kind.begin(),
                 [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  verdict.code = "TRANSPORT_" + kind;
  verdict.message = error.message;
  verdict.is_last = error.is_last;
  return verdict;
}

/// The status that the rule names for this answer; nullptr: none.
const dsl::StatusRange* named_range(const dsl::OutcomeRule& rule, int status) {
  const dsl::StatusRange* widest = nullptr;
  for (const auto& range : rule.status) {
    if (status < range.first || status > range.last) continue;
    if (range.first == range.last) return &range;
    widest = &range;
  }
  return widest;
}

/// All that a rule says without its condition: the status is compared first.
bool is_about(const dsl::OutcomeRule& rule, const CallResult& result) {
  if (const auto* error = std::get_if<TransportError>(&result))
    return rule.transport && *rule.transport == error->kind;
  if (rule.transport) return false;
  return rule.status.empty() || named_range(rule, std::get<Response>(result).status) != nullptr;
}

/// A failure after an unknown attempt may be the refusal of a second copy while the first took
/// effect. It is believed where the participant replays its answers and it judges what was asked:
/// by a rule that names the status or that has a condition, or with a status that no intermediary
/// gives. Where attempts may have been lost, the latter may say that the same key came with another
/// request: of that attempt.
bool is_believed(const AnswerContext& context, const dsl::OutcomeRule* rule, int status) {
  if (context.readonly || context.before == Before::known) return true;
  if (context.idempotency != dsl::Idempotency::key) return false;
  if (rule != nullptr) {
    const auto* named = named_range(*rule, status);
    if (rule->when || (named != nullptr && named->first == named->last)) return true;
  }
  return context.before != Before::lost && (status == 402 || status == 422);
}

std::string called(OutcomeClass outcome) {
  return outcome == OutcomeClass::failure ? "a failure" : dsl::to_text(outcome);
}

/// Neither the table nor most rules have a say in what an intermediary answers: nothing is known of
/// what the participant did.
Verdict judge_intermediary(const AnswerContext& context, const Response& response) {
  const bool waits = context.question == Question::poll || context.question == Question::callback;
  Verdict verdict;
  verdict.outcome = waits ? OutcomeClass::pending : OutcomeClass::unknown;
  verdict.code = "ANSWER_FOREIGN";
  verdict.message = "an intermediary answered " + std::to_string(response.status) +
                    named_server(context, response) + quoted_text(context, response) +
                    ", not the participant: " + response.foreign;
  verdict.retry_after = retry_after_of(response);
  return verdict;
}

/// Of the answers of an intermediary a rule is asked that says so, and it cannot settle anything.
bool is_about_intermediaries(const dsl::OutcomeRule& rule) {
  const bool settles = rule.is != OutcomeClass::transient && rule.is != OutcomeClass::unknown;
  if (settles || !rule.when) return false;
  const auto& read = rule.when->references();
  return std::any_of(read.begin(), read.end(), [](const dsl::Reference& one) {
    return one.root == "response" && one.member == "from";
  });
}

bool is_foreign(const CallResult& result) {
  const auto* response = std::get_if<Response>(&result);
  return response != nullptr && !response->foreign.empty();
}

/// `response.from`.
const char* who_answered(const AnswerContext& context, const Response& response) {
  if (!response.foreign.empty()) return "intermediary";
  return is_marked(context) ? "participant" : "unmarked";
}

class AnswerJudge {
 public:
  AnswerJudge(const AnswerContext& context, const CallResult& result, SagaScope& scope)
      : context_(context),
        result_(result),
        scope_(scope),
        response_(std::get_if<Response>(&result)),
        is_foreign_(is_foreign(result)),
        verdict_(is_foreign_ ? judge_intermediary(context, *response_)
                             : judge_by_table(context, result)) {}

  Verdict judge() {
    by_table_ = verdict_.outcome;
    for (const auto& rules : context_.rules) {
      for (const auto& rule : *rules.list) {
        if (matches(rules.authority, rule)) return decided_by(rules.authority, rule);
      }
    }
    return settled(nullptr);
  }

 private:
  /// The answer is the action's own, at once or later.
  bool is_of_action() const {
    return context_.question != Question::probe && context_.question != Question::compensation;
  }

  /// Whether the rules of `authority` have a say in this answer.
  bool has_a_say(Authority authority) const {
    if (is_foreign_) return true;
    switch (context_.question) {
      case Question::action:
      case Question::callback:
        return true;
      case Question::poll:
        // Only a 2xx brings the action's answer.
        return authority == Authority::poll || (response_ != nullptr && is_2xx(response_->status));
      case Question::probe:
      case Question::compensation:
        // A service's rules are written for actions: here they can only withhold a success.
        return authority != Authority::service || by_table_ == OutcomeClass::success;
    }
    return true;
  }

  /// What the rule makes of the answer.
  OutcomeClass class_by(Authority authority, const dsl::OutcomeRule& rule) const {
    const bool withholds = authority == Authority::service && !is_of_action();
    // A service's "not done" is about an action: here it leaves the matter open.
    return withholds && rule.is == OutcomeClass::failure ? OutcomeClass::unknown : rule.is;
  }

  /// A service cannot give a probe or a compensation a success, and 202 is an undo's success.
  bool withholds_nothing(Authority authority, const dsl::OutcomeRule& rule) const {
    if (authority != Authority::service) return false;
    if (context_.question == Question::compensation)
      return rule.is == OutcomeClass::success || rule.is == OutcomeClass::pending;
    return context_.question == Question::probe && rule.is == OutcomeClass::success;
  }

  /// A condition that cannot be evaluated is noted, and perhaps holds.
  bool matches(Authority authority, const dsl::OutcomeRule& rule) {
    if (is_foreign_ && !is_about_intermediaries(rule)) return false;
    if (!is_about(rule, result_) || !has_a_say(authority) || withholds_nothing(authority, rule))
      return false;
    if (!rule.when) return true;
    dsl::Budget budget;
    const auto holds = rule.when->evaluate_condition(scope_, budget);
    if (holds) return *holds;
    // An undo or a probe need not have a body that a service's rules for actions could read.
    if (authority == Authority::service && is_empty_body() && !is_of_action()) return false;
    perhaps_.push_back(class_by(authority, rule));
    verdict_.note += (verdict_.note.empty() ? "" : "; ");
    verdict_.note +=
        "the condition at " + rule.pointer + " could not be evaluated: " + holds.error().message;
    return false;
  }

  bool is_empty_body() const { return response_ != nullptr && response_->body.is_null(); }

  Verdict decided_by(Authority authority, const dsl::OutcomeRule& rule) {
    verdict_.authority = authority;
    verdict_.outcome = class_by(authority, rule);
    if (!rule.code.empty()) verdict_.code = rule.code;
    describe(authority, rule);
    if (rule.retry_after) {
      if (const auto wait = duration_of(*rule.retry_after, scope_)) verdict_.retry_after = *wait;
    }
    return settled(&rule);
  }

  /// The rule's own words, or which rule it is: a code alone does not say where it comes from.
  void describe(Authority authority, const dsl::OutcomeRule& rule) {
    if (rule.message) {
      dsl::Budget budget;
      auto message = rule.message->render_text(scope_, budget);
      if (message) {
        verdict_.message = std::move(*message);
        return;
      }
      verdict_.note += (verdict_.note.empty() ? "" : "; ");
      verdict_.note += "the message of the rule could not be rendered: " + message.error().message;
    }
    if (verdict_.outcome == OutcomeClass::success) return;
    verdict_.message += ", which the rule " + rule.pointer +
                        (authority == Authority::service ? " of the service" : "") + " calls " +
                        called(verdict_.outcome);
  }

  /// The rest has given its class; now the rules that perhaps match, and what came before.
  Verdict settled(const dsl::OutcomeRule* rule) {
    const int status = response_ != nullptr ? response_->status : 0;
    const bool contested = std::any_of(perhaps_.begin(), perhaps_.end(), [&](OutcomeClass other) {
      return other != verdict_.outcome;
    });
    const bool unread_poll = context_.question == Question::poll && !perhaps_.empty() &&
                             verdict_.outcome == OutcomeClass::success;
    if (contested || unread_poll) {
      const bool waits =
          context_.question == Question::poll || context_.question == Question::callback;
      verdict_.outcome = waits ? OutcomeClass::pending : OutcomeClass::unknown;
    }
    if (is_of_action() && verdict_.outcome == OutcomeClass::failure &&
        !is_believed(context_, rule, status)) {
      verdict_.outcome = OutcomeClass::unknown;
      verdict_.message +=
          ", which after an attempt of unknown outcome does not say that nothing "
          "was done";
    }
    if (!verdict_.note.empty()) verdict_.message += "; " + verdict_.note;
    return std::move(verdict_);
  }

  const AnswerContext& context_;
  const CallResult& result_;
  SagaScope& scope_;
  const Response* response_;
  const bool is_foreign_;
  Verdict verdict_;
  OutcomeClass by_table_ = OutcomeClass::unknown;
  std::vector<OutcomeClass> perhaps_;
};

const dsl::Request& request_of(const dsl::Step& step, Question question) {
  if (question == Question::compensation) return std::get<dsl::Compensation>(step.undo).request;
  const auto& action = std::get<dsl::Action>(step.body);
  if (question == Question::probe) return action.probe->request;
  return question == Question::poll ? action.completion->poll->request : action.request;
}

}  // namespace

std::string beginning_of_text(const Response& response) {
  const bool is_text = !response.unreadable.empty() && response.body.is_string();
  return is_text ? quoted_beginning(response.body.get_ref<const std::string&>())
                 : response.foreign_text;
}

Question question_of(Phase phase) {
  switch (phase) {
    case Phase::forward:
      return Question::action;
    case Phase::probe:
      return Question::probe;
    case Phase::poll:
      return Question::poll;
    case Phase::compensate:
      return Question::compensation;
  }
  return Question::action;
}

AnswerContext answer_context(const Program& program, const dsl::Step& step, Question question,
                             Before before) {
  AnswerContext context;
  context.question = question;
  context.before = before;
  const dsl::Request& request = request_of(step, question);
  context.method = request.method;
  const auto* action = std::get_if<dsl::Action>(&step.body);
  if (action != nullptr) {
    context.readonly = step.kind == dsl::StepKind::readonly;
    context.completes = action->completion.has_value();
    context.sealed = action->probe && action->probe->sealed;
    if (const auto* own = program.service(action->request.service); own != nullptr)
      context.idempotency = own->idempotency;
  }
  if (question == Question::compensation) {
    context.rules.push_back(
        {Authority::compensation, &std::get<dsl::Compensation>(step.undo).outcomes});
  } else if (question == Question::probe) {
    context.rules.push_back({Authority::probe, &action->probe->outcomes});
  } else {
    if (question != Question::action && action->completion && action->completion->poll)
      context.rules.push_back({Authority::poll, &action->completion->poll->outcomes});
    context.rules.push_back({Authority::step, &action->outcomes});
  }
  const std::string& name =
      request.service.empty() && action != nullptr ? action->request.service : request.service;
  if (const auto* service = program.service(name); service != nullptr) {
    context.has_marks = service->answers.any();
    context.rules.push_back({Authority::service, &service->outcomes});
  }
  return context;
}

Verdict judge_answer(const AnswerContext& context, const CallResult& result, SagaScope& scope) {
  if (const auto* response = std::get_if<Response>(&result))
    scope.set_response(*response, who_answered(context, *response));
  return AnswerJudge(context, result, scope).judge();
}

AnswerMeaning meaning_of(const Program& program, const dsl::Step& step, Question question,
                         const CallResult& result, bool unknown_seen) {
  const SagaState nothing_yet;
  SagaScope scope(program, nothing_yet);
  const Verdict verdict = judge_answer(
      answer_context(program, step, question, unknown_seen ? Before::unknown : Before::known),
      result, scope);
  return {verdict.outcome, verdict.code, verdict.message};
}

Before before_answer(const SagaState& state, const StepPath& path) {
  const auto known = state.steps.find(path);
  if (known == state.steps.end() || !known->second.forward.unknown_seen) return Before::known;
  return state.is_set_back ? Before::lost : Before::unknown;
}

AnswerMeaning meaning_of(const Program& program, const SagaState& state, const StepPath& path,
                         Question question, const CallResult& result) {
  const auto at = locate(*program.definition, path);
  BACKSTITCH_INVARIANT(at.has_value(), "an answer belongs to a step of the definition");
  SagaScope scope(program, state, at->frames, at->indexes);
  const Verdict verdict = judge_answer(
      answer_context(program, *at->step, question, before_answer(state, path)), result, scope);
  return {verdict.outcome, verdict.code, verdict.message};
}

}  // namespace backstitch::engine

#include "answers.hpp"

#include <algorithm>
#include <utility>

#include <backstitch/base/match.hpp>

namespace backstitch::engine::explore {
namespace {

using dsl::OutcomeClass;

constexpr std::size_t inputs_max = 32;
constexpr std::size_t bodies_max = 16;

/// What a rule's condition may read when nothing has happened yet. A condition that reads more is
/// taken as not holding.
class AnswerScope : public dsl::Scope {
 public:
  AnswerScope(const Json& input, const Response& response) : input_(input) {
    Json headers = Json::object();
    for (const auto& [name, value] : response.headers) headers[name] = value;
    response_ = {{"status", response.status}, {"headers", headers}, {"body", response.body}};
  }
  const Json* find(std::string_view name) const override {
    if (name == "response") return &response_;
    return name == "input" ? &input_ : nullptr;
  }
  const Json* step(std::string_view) const override { return nullptr; }
  const Json* step_output(std::string_view) const override { return nullptr; }

 private:
  const Json& input_;
  Json response_;
};

struct Meant {
  Meaning meaning = Meaning::success;
  std::string code;
};

Meaning meaning_of(OutcomeClass outcome) {
  switch (outcome) {
    case OutcomeClass::success:
      return Meaning::success;
    case OutcomeClass::failure:
      return Meaning::refused;
    case OutcomeClass::transient:
      return Meaning::transient;
    case OutcomeClass::unknown:
      return Meaning::unknown;
    case OutcomeClass::pending:
      return Meaning::pending;
  }
  return Meaning::unknown;
}

using Rules = std::vector<const std::vector<dsl::OutcomeRule>*>;

bool fits(const dsl::OutcomeRule& rule, const CallResult& result, const Json& input) {
  if (const auto* error = std::get_if<TransportError>(&result))
    return rule.transport && *rule.transport == error->kind;
  const auto& response = std::get<Response>(result);
  if (rule.transport) return false;
  const auto inside = [&](const dsl::StatusRange& range) {
    return response.status >= range.first && response.status <= range.last;
  };
  if (!rule.status.empty() && std::none_of(rule.status.begin(), rule.status.end(), inside))
    return false;
  if (!rule.when) return true;
  dsl::Budget budget;
  const auto holds = rule.when->evaluate_condition(AnswerScope(input, response), budget);
  return holds && *holds;
}

/// The table of the language: what an answer means where no rule says otherwise.
Meant by_table(const CallResult& result, bool may_be_pending) {
  if (const auto* error = std::get_if<TransportError>(&result))
    return {error->sent ? Meaning::unknown : Meaning::transient, ""};
  const int status = std::get<Response>(result).status;
  const std::string code = "HTTP_" + std::to_string(status);
  if (status == 202 && may_be_pending) return {Meaning::pending, code};
  if (status < 300) return {Meaning::success, code};
  if (status == 408 || status == 425 || status == 429) return {Meaning::transient, code};
  return {status >= 500 ? Meaning::unknown : Meaning::refused, code};
}

Meant meant_by(const CallResult& result, const Rules& rules, const Json& input,
               bool may_be_pending) {
  Meant meant = by_table(result, may_be_pending);
  for (const auto* list : rules) {
    for (const auto& rule : *list) {
      if (!fits(rule, result, input)) continue;
      return {meaning_of(rule.is), rule.code.empty() ? meant.code : rule.code};
    }
  }
  return meant;
}

class Maker {
 public:
  Maker(const Program& program, Answers& out)
      : program_(program), out_(out), readings_(read(*program.definition)) {}

  void make() {
    make_inputs();
    const auto& definition = *program_.definition;
    for (const auto* steps : {&definition.steps, &definition.on_failure, &definition.on_suspended})
      list(*steps);
    out_.failure_read = readings_.failure_read;
    out_.details_read = readings_.details_read;
    if (cut_) {
      out_.notes.emplace_back(
          "the data has too many shapes: each was tried by itself, not all of them together");
    }
  }

 private:
  void make_inputs() {
    const auto& definition = *program_.definition;
    const Json schema = definition.input ? definition.input->source() : Json();
    readings_.input.object = true;
    for (auto& input : representatives(readings_.input, schema, "input", inputs_max, cut_)) {
      auto admitted = admit_input(definition, input);
      if (!admitted) continue;
      const auto& inputs = out_.inputs;
      if (std::find(inputs.begin(), inputs.end(), *admitted) == inputs.end())
        out_.inputs.push_back(std::move(*admitted));
    }
    if (out_.inputs.empty())
      out_.notes.emplace_back("no input was found that the schema admits; nothing was explored");
    else
      input_ = out_.inputs.front();
  }

  void list(const dsl::Steps& steps) {
    for (const auto& step : steps) {
      std::visit(Match{[&](const dsl::Action& body) { action(step, body); },
                       [&](const dsl::SubSaga&) { child(step); },
                       [&](const dsl::Wait& body) { wait(step, body); },
                       [&](const dsl::Parallel& body) {
                         for (const auto& branch : body.branches) list(branch.steps);
                       },
                       [&](const dsl::Switch& body) {
                         for (const auto& one : body.cases) list(one.steps);
                         if (body.otherwise) list(body.otherwise->steps);
                       },
                       [&](const dsl::ForEach& body) { list(body.steps); },
                       [&](const dsl::Try& body) {
                         list(body.steps);
                         for (const auto& one : body.catches) list(one.steps);
                       },
                       [](const dsl::Sleep&) {}, [](const dsl::Value&) {}, [](const dsl::Fail&) {}},
                 step.body);
      if (const auto* undo = std::get_if<dsl::Compensation>(&step.undo)) {
        const auto* action = std::get_if<dsl::Action>(&step.body);
        const std::string own = action != nullptr ? action->request.service : std::string{};
        const auto rules = rules_of({&undo->outcomes}, undo->request, own);
        out_.steps[&step].undo = calls(rules, bodies_of(readings_.undone[step.name]), false, false);
      }
    }
  }

  std::vector<Json> bodies_of(const Shape& shape) {
    return representatives(shape, nullptr, "", bodies_max, cut_);
  }

  Rules rules_of(Rules rules, const dsl::Request& request, const std::string& service) const {
    const auto* known = program_.service(request.service.empty() ? service : request.service);
    if (known != nullptr) rules.push_back(&known->outcomes);
    return rules;
  }

  void action(const dsl::Step& step, const dsl::Action& action) {
    StepAnswers& answers = out_.steps[&step];
    const std::string& own = action.request.service;
    const auto bodies = bodies_of(readings_.answers[step.name]);
    const bool completion = action.completion.has_value();
    answers.forward =
        calls(rules_of({&action.outcomes}, action.request, own), bodies, completion, true);
    if (action.probe) {
      answers.probe = calls(rules_of({&action.probe->outcomes}, action.probe->request, own), bodies,
                            false, true);
    }
    if (!completion) return;
    const auto& poll = action.completion->poll;
    Rules rules{&action.outcomes};
    if (poll) rules.insert(rules.begin(), &poll->outcomes);
    rules = rules_of(rules, poll ? poll->request : action.request, own);
    const auto told = calls(rules, bodies, true, true);
    if (poll) answers.poll = without_last(told);
    if (!action.completion->callback) return;
    for (const auto& answer : without_last(told)) {
      const bool posted = std::holds_alternative<Response>(answer.result);
      if (posted && (answer.meaning == Meaning::success || answer.meaning == Meaning::refused))
        answers.callback.push_back(answer);
    }
  }

  static std::vector<Answer> without_last(const std::vector<Answer>& answers) {
    std::vector<Answer> out;
    std::copy_if(answers.begin(), answers.end(), std::back_inserter(out),
                 [](const Answer& answer) { return !answer.last; });
    return out;
  }

  /// One answer of each meaning; of success one for each body, of refusals one for each code that
  /// something depends on.
  std::vector<Answer> calls(const Rules& rules, const std::vector<Json>& bodies,
                            bool may_be_pending, bool output_read) {
    std::vector<Answer> answers;
    std::vector<CallResult> results;
    for (const auto& body : bodies) results.emplace_back(Response{200, {}, body});
    for (const auto* list : rules) {
      for (const auto& rule : *list) {
        if (rule.transport) {
          const bool sent = *rule.transport != dsl::Transport::dns &&
                            *rule.transport != dsl::Transport::connect &&
                            *rule.transport != dsl::Transport::tls;
          results.emplace_back(TransportError{*rule.transport, sent, ""});
        }
        for (const auto& range : rule.status)
          results.emplace_back(Response{range.first, {}, bodies.front()});
      }
    }
    if (may_be_pending) results.emplace_back(Response{202, {}, bodies.front()});
    results.emplace_back(Response{400, {}, nullptr});
    results.emplace_back(TransportError{dsl::Transport::connect, false, "no connection"});
    results.emplace_back(Response{429, {}, nullptr});
    results.emplace_back(TransportError{dsl::Transport::timeout, true, "no answer"});
    results.emplace_back(Response{500, {}, nullptr});
    std::size_t others = 0;
    std::set<std::string> seen;
    for (auto& result : results) {
      const Meant meant = meant_by(result, rules, input_, may_be_pending);
      const bool matters = readings_.codes.count(meant.code) > 0;
      std::string key = std::to_string(static_cast<int>(meant.meaning));
      if (meant.meaning == Meaning::success)
        key += output_read ? std::get<Response>(result).body.dump() : "";
      if (meant.meaning == Meaning::refused) {
        if (!matters && others > 0) continue;
        if (!matters) ++others;
        key += meant.code;
      }
      if (seen.insert(key).second) add(answers, std::move(result), meant);
    }
    if (!output_read) keep_one_last(answers);
    return answers;
  }

  /// An undo that is given up is given up, whatever was said last.
  static void keep_one_last(std::vector<Answer>& answers) {
    bool kept = false;
    std::erase_if(answers,
                  [&](const Answer& answer) { return answer.last && std::exchange(kept, true); });
  }

  static void add(std::vector<Answer>& answers, CallResult result, const Meant& meant) {
    switch (meant.meaning) {
      case Meaning::success: {
        const auto& response = std::get<Response>(result);
        std::string said = "done";
        if (response.status != 200) said += " (" + std::to_string(response.status) + ")";
        if (!response.body.empty() && response.body.is_object()) said += " " + response.body.dump();
        answers.push_back({std::move(result), meant.meaning, false, std::move(said)});
        return;
      }
      case Meaning::refused:
        answers.push_back({std::move(result), meant.meaning, false, "refused, " + meant.code});
        return;
      case Meaning::pending:
        answers.push_back({std::move(result), meant.meaning, false, "accepted, answer to follow"});
        return;
      case Meaning::transient:
        answers.push_back({result, meant.meaning, false, "not reached, to be tried again"});
        answers.push_back({std::move(result), meant.meaning, true, "never reached"});
        return;
      case Meaning::unknown:
        answers.push_back({result, meant.meaning, false, "no answer, to be tried again"});
        answers.push_back({std::move(result), meant.meaning, true, "no answer, for good"});
        return;
    }
  }

  void wait(const dsl::Step& step, const dsl::Wait& wait) {
    StepAnswers& answers = out_.steps[&step];
    const Json schema = wait.schema ? wait.schema->source() : Json();
    const auto comes = [&](const Json& payload, bool admitted) {
      for (const auto& name : wait.signals) {
        answers.signals.push_back({{name, payload, "somebody", {"*"}},
                                   admitted,
                                   "the signal `" + name + "` comes: " + payload.dump()});
      }
    };
    for (const auto& payload :
         representatives(readings_.signals[step.name], schema, "payload", bodies_max, cut_)) {
      if (!wait.schema || wait.schema->validate(payload).empty()) comes(payload, true);
    }
    if (!wait.schema) return;
    for (const Json& payload : {Json(), Json::object(), Json::array(), Json("other")}) {
      if (!wait.schema->validate(payload).empty()) return comes(payload, false);
    }
  }

  void child(const dsl::Step& step) {
    StepAnswers& answers = out_.steps[&step];
    for (const auto& output : bodies_of(readings_.children[step.name])) {
      std::string said = "the child completes";
      if (output.is_object() && !output.empty()) said += " with " + output.dump();
      answers.child.push_back({SagaStatus::completed, output, std::nullopt, std::move(said)});
    }
    std::set<std::string> codes = readings_.codes;
    codes.insert("CHILD_REFUSED");
    codes.insert("CANCELLED");
    for (const auto& code : codes) {
      answers.child.push_back({SagaStatus::failed, nullptr,
                               Failure{code, "failure", "", step.name, nullptr},
                               "the child fails, " + code});
    }
    const Failure stuck{"RETRIES_EXHAUSTED", "suspended", "", step.name, nullptr};
    answers.child.push_back({SagaStatus::suspended, nullptr, stuck, "the child is suspended"});
    answers.child.push_back(
        {SagaStatus::running, nullptr, std::nullopt, "the suspended child goes on"});
    answers.child.push_back(
        {SagaStatus::compensating, nullptr, std::nullopt, "the suspended child goes on back"});
  }

  const Program& program_;
  Answers& out_;
  Readings readings_;
  Json input_;
  bool cut_ = false;
};

}  // namespace

const std::vector<Answer>& StepAnswers::of(Phase phase) const {
  switch (phase) {
    case Phase::forward:
      return forward;
    case Phase::probe:
      return probe;
    case Phase::poll:
      return poll;
    case Phase::compensate:
      return undo;
  }
  return forward;
}

Answers answers_of(const Program& program) {
  Answers answers;
  Maker(program, answers).make();
  return answers;
}

}  // namespace backstitch::engine::explore

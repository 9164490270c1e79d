#include "answers.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <backstitch/base/match.hpp>
#include <backstitch/dsl/expression_ast.hpp>
#include <backstitch/engine/machine/answer.hpp>
#include <backstitch/engine/machine/answer_body.hpp>

namespace backstitch::engine::explore {

using dsl::OutcomeClass;

namespace {

constexpr std::size_t inputs_max = 64;
constexpr std::size_t bodies_max = 32;
constexpr std::size_t headers_max = 8;

/// What an output may read of one answer when nothing has happened before it.
class AnswerScope : public dsl::Scope {
 public:
  AnswerScope(const Json& input, const Response& response) : input_(input) {
    Json headers = Json::object();
    for (const auto& [name, value] : response.headers) headers[name] = value;
    response_ = {{"status", response.status},
                 {"headers", headers},
                 {"body", response.body},
                 {"unreadable", !response.unreadable.empty()},
                 {"from", "participant"}};
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

class Maker {
 public:
  Maker(const Program& program, const FreeConditions& free, Answers& out)
      : program_(program), free_(free), out_(out), readings_(read(*program.definition)) {}

  void make(const std::vector<Json>& inputs) {
    make_inputs(inputs);
    const auto& definition = *program_.definition;
    for (const auto* steps : {&definition.steps, &definition.on_failure, &definition.on_suspended})
      list(*steps);
    out_.failure_read = readings_.failure_read;
    out_.details_read = readings_.details_read;
    out_.cut = cut_;
    if (cut_) {
      out_.notes.emplace_back(
          "the data has too many shapes: each was tried by itself, not all of them together");
    }
  }

 private:
  void make_inputs(const std::vector<Json>& given) {
    const auto& definition = *program_.definition;
    const Json schema = definition.input ? definition.input->source() : Json();
    readings_.input.object = true;
    const auto made = representatives(readings_.input, schema, "input", inputs_max, cut_);
    out_.inputs = given;
    for (const auto& input : made) {
      auto admitted = admit_input(definition, input);
      if (admitted) add_input(std::move(*admitted));
    }
    if (out_.inputs.empty()) {
      out_.inputs_admitted = false;
      const auto refused = admit_input(definition, made.front());
      out_.notes.push_back("no input was found that the schema admits (" + why(refused.error()) +
                           "); give one with --input");
      add_input(definition.input->with_defaults(made.front()));
    }
    input_ = out_.inputs.front();
  }

  void add_input(Json input) {
    auto& inputs = out_.inputs;
    if (std::find(inputs.begin(), inputs.end(), input) == inputs.end())
      inputs.push_back(std::move(input));
  }

  static std::string why(const Error& refused) {
    return refused.details.empty() ? refused.message : refused.details.front().message;
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
        out_.steps[&step].undo =
            calls({step, Question::compensation, &undo->outcomes, &undo->request},
                  bodies_of(readings_.undone[step.name]));
      }
    }
  }

  std::vector<Json> bodies_of(const Shape& shape) {
    return representatives(shape, nullptr, "", bodies_max, cut_);
  }

  /// A call that answers are made for.
  struct Asked {
    const dsl::Step& step;
    Question question;
    const std::vector<dsl::OutcomeRule>* rules;  ///< of the call itself
    const dsl::Request* request;
  };

  Meant meant_by(const Asked& asked, const CallResult& result) const {
    const auto meant = engine::meaning_of(program_, asked.step, asked.question, result, false);
    return {meaning_of(meant.outcome), meant.code};
  }

  void action(const dsl::Step& step, const dsl::Action& action) {
    StepAnswers& answers = out_.steps[&step];
    const auto bodies = bodies_of(readings_.answers[step.name]);
    const Asked asked{step, Question::action, &action.outcomes, &action.request};
    answers.forward = calls(asked, bodies);
    add_odd_bodies(answers.forward, asked, action, bodies);
    if (action.probe) {
      answers.probe =
          calls({step, Question::probe, &action.probe->outcomes, &action.probe->request},
                bodies_of(readings_.probed[step.name]));
    }
    if (!action.completion) return;
    const auto followed = bodies_of(readings_.followed[step.name]);
    const auto& poll = action.completion->poll;
    if (poll) {
      answers.poll =
          without_last(calls({step, Question::poll, &poll->outcomes, &poll->request}, followed));
    }
    if (!action.completion->callback) return;
    const auto told = calls(
        {step, Question::callback, poll ? &poll->outcomes : &action.outcomes, &action.request},
        followed);
    for (const auto& answer : without_last(told)) {
      const bool posted = std::holds_alternative<Response>(answer.result);
      if (posted && (!answer.sure || answer.meaning == Meaning::success ||
                     answer.meaning == Meaning::refused))
        answers.callback.push_back(answer);
    }
  }

  /// What servers and what stands before them answer in place of a body, where it makes a
  /// difference: the output fails for it, or is the body itself and something reads it.
  void add_odd_bodies(std::vector<Answer>& answers, const Asked& asked, const dsl::Action& action,
                      const std::vector<Json>& usual) const {
    const std::pair<const char*, const char*> odd[] = {
        {"", "done, with an empty body"}, {"<html></html>", "done, with an HTML page as body"}};
    for (const auto& [bytes, said] : odd) {
      auto body = read_body("text/html", "", bytes);
      Response response{200, {}, std::move(body.value), std::move(body.unreadable)};
      if (!makes_a_difference(action, response, usual)) continue;
      CallResult result = std::move(response);
      const Meant meant = meant_by(asked, result);
      if (meant.meaning == Meaning::success)
        answers.push_back({std::move(result), meant.meaning, false, true, true, said});
    }
  }

  bool makes_a_difference(const dsl::Action& action, const Response& response,
                          const std::vector<Json>& usual) const {
    const AnswerScope scope(input_, response);
    dsl::Budget budget;
    for (const auto* source : {&action.output, &action.capture}) {
      if (*source && !(*source)->render(scope, budget)) return true;
    }
    const Json& first = usual.front();
    return !action.output && (usual.size() > 1 || (first.is_structured() && !first.empty()));
  }

  static std::vector<Answer> without_last(const std::vector<Answer>& answers) {
    std::vector<Answer> out;
    std::copy_if(answers.begin(), answers.end(), std::back_inserter(out),
                 [](const Answer& answer) { return !answer.last; });
    return out;
  }

  /// Of the call itself, of its action and of its service.
  std::vector<const std::vector<dsl::OutcomeRule>*> rules_of(const Asked& asked) const {
    const auto* action = std::get_if<dsl::Action>(&asked.step.body);
    const std::string own = action != nullptr ? action->request.service : std::string{};
    const auto* service =
        program_.service(asked.request->service.empty() ? own : asked.request->service);
    std::vector<const std::vector<dsl::OutcomeRule>*> lists{asked.rules};
    if (action != nullptr) lists.push_back(&action->outcomes);
    if (service != nullptr) lists.push_back(&service->outcomes);
    return lists;
  }

  /// Whether a rule about such an answer reads more than the answer, or its condition is decided on
  /// the way.
  bool is_judged_on_the_way(const Asked& asked, int status) const {
    for (const auto* list : rules_of(asked)) {
      for (const auto& rule : *list) {
        const bool named = std::any_of(
            rule.status.begin(), rule.status.end(),
            [&](const auto& range) { return range.first <= status && status <= range.last; });
        if (!rule.when || rule.transport || (!rule.status.empty() && !named)) continue;
        if (is_free(rule.when->root())) return true;
        for (const auto& read : rule.when->references()) {
          if (read.root != "response") return true;
        }
      }
    }
    return false;
  }
  bool is_free(const dsl::Node& node) const {
    return free_.count(&node) > 0 ||
           std::any_of(node.children.begin(), node.children.end(),
                       [&](const dsl::Node& child) { return is_free(child); });
  }

  /// `HTTP_409`: 409; 0: another code.
  static int status_of(const std::string& code) {
    int status = 0;
    if (!code.starts_with("HTTP_")) return 0;
    const auto [end, error] = std::from_chars(code.data() + 5, code.data() + code.size(), status);
    return error == std::errc{} && end == code.data() + code.size() ? status : 0;
  }

  using Headers = decltype(Response::headers);

  /// Of an answer as its readers expect them, the plain ones first.
  std::vector<Headers> headers_of(const dsl::Step& step) const {
    const auto shape = readings_.headers.find(step.name);
    if (shape == readings_.headers.end() || !shape->second.object) return {Headers{}};
    bool cut = false;
    std::vector<Headers> out;
    for (const auto& made : representatives(shape->second, nullptr, "", headers_max, cut)) {
      Headers& headers = out.emplace_back();
      for (const auto& [name, value] : made.items())
        headers.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
    }
    return out;
  }

  /// What expressions see of an answer beside its status.
  static std::string read_of(const Response& response) {
    std::string text = response.body.dump();
    for (const auto& [name, value] : response.headers) text += "\n" + name + ": " + value;
    return text;
  }

  /// What is to be judged: each body, each status and transport error that a rule names, and one
  /// of each kind that the table knows.
  std::vector<CallResult> results_of(const Asked& asked, const std::vector<Json>& bodies) const {
    std::vector<CallResult> results;
    const auto headers = headers_of(asked.step);
    for (const auto& body : bodies) results.emplace_back(Response{200, headers.front(), body});
    for (std::size_t i = 1; i < headers.size(); ++i)
      results.emplace_back(Response{200, headers[i], bodies.front()});
    const auto* action = std::get_if<dsl::Action>(&asked.step.body);
    for (const auto* list : rules_of(asked)) {
      for (const auto& rule : *list) {
        if (rule.transport) {
          const bool sent = *rule.transport != dsl::Transport::dns &&
                            *rule.transport != dsl::Transport::connect &&
                            *rule.transport != dsl::Transport::tls;
          results.emplace_back(TransportError{*rule.transport, sent, ""});
        }
        for (const auto& range : rule.status) {
          for (const auto& body : bodies) {
            results.emplace_back(Response{range.first, headers.front(), body});
            if (!rule.when) break;
          }
        }
      }
    }
    if (action != nullptr && action->completion)
      results.emplace_back(Response{202, headers.front(), bodies.front()});
    // First the one that is believed after an unknown attempt, too: what is not believed there is
    // as good as no answer, which is tried anyway.
    for (const int status : {422, 400, 404}) results.emplace_back(Response{status, {}, nullptr});
    for (const auto& code : readings_.codes) {
      if (const int status = status_of(code); status >= 400)
        results.emplace_back(Response{status, {}, nullptr});
    }
    results.emplace_back(TransportError{dsl::Transport::connect, false, "no connection"});
    results.emplace_back(Response{429, {}, nullptr});
    results.emplace_back(TransportError{dsl::Transport::timeout, true, "no answer"});
    results.emplace_back(Response{500, {}, nullptr});
    return results;
  }

  /// One answer of each meaning; of success one for each body, of refusals one for each code that
  /// something depends on, and one of the others.
  std::vector<Answer> calls(const Asked& asked, const std::vector<Json>& bodies) {
    const bool output_read = asked.question != Question::compensation;
    std::vector<Answer> answers;
    std::set<std::string> seen;
    for (const auto& result : results_of(asked, bodies)) {
      const auto* response = std::get_if<Response>(&result);
      if (response != nullptr && is_judged_on_the_way(asked, response->status)) {
        if (seen.insert(std::to_string(response->status) + read_of(*response)).second)
          add_unsure(answers, *response);
        continue;
      }
      const Meant meant = meant_by(asked, result);
      const bool matters = readings_.codes.count(meant.code) > 0;
      std::string key = std::to_string(static_cast<int>(meant.meaning));
      if (meant.meaning == Meaning::success) key += output_read ? read_of(*response) : "";
      if (meant.meaning == Meaning::refused && matters) key += meant.code;
      if (seen.insert(key).second) add(answers, result, meant, output_read);
    }
    if (!output_read) keep_one_last(answers);
    return answers;
  }

  /// Its rules tell on the way what it means, and whether it is the last.
  static void add_unsure(std::vector<Answer>& answers, const Response& response) {
    std::string said = "answers " + std::to_string(response.status);
    if (response.body.is_object() && !response.body.empty()) said += " " + response.body.dump();
    answers.push_back({response, Meaning::unknown, false, false, false, said});
    answers.push_back(
        {response, Meaning::unknown, true, false, false, said + ", for the last time"});
  }

  /// An undo that is given up is given up, whatever was said last.
  static void keep_one_last(std::vector<Answer>& answers) {
    bool kept = false;
    std::erase_if(answers,
                  [&](const Answer& answer) { return answer.last && std::exchange(kept, true); });
  }

  static void add(std::vector<Answer>& answers, const CallResult& result, const Meant& meant,
                  bool body_matters) {
    const auto put = [&](bool last, std::string said) {
      answers.push_back({result, meant.meaning, last, false, true, std::move(said)});
    };
    switch (meant.meaning) {
      case Meaning::success: {
        const auto& response = std::get<Response>(result);
        std::string said = "done";
        if (response.status != 200) said += " (" + std::to_string(response.status) + ")";
        if (body_matters && !response.body.empty() && response.body.is_object())
          said += " " + response.body.dump();
        return put(false, std::move(said));
      }
      case Meaning::refused:
        return put(false, "refused, " + meant.code);
      case Meaning::pending:
        return put(false, "accepted, answer to follow");
      case Meaning::transient:
        put(false, "not reached, to be tried again");
        return put(true, "never reached");
      case Meaning::unknown:
        put(false, "no answer, to be tried again");
        return put(true, "no answer, for good");
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
      answers.child.push_back(
          {SagaStatus::failed, nullptr,
           Failure{code, code == "CANCELLED" ? "cancelled" : "failure", "", step.name, nullptr},
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
  const FreeConditions& free_;
  Answers& out_;
  Readings readings_;
  Json input_;
  bool cut_ = false;
};

}  // namespace

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

Answers answers_of(const Program& program, const std::vector<Json>& inputs,
                   const FreeConditions& free, Coverage* coverage) {
  Answers answers;
  Program noted = program;
  noted.oracle = coverage;
  Maker(noted, free, answers).make(inputs);
  return answers;
}

}  // namespace backstitch::engine::explore

#include "answers.hpp"

#include <algorithm>

namespace backstitch::rehearsal {
namespace {

constexpr int depth_max = 8;

/// A list that cannot be run through.
bool fails(const dsl::Steps& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const dsl::Step& step) {
    return !step.when && std::holds_alternative<dsl::Fail>(step.body);
  });
}

Rules rules_in(const std::vector<dsl::OutcomeRule>& list) {
  Rules all;
  for (const auto& rule : list) all.push_back(&rule);
  return all;
}

Places response_with(const std::shared_ptr<Shape>& body) {
  auto response = make_shape({}, Kind::object);
  response->members["body"] = {body};
  return {response};
}

}  // namespace

/// Goes through one definition, or one use of it as a sub-saga, from its first step on.
class Answers::Walk {
 public:
  Walk(Answers& answers, const dsl::Definition& definition, Places input, int depth)
      : answers_(answers),
        definition_(definition),
        sheet_(answers.sheets_[definition.name]),
        depth_(depth),
        everywhere_(Reading([this](const std::string& step) {
                      return output_of(step);
                    }).with("input", std::move(input))) {}

  /// @return the saga's output
  Places run() {
    for (const auto& label : definition_.labels) everywhere_.read(label.value);
    everywhere_.read(definition_.business_key);
    duration(everywhere_, definition_.timeout);
    for (const auto* steps :
         {&definition_.steps, &definition_.on_failure, &definition_.on_suspended})
      list(*steps, everywhere_);
    return definition_.output ? everywhere_.read(*definition_.output) : Places{};
  }

 private:
  Places output_of(const std::string& step) const {
    const auto found = outputs_.find(step);
    return found == outputs_.end() ? Places{} : found->second;
  }

  static void duration(const Reading& reading, const std::optional<dsl::DurationField>& field) {
    if (!field) return;
    if (const auto* source = std::get_if<dsl::Expression>(&*field))
      want(reading.read(source->root()), Kind::duration);
  }

  void list(const dsl::Steps& steps, const Reading& reading) {
    for (const auto& step : steps) one(step, reading);
  }

  void one(const dsl::Step& step, const Reading& reading) {
    const bool ends = std::holds_alternative<dsl::Fail>(step.body);
    if (step.when) reading.condition(*step.when, ends ? std::optional(false) : std::nullopt);
    duration(reading, step.timeout);
    Places& output = outputs_[step.name];
    if (const auto* body = std::get_if<dsl::Action>(&step.body)) {
      action(step, *body, reading);
    } else if (const auto* saga = std::get_if<dsl::SubSaga>(&step.body)) {
      add(output, child(*saga, reading));
      if (const auto* undo_it = std::get_if<dsl::Compensation>(&step.undo))
        undo(step, *undo_it, reading, {});
    } else if (const auto* parallel = std::get_if<dsl::Parallel>(&step.body)) {
      for (const auto& branch : parallel->branches) list(branch.steps, reading);
    } else if (const auto* choice = std::get_if<dsl::Switch>(&step.body)) {
      arms(*choice, reading, output);
    } else if (const auto* loop = std::get_if<dsl::ForEach>(&step.body)) {
      for_each(*loop, reading, output);
    } else if (const auto* attempt = std::get_if<dsl::Try>(&step.body)) {
      catches(*attempt, reading, output);
    } else if (const auto* value = std::get_if<dsl::Value>(&step.body)) {
      add(output, reading.read(value->value));
    } else if (const auto* fail = std::get_if<dsl::Fail>(&step.body)) {
      reading.read(fail->message);
      reading.read(fail->details);
    } else if (const auto* sleep = std::get_if<dsl::Sleep>(&step.body)) {
      duration(reading, sleep->duration);
      if (sleep->until) want(reading.read(*sleep->until), Kind::time);
    } else if (const auto* wait = std::get_if<dsl::Wait>(&step.body)) {
      duration(reading, wait->timeout);
      reading.read(wait->default_value);
    }
  }

  void action(const dsl::Step& step, const dsl::Action& action, const Reading& reading) {
    auto& body = sheet_.actions[step.name];
    if (!body) body = make_shape(step.name);
    const Reading answered = reading.with("response", response_with(body));
    request(action.request, reading);
    steer(answers_.rules_of(definition_, action.request.service, action.outcomes), answered);
    Places output = action.output ? answered.read(*action.output) : Places{body};
    const Places captured = action.capture ? answered.read(*action.capture) : Places{};
    if (action.probe) {
      request(action.probe->request, reading);
      steer(rules_in(action.probe->outcomes), answered);
      answered.read(action.probe->output);
    }
    if (action.completion) {
      duration(reading, action.completion->timeout);
      if (action.completion->poll) {
        duration(reading, action.completion->poll->every);
        request(action.completion->poll->request, reading);
        steer(rules_in(action.completion->poll->outcomes), answered);
      }
    }
    duration(reading, action.attempt_timeout);
    if (const auto* undo_it = std::get_if<dsl::Compensation>(&step.undo)) {
      auto self = make_shape({}, Kind::object);
      self->members = {{"output", output}, {"captured", captured}};
      undo(step, *undo_it, reading.with("self", {self}), action.request.service);
    }
    add(outputs_[step.name], output);
  }

  void undo(const dsl::Step& step, const dsl::Compensation& undo, const Reading& reading,
            const std::string& service) {
    auto& body = sheet_.undos[step.name];
    if (!body) body = make_shape(step.name, Kind::object);
    if (undo.when) reading.condition(*undo.when);
    request(undo.request, reading);
    duration(reading, undo.attempt_timeout);
    steer(answers_.rules_of(definition_,
                            undo.request.service.empty() ? service : undo.request.service,
                            undo.outcomes),
          reading.with("response", response_with(body)));
  }

  /// The answer is a success: the first rule that says so holds, those before it do not.
  static void steer(const Rules& rules, const Reading& reading) {
    bool decided = false;
    for (const auto* rule : rules) {
      duration(reading, rule->retry_after);
      if (!rule->when) continue;
      const bool success = rule->is == dsl::OutcomeClass::success;
      reading.condition(*rule->when, decided ? std::nullopt : std::optional(success));
      decided = decided || success;
    }
  }

  static void request(const dsl::Request& request, const Reading& reading) {
    reading.read(request.path);
    for (const auto& one : request.query) reading.read(one.value);
    for (const auto& one : request.headers) reading.read(one.value);
    reading.read(request.body);
  }

  Places child(const dsl::SubSaga& saga, const Reading& reading) {
    const Places input = reading.read(saga.input);
    reading.read(saga.business_key);
    for (const auto& definition : answers_.definitions_) {
      const bool named =
          definition->name == saga.name && (!saga.version || *saga.version == definition->version);
      if (!named || depth_ >= depth_max) continue;
      if (definition->input) want_schema(input, definition->input->source());
      return Walk(answers_, *definition, input, depth_ + 1).run();
    }
    return {};
  }

  void arms(const dsl::Switch& choice, const Reading& reading, Places& output) {
    const auto arm = [&](const dsl::Case& one) {
      list(one.steps, reading);
      if (one.output) add(output, reading.read(*one.output));
    };
    const bool must_choose = choice.otherwise && fails(choice.otherwise->steps);
    bool chosen = false;
    for (const auto& one : choice.cases) {
      std::optional<bool> truth;
      if (fails(one.steps)) {
        truth = false;
      } else if (must_choose && !chosen) {
        truth = true;
        chosen = true;
      }
      if (one.when) reading.condition(*one.when, truth);
      arm(one);
    }
    if (choice.otherwise) arm(*choice.otherwise);
  }

  void for_each(const dsl::ForEach& loop, const Reading& reading, Places& output) {
    const Places items = reading.read(loop.in.root());
    Reading inside = reading.with(loop.as, items_of(items));
    if (!loop.index_as.empty()) inside = inside.with(loop.index_as, {});
    if (loop.key) inside.read(loop.key->root());
    list(loop.steps, inside);
    auto yields = make_shape({}, Kind::array);
    if (loop.yield) yields->elements = inside.read(*loop.yield);
    output.push_back(yields);
  }

  void catches(const dsl::Try& attempt, const Reading& reading, Places& output) {
    list(attempt.steps, reading);
    if (attempt.output) add(output, reading.read(*attempt.output));
    for (const auto& one : attempt.catches) {
      if (one.when) reading.condition(*one.when);
      list(one.steps, reading);
      if (one.output) add(output, reading.read(*one.output));
    }
  }

  Answers& answers_;
  const dsl::Definition& definition_;
  Sheet& sheet_;
  int depth_;
  std::map<std::string, Places> outputs_;
  Reading everywhere_;
};

Answers::Answers(const Definitions& definitions, FindService find)
    : definitions_(definitions), find_(std::move(find)) {
  // What is a sub-saga of the first is read where it is used, with what it is given.
  Walk(*this, *definitions_.front(), {}, 0).run();
}

Json Answers::of_action(const std::string& definition, const std::string& step, int number) const {
  const auto sheet = sheets_.find(definition);
  if (sheet == sheets_.end()) return Json::object();
  const auto shape = sheet->second.actions.find(step);
  // An answer that nobody reads is an empty one.
  if (shape == sheet->second.actions.end() ||
      (shape->second->kind == Kind::any && !shape->second->in_text))
    return Json::object();
  return example(*shape->second, std::to_string(number));
}

Json Answers::of_undo(const std::string& definition, const std::string& step, int number) const {
  const auto sheet = sheets_.find(definition);
  if (sheet == sheets_.end()) return Json::object();
  const auto shape = sheet->second.undos.find(step);
  return shape == sheet->second.undos.end() ? Json::object()
                                            : example(*shape->second, std::to_string(number));
}

Json Answers::of_rule(const dsl::OutcomeRule& rule, int number) {
  auto body = make_shape({}, Kind::object);
  const Reading reading =
      Reading([](const std::string&) { return Places{}; }).with("response", response_with(body));
  if (rule.when) reading.condition(*rule.when, true);
  return example(*body, std::to_string(number));
}

Rules Answers::rules_of(const dsl::Definition& definition, const std::string& service,
                        const std::vector<dsl::OutcomeRule>& own) const {
  Rules rules = rules_in(own);
  const auto named = definition.services.find(service);
  if (named == definition.services.end()) return rules;
  const dsl::Service* found = named->second.use.empty() ? &named->second : find_(named->second);
  if (found == nullptr) return rules;
  for (const auto& rule : found->outcomes) rules.push_back(&rule);
  return rules;
}

}  // namespace backstitch::rehearsal

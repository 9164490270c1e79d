#include "reading.hpp"

#include <algorithm>

#include <backstitch/base/match.hpp>

#include "expression_reading.hpp"

namespace backstitch::engine::explore {
namespace {

class Reader {
 public:
  explicit Reader(Readings& out) : out_(out) {}

  void definition(const dsl::Definition& definition) {
    expressions_.names["input"] = Origin::of({&out_.input});
    expressions_.names["failure"] = Origin::of({&failure_});
    if (definition.business_key) text(*definition.business_key);
    for (const auto& label : definition.labels) text(label.value);
    duration(definition.timeout);
    for (const auto* steps : {&definition.steps, &definition.on_failure, &definition.on_suspended})
      list(*steps);
    if (definition.output) value(*definition.output);
    out_.failure_read = expressions_.failure_read;
    const auto code = failure_.members.find("code");
    if (code == failure_.members.end()) return;
    for (const auto& constant : code->second.compared) {
      if (constant.is_string()) out_.codes.insert(constant.get<std::string>());
    }
  }
  bool failure_details_read() const {
    return failure_.members.count("details") > 0 || failure_.members.count("message") > 0;
  }

 private:
  void list(const dsl::Steps& steps) {
    for (const auto& step : steps) {
      if (step.when) condition(*step.when);
      if (step.timeout) duration(*step.timeout);
      Origin output = std::visit(Match{[&](const dsl::Action& body) { return action(step, body); },
                                       [&](const dsl::SubSaga& body) { return child(step, body); },
                                       [&](const dsl::Parallel& body) {
                                         for (const auto& branch : body.branches)
                                           list(branch.steps);
                                         return Origin{};
                                       },
                                       [&](const dsl::Switch& body) { return one_of(body); },
                                       [&](const dsl::ForEach& body) { return for_each(body); },
                                       [&](const dsl::Try& body) { return attempt(body); },
                                       [&](const dsl::Wait& body) { return wait(step, body); },
                                       [&](const dsl::Sleep& body) {
                                         if (body.duration) duration(*body.duration);
                                         if (body.until) value(*body.until).mark(&Shape::time);
                                         if (body.until) mark_parts(*body.until, &Shape::time);
                                         return Origin{};
                                       },
                                       [&](const dsl::Value& body) { return value(body.value); },
                                       [&](const dsl::Fail& body) {
                                         if (body.message) text(*body.message);
                                         if (body.details) value(*body.details);
                                         return Origin{};
                                       }},
                                 step.body);
      expressions_.outputs[step.name] = std::move(output);
      undo(step);
    }
  }

  Origin action(const dsl::Step& step, const dsl::Action& action) {
    Shape& body = out_.answers[step.name];
    request(action.request);
    if (action.attempt_timeout) duration(*action.attempt_timeout);
    retry(action.retry);
    const auto outer = expressions_.names;
    expressions_.names["response"] = response_of(step, {&body});
    rules(action.outcomes);
    // What a probe finds becomes the output as the action's own answer does, unless it says how.
    std::vector<Shape*> bodies{&body};
    if (action.probe && !action.probe->output) bodies.push_back(&out_.probed[step.name]);
    if (action.completion) bodies.push_back(&out_.followed[step.name]);
    expressions_.names["response"] = response_of(step, bodies);
    Origin output = action.output ? value(*action.output) : Origin::of(bodies);
    captured_ = action.capture ? value(*action.capture) : Origin{};
    if (action.probe) {
      request(action.probe->request);
      expressions_.names["response"] = response_of(step, {&out_.probed[step.name]});
      rules(action.probe->outcomes);
      retry(action.probe->retry);
      if (action.probe->output) output.add(value(*action.probe->output));
    }
    if (action.completion) {
      expressions_.names["response"] = response_of(step, {&out_.followed[step.name]});
      duration(action.completion->timeout);
      if (!action.completion->poll) {
        rules(action.outcomes);
      } else {
        request(action.completion->poll->request);
        rules(action.completion->poll->outcomes);
        duration(action.completion->poll->every);
      }
    }
    expressions_.names = outer;
    return output;
  }

  void undo(const dsl::Step& step) {
    const auto* undo = std::get_if<dsl::Compensation>(&step.undo);
    if (undo == nullptr) return;
    const auto outer = expressions_.names;
    expressions_.names["self"].members["output"] = expressions_.outputs[step.name];
    expressions_.names["self"].members["captured"] = captured_;
    if (undo->when) condition(*undo->when);
    request(undo->request);
    retry(undo->retry);
    expressions_.names["response"] = response_of(step, {&out_.undone[step.name]});
    rules(undo->outcomes);
    expressions_.names = outer;
  }

  Origin child(const dsl::Step& step, const dsl::SubSaga& saga) {
    value(saga.input);
    if (saga.business_key) text(*saga.business_key);
    return Origin::of({&out_.children[step.name]});
  }

  Origin one_of(const dsl::Switch& block) {
    Origin output;
    const auto arm = [&](const dsl::Case& one) {
      list(one.steps);
      if (one.output) output.add(value(*one.output));
    };
    for (const auto& one : block.cases) condition(*one.when);
    for (const auto& one : block.cases) arm(one);
    if (block.otherwise) arm(*block.otherwise);
    return output;
  }

  Origin for_each(const dsl::ForEach& block) {
    const auto outer = expressions_.names;
    expressions_.names[block.as] = ExpressionReader::items_of(expression(block.in), &Shape::looped);
    if (!block.index_as.empty()) expressions_.names[block.index_as] = {};
    if (block.key) expression(*block.key);
    list(block.steps);
    Origin output;
    if (block.yield) output.items = std::make_shared<Origin>(value(*block.yield));
    expressions_.names = outer;
    return output;
  }

  Origin attempt(const dsl::Try& block) {
    list(block.steps);
    Origin output = block.output ? value(*block.output) : Origin{};
    for (const auto& one : block.catches) {
      out_.codes.insert(one.codes.begin(), one.codes.end());
      if (one.when) condition(*one.when);
      list(one.steps);
      if (one.output) output.add(value(*one.output));
    }
    return output;
  }

  Origin wait(const dsl::Step& step, const dsl::Wait& wait) {
    Shape& payload = out_.signals[step.name];
    duration(wait.timeout);
    const Origin from = Origin::of({&payload});
    if (wait.accept) {
      const auto outer = expressions_.names;
      expressions_.names["signal"].members["payload"] = from;
      condition(*wait.accept);
      expressions_.names = outer;
    }
    Origin output;
    output.members["payload"] = from;
    if (wait.default_value) output.members["payload"].add(value(*wait.default_value));
    return output;
  }

  Origin response_of(const dsl::Step& step, std::vector<Shape*> bodies) {
    Origin response;
    response.members["headers"] = Origin::of({&out_.headers[step.name]});
    response.members["body"] = Origin::of(std::move(bodies));
    return response;
  }

  void rules(const std::vector<dsl::OutcomeRule>& rules) {
    for (const auto& rule : rules) {
      if (rule.when) condition(*rule.when);
    }
  }

  void request(const dsl::Request& request) {
    if (request.path) text(*request.path);
    for (const auto* list : {&request.query, &request.headers}) {
      for (const auto& one : *list) value(one.value);
    }
    if (request.body) value(*request.body);
  }

  void retry(const dsl::RetrySpec& retry) {
    for (const auto* field : {&retry.delay, &retry.delay_max, &retry.elapsed_max}) {
      if (*field) duration(**field);
    }
  }

  void duration(const dsl::DurationField& field) {
    if (const auto* source = std::get_if<dsl::Expression>(&field))
      expression(*source).mark(&Shape::duration);
  }
  void condition(const dsl::Expression& source) { expression(source).mark(&Shape::boolean); }
  Origin expression(const dsl::Expression& source) { return expressions_.expression(source); }
  Origin value(const dsl::Template& source) { return expressions_.value(source); }
  void text(const dsl::Template& source) { mark_parts(source, &Shape::text); }
  void mark_parts(const dsl::Template& source, bool Shape::*what) {
    for (const auto& part : source.expressions()) expression(part.expression).mark(what);
  }

  Readings& out_;
  ExpressionReader expressions_;
  Shape failure_;
  Origin captured_;
};

}  // namespace

Readings read(const dsl::Definition& definition) {
  Readings readings;
  Reader reader(readings);
  reader.definition(definition);
  readings.details_read = reader.failure_details_read();
  return readings;
}

}  // namespace backstitch::engine::explore

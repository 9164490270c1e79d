#include "fields.hpp"

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/base/match.hpp>

namespace backstitch::dsl {
namespace {

class Fields {
 public:
  std::vector<Field> all;
  Sees sees;

  Field& add(const Template& source, std::string pointer, Wants wants = Wants::value) {
    return all.emplace_back(Field{&source, std::move(pointer), sees, wants});
  }
  void add(const std::optional<Template>& source, const std::string& pointer) {
    if (source) add(*source, pointer);
  }
  void add(const Expression& source, std::string pointer, Wants wants) {
    all.push_back({&source, std::move(pointer), sees, wants});
  }
  void condition(const std::optional<Expression>& when, const std::string& pointer) {
    if (when) add(*when, pointer, Wants::condition);
  }
  void duration(const DurationField& field, const std::string& pointer) {
    if (const auto* source = std::get_if<Expression>(&field))
      add(*source, pointer, Wants::duration);
  }
  void duration(const std::optional<DurationField>& field, const std::string& pointer) {
    if (field) duration(*field, pointer);
  }

  void retry(const RetrySpec& spec) {
    const Sees before = sees;
    // A schedule is made before there is an answer, for attempts and not for the step.
    sees.self = sees.undo;
    duration(spec.delay, spec.pointer + "/delay");
    duration(spec.delay_max, spec.pointer + "/maxDelay");
    duration(spec.elapsed_max, spec.pointer + "/maxElapsed");
    sees = before;
  }

  void outcomes(const std::vector<OutcomeRule>& rules) {
    const Sees before = sees;
    sees.response = true;
    for (const auto& rule : rules) {
      condition(rule.when, rule.pointer + "/when");
      add(rule.message, rule.pointer + "/message");
      duration(rule.retry_after, rule.pointer + "/retryAfter");
    }
    sees = before;
  }

  void request(const Request& request, bool takes_effect = false) {
    const std::string& at = request.pointer;
    sees.request = true;
    sees.effect = takes_effect && request.method != Method::get && request.method != Method::head;
    if (request.path) add(*request.path, at + "/http", Wants::path).exposes = "a path";
    for (const auto& one : request.query) {
      add(one.value, at + "/query/" + escaped_pointer(one.name), Wants::parameter).exposes =
          "a query";
    }
    for (const auto& one : request.headers)
      add(one.value, at + "/headers/" + escaped_pointer(one.name), Wants::parameter);
    if (request.body) add(*request.body, at + "/body", Wants::body);
    sees.request = sees.effect = false;
  }

  void action(const Action& action, const std::string& at) {
    retry(action.retry);
    duration(action.attempt_timeout, at + "/attemptTimeout");
    sees.self = true;
    request(action.request, true);
    outcomes(action.outcomes);
    answer(action.output, at + "/output");
    answer(action.capture, at + "/capture");
    if (action.probe) probe(*action.probe, at + "/probe");
    if (action.completion) completion(*action.completion, at + "/completion");
  }

  void undo(const Compensation& undo, const std::string& at, const std::string& timeout_at) {
    sees.self = sees.undo = sees.failure = true;
    sees.callback_url = false;
    request(undo.request, true);
    condition(undo.when, at + "/when");
    outcomes(undo.outcomes);
    retry(undo.retry);
    duration(undo.attempt_timeout, timeout_at);
  }

 private:
  void answer(const std::optional<Template>& source, const std::string& pointer) {
    sees.response = true;
    add(source, pointer);
    sees.response = false;
  }

  void probe(const Probe& probe, const std::string& at) {
    request(probe.request);
    outcomes(probe.outcomes);
    answer(probe.output, at + "/output");
    retry(probe.retry);
    const bool self = std::exchange(sees.self, false);
    duration(probe.attempt_timeout, at + "/attemptTimeout");
    sees.self = self;
  }

  void completion(const Completion& completion, const std::string& at) {
    if (completion.poll) {
      request(completion.poll->request);
      outcomes(completion.poll->outcomes);
    }
    sees.self = false;
    if (completion.poll) duration(completion.poll->every, at + "/poll/every");
    duration(completion.timeout, at + "/timeout");
  }
};

/// An undo without a timeout of its own has the one of the defaults.
std::string undo_timeout_at(const Step& step, const Check& check) {
  const std::string own = step.pointer + "/compensation/attemptTimeout";
  const bool is_own = check.definition.document.contains(Json::json_pointer(own));
  return is_own ? own : "/defaults/compensation/attemptTimeout";
}

}  // namespace

std::vector<Field> fields_of(const Step& step, const Sees& around, const Check& check) {
  Fields fields;
  fields.sees = around;
  const std::string& at = step.pointer;
  fields.condition(step.when, at + "/when");
  fields.duration(step.timeout, at + "/timeout");
  std::visit(
      Match{[&](const Action& action) {
              fields.sees.callback_url =
                  (action.completion && action.completion->callback) || check.unread.below(at);
              fields.action(action, at);
            },
            [&](const SubSaga& saga) {
              fields.add(saga.input, at + "/saga/input");
              if (saga.business_key)
                fields.add(*saga.business_key, at + "/saga/businessKey").exposes = "a business key";
            },
            [&](const Switch& block) {
              for (std::size_t i = 0; i < block.cases.size(); ++i)
                fields.condition(block.cases[i].when,
                                 at + "/switch/cases/" + std::to_string(i) + "/when");
            },
            [&](const ForEach& block) {
              if (!check.unread.below(at + "/forEach"))
                fields.add(block.in, at + "/forEach/in", Wants::list);
            },
            [&](const Wait& wait) {
              fields.duration(wait.timeout, at + "/wait/timeout");
              fields.add(wait.default_value, at + "/wait/default");
              fields.sees.signal = true;
              fields.condition(wait.accept, at + "/wait/accept");
            },
            [&](const Sleep& sleep) {
              fields.duration(sleep.duration, at + "/sleep/for");
              if (sleep.until) fields.add(*sleep.until, at + "/sleep/until", Wants::time);
            },
            [&](const Value& value) { fields.add(value.value, at + "/value"); },
            [&](const Fail& fail) {
              fields.add(fail.message, at + "/fail/message");
              fields.add(fail.details, at + "/fail/details");
            },
            [](const Parallel&) {}, [](const Try&) {}},
      step.body);
  if (const auto* undo = std::get_if<Compensation>(&step.undo)) {
    const auto* action = std::get_if<Action>(&step.body);
    fields.sees = around;
    fields.sees.outcome_unknown =
        action != nullptr && !(action->probe && action->probe->sealed) && !check.unread.below(at);
    fields.undo(*undo, at + "/compensation", undo_timeout_at(step, check));
  }
  return std::move(fields.all);
}

std::vector<Field> fields_of(const Definition& definition) {
  Fields fields;
  for (const auto& label : definition.labels)
    fields.add(label.value, "/labels/" + escaped_pointer(label.name)).exposes = "a label";
  if (definition.business_key)
    fields.add(*definition.business_key, "/businessKey").exposes = "the business key";
  fields.duration(definition.timeout, "/timeout");
  fields.retry(definition.default_retry);
  fields.duration(definition.default_attempt_timeout, "/defaults/attemptTimeout");
  fields.duration(definition.default_step_timeout, "/defaults/stepTimeout");
  for (const auto& [name, service] : definition.services) {
    fields.retry(service.retry);
    fields.sees.self = true;
    fields.outcomes(service.outcomes);
    fields.sees.self = false;
  }
  return std::move(fields.all);
}

}  // namespace backstitch::dsl

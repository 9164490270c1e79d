#include "parse_steps.hpp"

#include <algorithm>
#include <array>

#include "excerpt.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::array<const char*, 10> type_members{
    "action", "saga", "parallel", "switch", "forEach", "try", "wait", "sleep", "value", "fail"};
/// Members of steps that call a participant; `kind`, `compensation` and `timeout` also of a
/// sub-saga.
constexpr std::array<const char*, 7> action_members{
    "capture", "output", "outcomes", "retry", "attemptTimeout", "probe", "completion"};
constexpr std::array<const char*, 3> call_and_saga_members{"kind", "compensation", "timeout"};

}  // namespace

Steps StepParser::read(const Json& value, const std::string& pointer) {
  Steps steps;
  if (!value.is_array()) {
    add_error(findings_, "E002", pointer, "steps are a list, not " + std::string(value.type_name()),
              "write [ … ]");
    return steps;
  }
  if (++depth_ > limits_.block_nesting_max + 1) {
    add_error(findings_, "E001", pointer,
              "blocks nested deeper than " + std::to_string(limits_.block_nesting_max),
              "move the inner steps into a sub-saga");
  } else {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (auto read = step(value[i], pointer + "/" + std::to_string(i)))
        steps.push_back(std::move(*read));
    }
  }
  --depth_;
  return steps;
}

void StepParser::note_name(const std::string& name, const std::string& pointer) {
  if (!names_.insert(name).second) {
    add_error(findings_, "E102", pointer + "/name", "the step name `" + name + "` is duplicated",
              "rename one: step names are unique in the whole definition, handlers included");
  }
}

std::optional<Step> StepParser::step(const Json& value, const std::string& pointer) {
  if (++count_ == limits_.steps_max + 1) {
    add_error(findings_, "E001", pointer,
              "more than " + std::to_string(limits_.steps_max) + " steps",
              "move some of them into a sub-saga");
  }
  if (count_ > limits_.steps_max) return std::nullopt;
  Reader reader(value, pointer, "a step", findings_);
  Step step;
  step.pointer = pointer;
  if (auto name = reader.identifier("name", true)) {
    note_name(*name, pointer);
    step.name = std::move(*name);
  }
  step.description = reader.text("description").value_or("");
  step.when = reader.expression("when");
  auto read = body(reader);
  const bool is_call = read && std::holds_alternative<Action>(*read);
  const bool is_saga = read && std::holds_alternative<SubSaga>(*read);
  if (is_call || is_saga) call_members(reader, step);
  const auto refuse = [&](const char* member, const char* owner) {
    // Known, so that `finish` does not report it a second time.
    if (reader.take(member) == nullptr || !read) return;
    add_error(findings_, "E101", reader.at(member),
              "`" + std::string(member) + "` does not belong to this type of step",
              "remove it: it belongs to " + std::string(owner));
  };
  for (const char* member : action_members) {
    if (!is_call) refuse(member, "steps with `action`");
  }
  for (const char* member : call_and_saga_members) {
    if (!is_call && !is_saga) refuse(member, "steps with `action` or `saga`");
  }
  reader.finish();
  if (is_call && std::holds_alternative<AutoCompensation>(step.undo)) {
    add_error(findings_, "E101", reader.at("compensation"),
              "only a sub-saga can undo itself: \"auto\" belongs to steps with `saga`",
              "write the request that undoes it, or \"none\"");
  }
  // Unreadable, it still has a name that others may use.
  if (!read && step.name.empty()) return std::nullopt;
  if (read)
    step.body = std::move(*read);
  else
    step.body = Value{};
  if (is_call && !step.kind_stated) {
    const Method method = std::get<Action>(step.body).request.method;
    const bool undone = !std::holds_alternative<NoCompensation>(step.undo);
    const bool reads = std::get<Action>(step.body).request.path &&
                       (method == Method::get || method == Method::head);
    if (!undone && reads) step.kind = StepKind::readonly;
  }
  return step;
}

void StepParser::call_members(Reader& reader, Step& step) {
  const auto kind = reader.word<StepKind>("kind", {{"compensatable", StepKind::compensatable},
                                                   {"pivot", StepKind::pivot},
                                                   {"retryable", StepKind::retryable},
                                                   {"readonly", StepKind::readonly}});
  step.kind_stated = kind.has_value();
  if (kind) step.kind = *kind;
  if (const Json* undo = reader.take("compensation")) {
    step.undo = read_compensation(*undo, reader.at("compensation"), context_, findings_);
  }
  step.timeout = reader.duration("timeout", more_than_nothing);
}

std::optional<StepBody> StepParser::body(Reader& reader) {
  std::vector<std::string> present;
  for (const char* member : type_members) {
    if (reader.take(member) != nullptr) present.emplace_back(member);
  }
  if (present.size() != 1) {
    std::string names;
    for (const auto& name : present) names += (names.empty() ? "`" : ", `") + name + "`";
    reader.refuse("E101",
                  present.empty() ? "the step does nothing: it has no type member"
                                  : "the step has several type members: " + names,
                  "a step has exactly one of action, saga, parallel, switch, forEach, try, wait, "
                  "sleep, value, fail");
    return std::nullopt;
  }
  const std::string& type = present.front();
  StepBody read = [&]() -> StepBody {
    if (type == "action") return action(reader);
    if (type == "saga") return saga(reader);
    if (type == "parallel") return parallel(reader);
    if (type == "switch") return switch_block(reader);
    if (type == "forEach") return for_each(reader);
    if (type == "try") return try_block(reader);
    if (type == "wait") return wait(reader);
    if (type == "sleep") return sleep(reader);
    if (type == "value") return value(reader);
    return fail(reader);
  }();
  return read;
}

Action StepParser::action(Reader& reader) {
  Action action;
  Reader inner(*reader.take("action"), reader.at("action"), "an action", findings_);
  action.request = read_request(inner, true, true);
  inner.finish();
  action.output = reader.value_template("output");
  action.capture = reader.value_template("capture");
  if (const Json* rules = reader.take("outcomes")) {
    action.outcomes = read_outcomes(*rules, reader.at("outcomes"), findings_);
  }
  if (const Json* retry = reader.take("retry")) {
    action.retry = read_retry(*retry, reader.at("retry"), context_.retry_policies, findings_);
  }
  action.attempt_timeout = reader.duration("attemptTimeout", one_attempt);
  if (const Json* probe = reader.take("probe")) {
    action.probe = read_probe(*probe, reader.at("probe"), context_, findings_);
  }
  if (const Json* completion = reader.take("completion")) {
    action.completion = read_completion(*completion, reader.at("completion"), findings_);
  }
  return action;
}

SubSaga StepParser::saga(Reader& reader) {
  Reader inner(*reader.take("saga"), reader.at("saga"), "`saga`", findings_);
  SubSaga saga;
  const auto name = inner.text("name", true);
  if (name && !is_dotted_name(*name)) {
    add_error(findings_, "E002", inner.at("name"),
              "\"" + excerpt(*name, 80) + "\" is not a valid name of a definition",
              "names are lower case, with dots: orders.place");
  }
  saga.name = name.value_or("");
  saga.version = inner.integer("version", 1, INT64_MAX);
  if (!inner.has("input"))
    inner.refuse("E002", "`saga` needs `input`", "add \"input\"; {} if it takes nothing");
  if (auto input = inner.value_template("input")) saga.input = std::move(*input);
  saga.business_key = inner.text_template("businessKey");
  inner.finish();
  return saga;
}

Wait StepParser::wait(Reader& reader) {
  Reader inner(*reader.take("wait"), reader.at("wait"), "`wait`", findings_);
  Wait wait;
  const Json* signal = inner.has("signal") ? inner.take("signal") : inner.require("signal");
  if (signal != nullptr && signal->is_string())
    wait.signals.push_back(signal->get<std::string>());
  else if (signal != nullptr)
    wait.signals = inner.texts("signal");
  if (signal != nullptr && wait.signals.empty()) {
    add_error(findings_, "E002", inner.at("signal"), "`signal` names at least one signal",
              "name the signal it waits for");
  }
  wait.timeout = inner.duration("timeout", {.required = true}).value_or(DurationField{Duration{0}});
  if (const Json* schema = inner.take("schema")) {
    const auto found =
        PayloadSchema::compile(*schema, inner.at("schema"), wait.schema, context_.patterns);
    findings_.insert(findings_.end(), found.begin(), found.end());
  }
  wait.accept = inner.expression("accept");
  wait.allow = inner.texts("allow");
  wait.on_timeout = inner
                        .word<OnTimeout>("onTimeout", {{"fail", OnTimeout::fail},
                                                       {"continue", OnTimeout::continue_}})
                        .value_or(OnTimeout::fail);
  wait.default_value = inner.value_template("default");
  inner.finish();
  return wait;
}

Sleep StepParser::sleep(Reader& reader) {
  Reader inner(*reader.take("sleep"), reader.at("sleep"), "`sleep`", findings_);
  Sleep sleep;
  sleep.duration = inner.duration("for");
  sleep.until = inner.text_template("until");
  if (inner.has("for") == inner.has("until")) {
    inner.refuse("E002", "`sleep` has either `for` or `until`",
                 "write \"for\": \"10m\", or \"until\" with a time");
  }
  if (sleep.until && sleep.until->is_constant() &&
      !parse_rfc3339(sleep.until->source().get_ref<const std::string&>())) {
    const auto& text = sleep.until->source().get_ref<const std::string&>();
    add_error(findings_, "E002", inner.at("until"),
              "\"" + excerpt(text, 40) + "\" is not a valid time",
              hint_for_expression(text, "write for example \"2030-01-31T09:00:00Z\""));
  }
  inner.finish();
  return sleep;
}

Value StepParser::value(Reader& reader) {
  Value value;
  if (auto source = reader.value_template("value")) value.value = std::move(*source);
  return value;
}

Fail StepParser::fail(Reader& reader) {
  Reader inner(*reader.take("fail"), reader.at("fail"), "`fail`", findings_);
  Fail fail;
  fail.code = inner.error_code("code", true).value_or("");
  fail.message = inner.text_template("message");
  fail.details = inner.value_template("details");
  inner.finish();
  return fail;
}

}  // namespace backstitch::dsl

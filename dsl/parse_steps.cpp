#include "parse_steps.hpp"

#include <algorithm>
#include <array>

namespace backstitch::dsl {
namespace {

constexpr std::array<const char*, 10> type_members{
    "action", "saga", "parallel", "switch", "forEach", "try", "wait", "sleep", "value", "fail"};
/// Members of steps that call a participant; `kind`, `compensation` and `timeout` also of a
/// sub-saga.
constexpr std::array<const char*, 7> action_members{
    "capture", "output", "outcomes", "retry", "attemptTimeout", "probe", "completion"};
constexpr std::array<const char*, 3> call_and_saga_members{"kind", "compensation", "timeout"};

OnBranchFailure read_on_failure(Reader& reader) {
  return reader
      .word<OnBranchFailure>(
          "onFailure", {{"cancel", OnBranchFailure::cancel}, {"finish", OnBranchFailure::finish}})
      .value_or(OnBranchFailure::cancel);
}
CompensationOrder read_order(Reader& reader) {
  return reader
      .word<CompensationOrder>("compensationOrder", {{"mirror", CompensationOrder::mirror},
                                                     {"serial", CompensationOrder::serial}})
      .value_or(CompensationOrder::mirror);
}

}  // namespace

Steps StepParser::read(const Json& value, const std::string& pointer) {
  Steps steps;
  if (!value.is_array()) {
    add_error(findings_, "E002", pointer,
              "steps are a list, not " + std::string(value.type_name()));
    return steps;
  }
  if (++depth_ > limits_.block_nesting_max + 1) {
    add_error(findings_, "E001", pointer,
              "blocks nested deeper than " + std::to_string(limits_.block_nesting_max));
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
    add_error(findings_, "E102", pointer + "/name",
              "the step name `" + name + "` stands there twice",
              "step names are unique in the whole definition, handlers included");
  }
}

std::optional<Step> StepParser::step(const Json& value, const std::string& pointer) {
  if (++count_ == limits_.steps_max + 1) {
    add_error(findings_, "E001", pointer,
              "more than " + std::to_string(limits_.steps_max) + " steps");
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
  const auto refuse = [&](const char* member) {
    // Known, so that `finish` does not report it a second time.
    if (reader.take(member) == nullptr || !read) return;
    add_error(findings_, "E101", reader.at(member),
              "`" + std::string(member) + "` does not belong to this type of step");
  };
  if (!is_call) std::for_each(action_members.begin(), action_members.end(), refuse);
  if (!is_call && !is_saga)
    std::for_each(call_and_saga_members.begin(), call_and_saga_members.end(), refuse);
  reader.finish();
  if (!read) return std::nullopt;
  step.body = std::move(*read);
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
  step.timeout = reader.duration("timeout");
}

std::optional<StepBody> StepParser::body(Reader& reader) {
  std::vector<std::string> present;
  for (const char* member : type_members) {
    if (reader.has(member)) present.emplace_back(member);
  }
  if (present.size() != 1) {
    for (const char* member : type_members) reader.take(member);
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
  action.attempt_timeout = reader.duration("attemptTimeout");
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
    add_error(findings_, "E002", inner.at("name"), "\"" + *name + "\" is no name of a definition");
  }
  saga.name = name.value_or("");
  saga.version = inner.integer("version", 1, INT64_MAX);
  if (!inner.has("input")) inner.refuse("E002", "`saga` needs `input`");
  if (auto input = inner.value_template("input")) saga.input = std::move(*input);
  saga.business_key = inner.text_template("businessKey");
  inner.finish();
  return saga;
}

Parallel StepParser::parallel(Reader& reader) {
  Reader inner(*reader.take("parallel"), reader.at("parallel"), "`parallel`", findings_);
  Parallel block;
  const Json* branches = inner.require("branches");
  if (branches != nullptr &&
      (!branches->is_object() || branches->size() < 2 || branches->size() > 32)) {
    add_error(findings_, branches->empty() ? "E106" : "E002", inner.at("branches"),
              "`branches` is an object of 2 to 32 lists of steps");
  } else if (branches != nullptr) {
    for (const auto& [name, steps] : branches->items()) {
      const std::string at = inner.at("branches") + "/" + escaped_pointer(name);
      if (!is_identifier(name))
        add_error(findings_, "E002", at, "\"" + name + "\" is no name of a branch");
      if (steps.is_array() && steps.empty())
        add_error(findings_, "E106", at, "the branch has no steps");
      block.branches.push_back({name, read(steps, at)});
    }
  }
  if (const auto most = inner.integer("maxConcurrency", 1, 64))
    block.concurrency_max = static_cast<std::uint32_t>(*most);
  block.on_failure = read_on_failure(inner);
  block.compensation_order = read_order(inner);
  inner.finish();
  return block;
}

Case StepParser::read_case(const Json& value, const std::string& pointer, bool with_condition) {
  Reader reader(value, pointer, with_condition ? "a case" : "`otherwise`", findings_);
  Case one;
  if (with_condition) one.when = reader.expression("when", true);
  if (const Json* steps = reader.require("steps")) one.steps = read(*steps, reader.at("steps"));
  one.output = reader.value_template("output");
  reader.finish();
  return one;
}

Switch StepParser::switch_block(Reader& reader) {
  Reader inner(*reader.take("switch"), reader.at("switch"), "`switch`", findings_);
  Switch block;
  const Json* cases = inner.require("cases");
  if (cases != nullptr && (!cases->is_array() || cases->empty() || cases->size() > 32)) {
    add_error(findings_, cases->empty() ? "E106" : "E002", inner.at("cases"),
              "`cases` is a list of 1 to 32 cases");
  } else if (cases != nullptr) {
    for (std::size_t i = 0; i < cases->size(); ++i) {
      block.cases.push_back(
          read_case((*cases)[i], inner.at("cases") + "/" + std::to_string(i), true));
    }
  }
  if (const Json* otherwise = inner.require("otherwise")) {
    block.otherwise = std::make_shared<Case>(read_case(*otherwise, inner.at("otherwise"), false));
  }
  inner.finish();
  return block;
}

ForEach StepParser::for_each(Reader& reader) {
  Reader inner(*reader.take("forEach"), reader.at("forEach"), "`forEach`", findings_);
  ForEach block;
  if (auto in = inner.expression("in", true)) block.in = std::move(*in);
  block.as = inner.identifier("as", true).value_or("");
  block.index_as = inner.identifier("indexAs").value_or("");
  block.key = inner.expression("key");
  block.items_max =
      static_cast<std::uint32_t>(inner.integer("maxItems", 1, 10'000).value_or(block.items_max));
  block.concurrency_max = static_cast<std::uint32_t>(
      inner.integer("maxConcurrency", 1, 64).value_or(block.concurrency_max));
  block.on_failure = read_on_failure(inner);
  block.compensation_order = read_order(inner);
  if (const Json* steps = inner.require("steps")) block.steps = read(*steps, inner.at("steps"));
  block.yield = inner.value_template("yield");
  inner.finish();
  return block;
}

Try StepParser::try_block(Reader& reader) {
  Reader inner(*reader.take("try"), reader.at("try"), "`try`", findings_);
  Try block;
  if (const Json* steps = inner.require("steps")) {
    if (steps->is_array() && steps->empty())
      add_error(findings_, "E106", inner.at("steps"), "the `try` has no steps");
    block.steps = read(*steps, inner.at("steps"));
  }
  block.output = inner.value_template("output");
  const Json* catches = inner.require("catch");
  if (catches != nullptr && (!catches->is_array() || catches->empty() || catches->size() > 8)) {
    add_error(findings_, "E002", inner.at("catch"), "`catch` is a list of 1 to 8 catches");
  } else if (catches != nullptr) {
    for (std::size_t i = 0; i < catches->size(); ++i) {
      Reader one((*catches)[i], inner.at("catch") + "/" + std::to_string(i), "a catch", findings_);
      Catch read_catch;
      for (const auto& code : one.texts("codes")) {
        if (is_error_code(code))
          read_catch.codes.push_back(code);
        else
          add_error(findings_, "E002", one.at("codes"), "\"" + code + "\" is no error code");
      }
      for (const auto& name : one.texts("classes")) {
        const bool known =
            name == "failure" || name == "transient" || name == "unknown" || name == "timeout";
        if (known)
          read_catch.classes.push_back(name);
        else
          add_error(findings_, "E002", one.at("classes"),
                    "classes are failure, transient, unknown, timeout");
      }
      read_catch.when = one.expression("when");
      if (const Json* steps = one.require("steps"))
        read_catch.steps = read(*steps, one.at("steps"));
      read_catch.output = one.value_template("output");
      one.finish();
      block.catches.push_back(std::move(read_catch));
    }
  }
  inner.finish();
  return block;
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
    add_error(findings_, "E002", inner.at("signal"), "`signal` names at least one signal");
  }
  wait.timeout = inner.duration("timeout", true).value_or(DurationField{Duration{0}});
  if (const Json* schema = inner.take("schema")) {
    const auto found = PayloadSchema::compile(*schema, inner.at("schema"), wait.schema);
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
    inner.refuse("E002", "`sleep` has either `for` or `until`");
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

/// The blocks: lists of steps within a step.
#include <set>

#include "excerpt.hpp"
#include "parse_steps.hpp"

namespace backstitch::dsl {
namespace {

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

Parallel StepParser::parallel(Reader& reader) {
  Reader inner(*reader.take("parallel"), reader.at("parallel"), "`parallel`", findings_);
  Parallel block;
  const Json* branches = inner.require("branches");
  if (branches != nullptr &&
      (!branches->is_object() || branches->size() < 2 || branches->size() > 32)) {
    add_error(findings_, branches->is_object() && branches->empty() ? "E106" : "E002",
              inner.at("branches"), "`branches` is an object of 2 to 32 lists of steps",
              "write { \"one\": [ … ], \"other\": [ … ] }");
  } else if (branches != nullptr) {
    for (const auto& [name, steps] : branches->items()) {
      const std::string at = inner.at("branches") + "/" + escaped_pointer(name);
      if (!is_identifier(name))
        add_error(findings_, "E002", at,
                  "\"" + excerpt(name, 80) + "\" is not a valid name of a branch", hint_for_names);
      if (steps.is_array() && steps.empty())
        add_error(findings_, "E106", at, "the branch has no steps", "remove it");
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
    add_error(findings_, cases->is_array() && cases->empty() ? "E106" : "E002", inner.at("cases"),
              "`cases` is a list of 1 to 32 cases",
              "write [ { \"when\": \"${…}\", \"steps\": [ … ] } ]");
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
      add_error(findings_, "E106", inner.at("steps"), "the `try` has no steps",
                "remove it, or move steps into it");
    block.steps = read(*steps, inner.at("steps"));
  }
  block.output = inner.value_template("output");
  const Json* catches = inner.require("catch");
  if (catches != nullptr && (!catches->is_array() || catches->empty() || catches->size() > 8)) {
    add_error(findings_, "E002", inner.at("catch"), "`catch` is a list of 1 to 8 catches",
              "write [ { \"steps\": [ … ] } ]");
  } else if (catches != nullptr) {
    for (std::size_t i = 0; i < catches->size(); ++i)
      block.catches.push_back(
          read_catch((*catches)[i], inner.at("catch") + "/" + std::to_string(i)));
  }
  inner.finish();
  return block;
}

Catch StepParser::read_catch(const Json& value, const std::string& pointer) {
  static const std::set<std::string> classes{"failure", "transient", "unknown", "timeout",
                                             "cancelled"};
  Reader reader(value, pointer, "a catch", findings_);
  Catch one;
  for (const auto& code : reader.texts("codes")) {
    if (is_error_code(code))
      one.codes.push_back(code);
    else
      add_error(findings_, "E002", reader.at("codes"),
                "\"" + excerpt(code, 80) + "\" is not a valid error code",
                "codes are like OUT_OF_STOCK");
  }
  for (const auto& name : reader.texts("classes")) {
    if (classes.count(name) > 0)
      one.classes.push_back(name);
    else
      add_error(findings_, "E002", reader.at("classes"),
                "\"" + excerpt(name, 40) + "\" is not a class of failures",
                "classes are failure, transient, unknown, timeout");
  }
  for (const char* key : {"codes", "classes"}) {
    // An empty list would not match nothing, as it seems, but everything.
    if (value.is_object() && value.contains(key) && value[key].is_array() && value[key].empty())
      add_error(findings_, "E002", reader.at(key), "`" + std::string(key) + "` names at least one",
                "leave it out to catch all of them");
  }
  one.when = reader.expression("when");
  if (const Json* steps = reader.require("steps")) one.steps = read(*steps, reader.at("steps"));
  one.output = reader.value_template("output");
  reader.finish();
  return one;
}

}  // namespace backstitch::dsl

#include <backstitch/dsl/expression.hpp>

#include <algorithm>

#include "evaluation.hpp"
#include "excerpt.hpp"
#include "expression_parser.hpp"

namespace backstitch::dsl {
namespace {

void collect(const Node& node, std::vector<Reference>& references) {
  if (node.kind == NodeKind::name && !node.macro_variable)
    references.push_back({node.text, {}, node.begin, {}});
  // `steps.x` and `steps?.x` are one reference; a bare `steps` stays as it is.
  const bool of_name = node.kind == NodeKind::member && node.children[0].kind == NodeKind::name &&
                       !node.children[0].macro_variable;
  if (of_name) {
    const Node& name = node.children[0];
    const bool of_steps = name.text == "steps";
    if (of_steps)
      references.push_back({"steps", node.text, node.begin, {}});
    else
      references.push_back({name.text, {}, name.begin, node.text});
    return;
  }
  for (const Node& child : node.children) collect(child, references);
}

}  // namespace

struct Expression::Compiled {
  std::string source;
  Node root;
  std::vector<Reference> references;
};

Expression::Expression() {
  static const auto null = std::make_shared<const Compiled>(Compiled{"null", Node{}, {}});
  compiled_ = null;
}

Result<Expression> Expression::compile(std::string_view source) {
  auto root = parse_expression(source);
  if (!root) return std::move(root).error();
  auto compiled = std::make_shared<Compiled>();
  compiled->source = source;
  compiled->root = std::move(*root);
  collect(compiled->root, compiled->references);
  return Expression(std::move(compiled));
}

Error Expression::failed(const EvaluationError& error) const {
  return {ErrorCode::invalid,
          "EXPRESSION_FAILED",
          "`" + excerpt(compiled_->source, 200) + "` failed at " +
              std::to_string(error.offset + 1) + ": " + error.message,
          {{"@" + std::to_string(error.offset), "EXPRESSION_FAILED", error.message}}};
}

Result<Evaluated> Expression::evaluate(const Scope& scope, Budget& budget) const {
  try {
    Evaluation evaluation(scope, budget);
    Operand result = evaluation.evaluate(compiled_->root, nullptr);
    if (result.is_omit()) return Evaluated(Omit{});
    const Weight made = weight_of(result.get());
    if (result.is_borrowed()) evaluation.charge(compiled_->root, made.steps);
    if (made.bytes > budget.result_bytes) {
      throw EvaluationError{
          0, "the result is larger than " + std::to_string(result_bytes_max) + " bytes"};
    }
    budget.result_bytes -= made.bytes;
    return Evaluated(std::move(result).take());
  } catch (const EvaluationError& error) {
    return failed(error);
  }
}

Result<Json> Expression::evaluate_value(const Scope& scope, Budget& budget) const {
  auto result = evaluate(scope, budget);
  if (!result) return std::move(result).error();
  if (auto* value = std::get_if<Json>(&*result)) return std::move(*value);
  return Error{ErrorCode::invalid, "EXPRESSION_FAILED",
               "`" + compiled_->source + "` gives omit where a value is needed"};
}

Result<bool> Expression::evaluate_condition(const Scope& scope, Budget& budget) const {
  try {
    return Evaluation(scope, budget).condition(compiled_->root, nullptr);
  } catch (const EvaluationError& error) {
    return failed(error);
  }
}

const std::string& Expression::source() const {
  return compiled_->source;
}
const Node& Expression::root() const {
  return compiled_->root;
}
const std::vector<Reference>& Expression::references() const {
  return compiled_->references;
}

const std::vector<std::string>& macro_library() {
  static const std::vector<std::string> names{"map", "filter", "flatMap", "find",    "all",
                                              "any", "sum",    "sortBy",  "toObject"};
  return names;
}

const std::vector<std::string>& built_in_names() {
  static const std::vector<std::string> names{"input",    "steps",   "saga",  "self",
                                              "response", "failure", "signal"};
  return names;
}

bool is_reserved_name(std::string_view name) {
  static constexpr std::string_view words[] = {"true", "false", "null", "omit", "in"};
  const auto& names = built_in_names();
  return std::find(names.begin(), names.end(), name) != names.end() ||
         std::find(std::begin(words), std::end(words), name) != std::end(words);
}

}  // namespace backstitch::dsl

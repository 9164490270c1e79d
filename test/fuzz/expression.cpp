/// Expressions: the text between `${` and `}`, compiled and evaluated within its budget.
#include <backstitch/dsl/expression.hpp>
#include <backstitch/dsl/expression_ast.hpp>

#include "scope.hpp"

namespace backstitch::fuzz {
namespace {

void require_places(const dsl::Node& node, std::size_t begin, std::size_t end) {
  require(begin <= node.begin && node.begin <= node.end && node.end <= end,
          "a part of an expression stands inside the whole");
  for (const auto& child : node.children) require_places(child, begin, end);
}

/// One evaluation with a budget of so many steps: the result as text, and what was spent.
struct Spent {
  bool succeeded = false;
  std::string text;
  std::uint32_t steps = 0;
  std::size_t bytes = 0;
};

Spent evaluate(const dsl::Expression& expression, std::uint32_t steps) {
  dsl::Budget budget;
  budget.steps = steps;
  const auto result = expression.evaluate(FixedScope::instance(), budget);
  require(budget.steps <= steps, "an evaluation never earns steps");
  require(budget.result_bytes <= dsl::result_bytes_max, "an evaluation never earns bytes");
  Spent spent{result.has_value(), "", steps - budget.steps,
              dsl::result_bytes_max - budget.result_bytes};
  if (!result) {
    require_sound(result.error());
    require(result.error().reason == "EXPRESSION_FAILED", "a failed evaluation says so");
    spent.text = result.error().message;
  } else if (const auto* value = std::get_if<Json>(&*result)) {
    require_storable(*value);
    spent.text = value->dump();
    // One byte of a text can take six in JSON: \u001f.
    require(spent.text.size() <= 6 * dsl::result_bytes_max,
            "a result is not larger than it may be");
  } else {
    spent.text = "omit";
  }
  return spent;
}

void require_total(const dsl::Expression& expression) {
  const Spent spent = evaluate(expression, dsl::evaluation_steps_max);
  const Spent again = evaluate(expression, dsl::evaluation_steps_max);
  require(spent.text == again.text && spent.succeeded == again.succeeded &&
              spent.steps == again.steps && spent.bytes == again.bytes,
          "an evaluation gives the same twice", spent.text);
  if (!spent.succeeded) return;
  const Spent exact = evaluate(expression, spent.steps);
  require(exact.succeeded && exact.text == spent.text, "what was spent is enough", exact.text);
  require(spent.steps > 0, "an evaluation takes a step at least");
  const Spent starved = evaluate(expression, spent.steps - 1);
  require(!starved.succeeded, "one step less than was spent is too little", starved.text);
}

void require_refused_well(const Error& error, std::string_view input) {
  if (is_utf8(input)) require_sound(error);
  require(error.reason == "E401" || error.reason == "E105", "a compiler's error is E401 or E105");
  require(!error.details.empty() && error.details[0].pointer.starts_with('@'),
          "a compiler's error has an offset");
  require(std::stoul(error.details[0].pointer.substr(1)) <= input.size(),
          "the offset lies in the text");
}

}  // namespace

void look_at(std::string_view input) {
  const auto compiled = dsl::Expression::compile(input);
  if (!compiled) return require_refused_well(compiled.error(), input);
  require(compiled->source() == input, "an expression keeps its source");
  require(input.size() <= dsl::expression_chars_max, "an expression is not longer than it may be");
  require_places(compiled->root(), 0, input.size());
  for (const auto& reference : compiled->references())
    require(reference.offset < input.size(), "a reference stands in the text");
  // Everything is UTF-8 without U+0000 that has passed the gate.
  const bool passes = is_utf8(input) && input.find('\0') == std::string_view::npos;
  if (passes) require_total(*compiled);
}

}  // namespace backstitch::fuzz

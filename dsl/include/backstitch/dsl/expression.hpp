#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>

namespace backstitch::dsl {

struct Node;             // <backstitch/dsl/expression_ast.hpp>, for the checker
struct EvaluationError;  // private

inline constexpr std::size_t expression_chars_max = 4000;
inline constexpr std::size_t expression_nesting_max = 32;
inline constexpr std::size_t macro_nesting_max = 4;
inline constexpr std::uint32_t evaluation_steps_max = 100'000;
/// Of everything that is evaluated for one event of a saga: its request, the trial of its undo, …
inline constexpr std::uint32_t event_steps_max = 500'000;
inline constexpr std::size_t result_bytes_max = 256 * 1024;

/// What an evaluation may still spend. One budget for all expressions of one template. A step of
/// evaluation takes about 50 ns: a node of the expression, or the work on a part of a value. A
/// number, a text and every further 64 bytes of it are one part, a member of an object is two.
struct Budget {
  std::uint32_t steps = evaluation_steps_max;
  std::size_t result_bytes = result_bytes_max;
};

/// What it costs to read or copy all of a value.
std::uint32_t steps_to_read(const Json& value);

/// Counts the steps of several evaluations, whatever their budgets, and bounds them together.
struct Meter {
  std::uint32_t left = UINT32_MAX;  ///< evaluations fail that take more
  std::uint64_t spent = 0;

  void spend(std::uint32_t steps) {
    left -= std::min(left, steps);
    spent += steps;
  }
};

/// Decides conditions in place of their values: a tool that explores a definition also takes the
/// arms that its made-up data does not reach. A condition is what `evaluate_condition`, the test of
/// `? :` and the body of filter, find, all and any give; `&&`, `||`, `!` and `? :` are composed of
/// what is decided of their operands.
class ConditionOracle {
 public:
  virtual ~ConditionOracle() = default;
  /// @param holds  what the condition evaluates to
  /// @param read   gives the values of the names it reads, in the order of their occurrence
  /// @return what the condition is taken for
  virtual bool decide(const Node& condition, bool holds, const std::function<Json()>& read) = 0;
};

/// Where the names of an expression get their values. Implemented by whoever evaluates; every
/// pointer returned stays valid and unchanged until the evaluation returns.
class Scope {
 public:
  virtual ~Scope() = default;
  /// A root name other than `steps`: `input`, `saga`, `self`, `response`, `failure`, `signal` or a
  /// `forEach` variable. nullptr: not defined here.
  virtual const Json* find(std::string_view name) const = 0;
  /// `steps.<step>` as {output, status, startedAt, completedAt, attempts}; nullptr until the step
  /// succeeded (the expression then sees null).
  virtual const Json* step(std::string_view step) const = 0;
  /// Shortcut for the hot path `steps.<step>.output`; nullptr until the step succeeded.
  virtual const Json* step_output(std::string_view step) const = 0;
  /// nullptr: conditions are what they evaluate to.
  virtual ConditionOracle* oracle() const { return nullptr; }
  /// Where the steps of every evaluation in this scope are counted; nullptr: nowhere.
  virtual Meter* meter() const { return nullptr; }
};

/// `omit` or a value.
struct Omit {};
using Evaluated = std::variant<Json, Omit>;

/// A root name or step that an expression reads, with its place in the source.
struct Reference {
  std::string root;  ///< `input`, `steps`, `self`, ...
  std::string step;  ///< for root `steps`: the step's name
  std::uint32_t offset = 0;
  std::string member{};  ///< of another root: `from` of `response.from`; empty: the whole is read
};

/// One compiled `${ … }` (the text between the braces). Immutable, cheap to copy, thread-safe.
/// Total: evaluation always ends, within the Budget, without clock, chance or I/O.
class Expression {
 public:
  /// @return invalid/E401 (E105 for a variable that hides a name) with the offset in the message
  /// and in details[0].pointer ("@17")
  static Result<Expression> compile(std::string_view source);
  Expression();  ///< `null`

  /// @return invalid/EXPRESSION_FAILED naming the expression, the position and the values read
  Result<Evaluated> evaluate(const Scope& scope, Budget& budget) const;
  /// The same where `omit` has no meaning (conditions, keys): omit is an error.
  Result<Json> evaluate_value(const Scope& scope, Budget& budget) const;
  /// A condition: anything but a boolean is an error.
  Result<bool> evaluate_condition(const Scope& scope, Budget& budget) const;

  const std::string& source() const;
  const Node& root() const;
  const std::vector<Reference>& references() const;

 private:
  struct Compiled;
  Error failed(const EvaluationError& error) const;
  explicit Expression(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace backstitch::dsl

#pragma once
/// The inside of evaluation, shared by the evaluator, the functions and the macros.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/expression.hpp>
#include <backstitch/dsl/expression_ast.hpp>

#include "comparison.hpp"

namespace backstitch::dsl {

/// Ends an evaluation; caught by Expression::evaluate.
struct EvaluationError {
  std::uint32_t offset;
  std::string message;
};

/// A value on its way: borrowed from the scope where it can be, owned where it was made.
class Operand {
 public:
  Operand() = default;
  static Operand borrow(const Json& value) {
    Operand operand;
    operand.borrowed_ = &value;
    return operand;
  }
  static Operand own(Json value) {
    Operand operand;
    operand.owned_ = std::move(value);
    return operand;
  }
  static Operand omit() {
    Operand operand;
    operand.is_omit_ = true;
    return operand;
  }
  bool is_omit() const { return is_omit_; }
  const Json& get() const { return borrowed_ != nullptr ? *borrowed_ : owned_; }
  /// Copies what is borrowed.
  Json take() && {
    if (borrowed_ != nullptr) return *borrowed_;
    return std::move(owned_);
  }
  /// A part of a value: borrowed if the whole is, else copied.
  static Operand part_of(const Operand& whole, const Json& part) {
    return whole.borrowed_ != nullptr ? borrow(part) : own(Json(part));
  }

 private:
  const Json* borrowed_ = nullptr;
  Json owned_;
  bool is_omit_ = false;
};

/// A macro's variable and the ones around it.
struct Frame {
  std::string_view name;
  const Json* value;
  const Frame* outer;
};

/// One evaluation.
class Evaluation {
 public:
  Evaluation(const Scope& scope, Budget& budget) : scope_(scope), budget_(budget) {}

  Operand evaluate(const Node& node, const Frame* frame);
  /// The same where `omit` is a mistake.
  Operand value(const Node& node, const Frame* frame);
  bool condition(const Node& node, const Frame* frame);
  Operand macro(const Node& node, const Frame* frame);

  void charge(const Node& node, std::uint32_t steps = 1);
  /// Work on a value of some size costs more than a step, or a list within a loop over a list would
  /// keep a thread for minutes.
  void charge_work(const Node& node, const Json& value);
  /// The same for bytes that are copied.
  void charge_copy(const Node& node, std::size_t bytes);
  /// Fails if something made here would be larger than a result may be.
  void check_size(const Node& node, std::size_t bytes) const;
  const Scope& scope() const { return scope_; }

 private:
  Operand name(const Node& node, const Frame* frame);
  Operand member(const Node& node, const Frame* frame);
  Operand index(const Node& node, const Frame* frame);
  Operand binary(const Node& node, const Frame* frame);
  Operand array(const Node& node, const Frame* frame);
  Operand object(const Node& node, const Frame* frame);

  const Scope& scope_;
  Budget& budget_;
};

[[noreturn]] void fail(const Node& node, const std::string& message);
/// Short, for messages.
std::string shown(const Json& value);
const char* type_name_of(const Json& value);
/// Roughly what a value takes as JSON text.
std::size_t size_of(const Json& value);

/// Calls a function of the library. Arguments are values, never omit.
Json call_function(Evaluation& evaluation, const Node& node, const std::vector<Operand>& arguments);
/// `a op b` for numbers, texts and lists.
Json arithmetic(const Node& node, const Json& left, const Json& right);
bool compare(const Node& node, const Json& left, const Json& right);

}  // namespace backstitch::dsl

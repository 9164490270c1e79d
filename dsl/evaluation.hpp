#pragma once
/// The inside of evaluation, shared by the evaluator, the functions and the macros.
#include <algorithm>
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
  bool is_borrowed() const { return borrowed_ != nullptr; }

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

struct Weight {
  std::size_t bytes = 0;  ///< roughly what a value takes as JSON text
  std::size_t steps = 0;  ///< what it costs to read or copy all of it
};
Weight weight_of(const Json& value);
/// What a text costs beyond one step.
inline std::size_t steps_of_bytes(std::size_t bytes) {
  constexpr std::size_t bytes_a_step = 64;
  return bytes / bytes_a_step;
}
inline std::size_t size_of(const Json& value) {
  return weight_of(value).bytes;
}

/// One evaluation. What it spends is settled with its budget and its scope's meter when it ends.
class Evaluation {
 public:
  Evaluation(const Scope& scope, Budget& budget)
      : scope_(scope),
        budget_(budget),
        meter_(scope.meter()),
        granted_(meter_ == nullptr ? budget.steps : std::min(budget.steps, meter_->left)),
        left_(granted_) {}
  ~Evaluation() {
    budget_.steps -= granted_ - left_;
    if (meter_ != nullptr) meter_->spend(granted_ - left_);
  }
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

  Operand evaluate(const Node& node, const Frame* frame);
  /// The same where `omit` is a mistake.
  Operand value(const Node& node, const Frame* frame);
  bool condition(const Node& node, const Frame* frame);
  Operand macro(const Node& node, const Frame* frame);

  void charge(const Node& node, std::size_t steps = 1) {
    if (left_ < steps) out_of_steps(node);
    left_ -= static_cast<std::uint32_t>(steps);
  }
  /// Work on a value: reading, copying or comparing all of it.
  void charge_work(const Node& node, const Json& value) {
    if (value.is_structured() || value.is_string()) charge(node, weight_of(value).steps);
  }
  /// Fails if something made here would be larger than a result may be.
  void check_size(const Node& node, std::size_t bytes) const;
  const Scope& scope() const { return scope_; }
  /// A part of a value: borrowed if the whole is, else copied.
  Operand part_of(const Node& node, const Operand& whole, const Json& part) {
    if (whole.is_borrowed()) return Operand::borrow(part);
    charge_work(node, part);
    return Operand::own(Json(part));
  }

 private:
  Operand name(const Node& node, const Frame* frame);
  Operand member(const Node& node, const Frame* frame);
  Operand index(const Node& node, const Frame* frame);
  Operand binary(const Node& node, const Frame* frame);
  Operand array(const Node& node, const Frame* frame);
  Operand object(const Node& node, const Frame* frame);
  void read(const Node& node, const Frame* frame, Json& values) const;
  [[noreturn]] void out_of_steps(const Node& node);

  const Scope& scope_;
  Budget& budget_;
  Meter* meter_;
  std::uint32_t granted_;
  std::uint32_t left_;
};

[[noreturn]] void fail(const Node& node, const std::string& message);
/// Short, for messages.
std::string shown(const Json& value);
const char* type_name_of(const Json& value);

/// Calls a function of the library. Arguments are values, never omit.
Json call_function(Evaluation& evaluation, const Node& node, const std::vector<Operand>& arguments);
/// `a op b` for numbers, texts and lists.
Json arithmetic(const Node& node, const Json& left, const Json& right);
bool compare(const Node& node, const Json& left, const Json& right);

}  // namespace backstitch::dsl

#include <algorithm>
#include <cmath>

#include <backstitch/dsl/number.hpp>

#include "evaluation.hpp"
#include "excerpt.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t shown_bytes_max = 80;
constexpr std::size_t bytes_a_step = 256;

bool is_integer(const Json& value) {
  return value.is_number_integer();
}

[[noreturn]] void mismatch(const Node& node, const char* what, const Json& left,
                           const Json& right) {
  fail(node, std::string(what) + " takes two of one kind, not " + type_name_of(left) + " " +
                 shown(left) + " and " + type_name_of(right) + " " + shown(right));
}

std::string members_hint(const Json& object) {
  std::string names;
  std::size_t count = 0;
  for (const auto& [name, value] : object.items()) {
    if (++count > 8) return names + ", …";
    names += (names.empty() ? "" : ", ") + name;
  }
  return names.empty() ? "none" : names;
}

Json integer_arithmetic(const Node& node, std::int64_t a, std::int64_t b) {
  if (node.op == Operator::remainder) {
    if (b == 0) fail(node, "division by zero");
    return b == -1 ? 0 : a % b;
  }
  std::int64_t result = 0;
  const bool overflow = node.op == Operator::add        ? __builtin_add_overflow(a, b, &result)
                        : node.op == Operator::subtract ? __builtin_sub_overflow(a, b, &result)
                                                        : __builtin_mul_overflow(a, b, &result);
  if (overflow) fail(node, "the integer result does not fit in 64 bits");
  return result;
}

Json floating_arithmetic(const Node& node, double a, double b) {
  if (node.op == Operator::remainder) fail(node, "`%` takes integers");
  if (node.op == Operator::divide && b == 0) fail(node, "division by zero");
  const double result = node.op == Operator::add        ? a + b
                        : node.op == Operator::subtract ? a - b
                        : node.op == Operator::multiply ? a * b
                                                        : a / b;
  if (!std::isfinite(result)) fail(node, "the result is not a finite number");
  return number(result);
}

bool is_arithmetic(Operator op) {
  return op == Operator::add || op == Operator::subtract || op == Operator::multiply ||
         op == Operator::divide || op == Operator::remainder;
}

}  // namespace

void fail(const Node& node, const std::string& message) {
  throw EvaluationError{node.begin, message};
}

std::string shown(const Json& value) {
  return excerpt(value.dump(-1, ' ', false, Json::error_handler_t::replace), shown_bytes_max);
}

const char* type_name_of(const Json& value) {
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) return "number";
  return value.type_name();
}

std::size_t size_of(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().size() + 2;
  std::size_t size = 8;
  if (value.is_array()) {
    for (const Json& item : value) size += size_of(item);
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.items()) size += name.size() + 4 + size_of(member);
  }
  return size;
}

void Evaluation::charge(const Node& node, std::uint32_t steps) {
  if (budget_.steps < steps) {
    budget_.steps = 0;
    fail(node, "more than " + std::to_string(evaluation_steps_max) + " evaluation steps");
  }
  budget_.steps -= steps;
}

void Evaluation::charge_work(const Node& node, const Json& value) {
  if (!value.is_structured() && !value.is_string()) return;
  charge_copy(node, size_of(value));
}

void Evaluation::charge_copy(const Node& node, std::size_t bytes) {
  charge(node, static_cast<std::uint32_t>(bytes / bytes_a_step));
}

void Evaluation::check_size(const Node& node, std::size_t bytes) const {
  if (bytes > budget_.result_bytes) {
    fail(node, "the result is larger than " + std::to_string(result_bytes_max) + " bytes");
  }
}

Operand Evaluation::evaluate(const Node& node, const Frame* frame) {
  charge(node);
  switch (node.kind) {
    case NodeKind::literal:
      return Operand::borrow(node.literal);
    case NodeKind::omit:
      return Operand::omit();
    case NodeKind::name:
      return name(node, frame);
    case NodeKind::member:
      return member(node, frame);
    case NodeKind::index:
      return index(node, frame);
    case NodeKind::unary: {
      if (node.op == Operator::logical_not)
        return Operand::own(!condition(node.children[0], frame));
      const Operand operand = value(node.children[0], frame);
      const Json& given = operand.get();
      if (!given.is_number()) fail(node, std::string("`-` takes a number, not ") + shown(given));
      if (is_integer(given)) {
        std::int64_t negated = 0;
        if (__builtin_sub_overflow(std::int64_t{0}, given.get<std::int64_t>(), &negated)) {
          fail(node, "the integer result does not fit in 64 bits");
        }
        return Operand::own(negated);
      }
      return Operand::own(number(-given.get<double>()));
    }
    case NodeKind::binary:
      return binary(node, frame);
    case NodeKind::conditional:
      return evaluate(condition(node.children[0], frame) ? node.children[1] : node.children[2],
                      frame);
    case NodeKind::call: {
      std::vector<Operand> arguments;
      arguments.reserve(node.children.size());
      for (const Node& child : node.children) arguments.push_back(value(child, frame));
      Json result = call_function(*this, node, arguments);
      check_size(node, size_of(result));
      return Operand::own(std::move(result));
    }
    case NodeKind::macro:
      return macro(node, frame);
    case NodeKind::array:
      return array(node, frame);
    case NodeKind::object:
      return object(node, frame);
  }
  fail(node, "unknown kind of expression");
}

Operand Evaluation::value(const Node& node, const Frame* frame) {
  Operand operand = evaluate(node, frame);
  if (operand.is_omit()) fail(node, "`omit` stands where a value is needed");
  return operand;
}

bool Evaluation::condition(const Node& node, const Frame* frame) {
  const Operand operand = value(node, frame);
  const Json& truth = operand.get();
  if (!truth.is_boolean()) fail(node, "a condition is true or false, not " + shown(truth));
  return truth.get<bool>();
}

Operand Evaluation::name(const Node& node, const Frame* frame) {
  for (; frame != nullptr; frame = frame->outer) {
    if (frame->name == node.text) return Operand::borrow(*frame->value);
  }
  if (const Json* found = scope_.find(node.text)) return Operand::borrow(*found);
  fail(node, "`" + node.text + "` is not known here");
}

Operand Evaluation::member(const Node& node, const Frame* frame) {
  static const Json null;
  const Node& object = node.children[0];
  const bool bare_name = object.kind == NodeKind::name && !object.macro_variable;
  if (bare_name && object.text == "steps") {
    const Json* step = scope_.step(node.text);
    return Operand::borrow(step != nullptr ? *step : null);
  }
  // The hot path: steps.x.output, without building the step's object.
  if (node.text == "output" && object.kind == NodeKind::member &&
      object.children[0].kind == NodeKind::name && object.children[0].text == "steps" &&
      !object.children[0].macro_variable) {
    if (const Json* output = scope_.step_output(object.text)) return Operand::borrow(*output);
    if (node.optional) return Operand::borrow(null);
    fail(node, "the step `" + object.text + "` has not succeeded");
  }
  Operand whole = value(object, frame);
  const Json& from = whole.get();
  if (from.is_object()) {
    const auto found = from.find(node.text);
    if (found != from.end()) return Operand::part_of(whole, *found);
    if (node.optional) return Operand::borrow(null);
    fail(node, "there is no member `" + node.text + "`; there are " + members_hint(from));
  }
  if (node.optional) return Operand::borrow(null);
  fail(node, "`." + node.text + "` needs an object, not " + shown(from));
}

Operand Evaluation::index(const Node& node, const Frame* frame) {
  static const Json null;
  Operand whole = value(node.children[0], frame);
  const Operand key = value(node.children[1], frame);
  const Json& from = whole.get();
  if (node.optional && !from.is_structured()) return Operand::borrow(null);
  const bool suits = from.is_array() ? is_integer(key.get()) : key.get().is_string();
  // The data has another shape than was meant; a key that suits neither shape is a mistake.
  if (node.optional && !suits && (is_integer(key.get()) || key.get().is_string()))
    return Operand::borrow(null);
  if (from.is_array()) {
    if (!suits) fail(node, "an array is indexed with an integer, not " + shown(key.get()));
    const auto at = key.get().get<std::int64_t>();
    if (at >= 0 && static_cast<std::size_t>(at) < from.size()) {
      return Operand::part_of(whole, from[static_cast<std::size_t>(at)]);
    }
    if (node.optional) return Operand::borrow(null);
    fail(node,
         "index " + std::to_string(at) + " is outside an array of " + std::to_string(from.size()));
  }
  if (!from.is_object()) fail(node, "`[ ]` needs an array or an object, not " + shown(from));
  if (!suits) fail(node, "an object is indexed with a string, not " + shown(key.get()));
  const auto found = from.find(key.get().get_ref<const std::string&>());
  if (found != from.end()) return Operand::part_of(whole, *found);
  if (node.optional) return Operand::borrow(null);
  fail(node, "there is no member " + shown(key.get()) + "; there are " + members_hint(from));
}

Operand Evaluation::binary(const Node& node, const Frame* frame) {
  const Node& left = node.children[0];
  const Node& right = node.children[1];
  if (node.op == Operator::coalesce) {
    Operand first = evaluate(left, frame);
    if (!first.is_omit() && !first.get().is_null()) return first;
    return evaluate(right, frame);
  }
  if (node.op == Operator::logical_and)
    return Operand::own(condition(left, frame) && condition(right, frame));
  if (node.op == Operator::logical_or)
    return Operand::own(condition(left, frame) || condition(right, frame));
  const Operand a = value(left, frame);
  const Operand b = value(right, frame);
  charge_work(node, a.get());
  charge_work(node, b.get());
  if (!is_arithmetic(node.op)) return Operand::own(compare(node, a.get(), b.get()));
  if (a.get().is_string() && b.get().is_string())
    check_size(node, size_of(a.get()) + size_of(b.get()));
  return Operand::own(arithmetic(node, a.get(), b.get()));
}

Json arithmetic(const Node& node, const Json& left, const Json& right) {
  if (node.op == Operator::add && left.is_string() && right.is_string()) {
    return left.get_ref<const std::string&>() + right.get_ref<const std::string&>();
  }
  if (!left.is_number() || !right.is_number()) mismatch(node, "arithmetic", left, right);
  if (is_integer(left) && is_integer(right)) {
    const auto a = left.get<std::int64_t>();
    const auto b = right.get<std::int64_t>();
    if (node.op != Operator::divide) return integer_arithmetic(node, a, b);
    // Exact where it can be; -1 would overflow for the least integer.
    if (b != 0 && b != -1 && a % b == 0) return a / b;
    if (b == -1 && a != INT64_MIN) return -a;
  }
  return floating_arithmetic(node, left.get<double>(), right.get<double>());
}

bool compare(const Node& node, const Json& left, const Json& right) {
  if (node.op == Operator::equal) return equal(left, right);
  if (node.op == Operator::not_equal) return !equal(left, right);
  if (node.op == Operator::in) {
    if (right.is_array()) return holds(right, left);
    if (right.is_object() && left.is_string())
      return right.contains(left.get_ref<const std::string&>());
    fail(node, "`in` takes an array, or a string and an object, not " + shown(right));
  }
  const bool ordered =
      (left.is_number() && right.is_number()) || (left.is_string() && right.is_string());
  if (!ordered) mismatch(node, "ordering", left, right);
  if (node.op == Operator::less) return less(left, right);
  if (node.op == Operator::less_equal) return !less(right, left);
  return node.op == Operator::greater ? less(right, left) : !less(left, right);
}

Operand Evaluation::array(const Node& node, const Frame* frame) {
  Json result = Json::array();
  std::size_t size = 8;
  for (const Node& child : node.children) {
    Operand item = evaluate(child, frame);
    if (item.is_omit()) continue;
    const std::size_t bytes = size_of(item.get());
    charge_copy(child, bytes);
    check_size(child, size += bytes);
    result.push_back(std::move(item).take());
  }
  return Operand::own(std::move(result));
}

Operand Evaluation::object(const Node& node, const Frame* frame) {
  Json result = Json::object();
  std::size_t size = 8;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    Operand member = evaluate(node.children[i], frame);
    if (member.is_omit()) continue;
    const std::size_t bytes = node.keys[i].size() + 4 + size_of(member.get());
    charge_copy(node.children[i], bytes);
    check_size(node.children[i], size += bytes);
    result.emplace(node.keys[i], std::move(member).take());
  }
  return Operand::own(std::move(result));
}

}  // namespace backstitch::dsl

#include <algorithm>
#include <cmath>

#include <backstitch/dsl/number.hpp>

#include "evaluation.hpp"
#include "excerpt.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t shown_bytes_max = 80;

bool is_integer(const Json& value) {
  return value.is_number_integer();
}

/// The JSON text of a value, cut soon after what is shown of it: values may be large, and many
/// expressions may fail.
std::string beginning_of(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return Json(text.substr(0, shown_bytes_max + 8))
        .dump(-1, ' ', false, Json::error_handler_t::ignore);
  }
  if (!value.is_structured()) return value.dump();
  std::string text(1, value.is_array() ? '[' : '{');
  for (auto inner = value.begin(); inner != value.end(); ++inner) {
    if (text.size() > shown_bytes_max) return text;
    if (text.size() > 1) text += ',';
    if (value.is_object()) text += beginning_of(inner.key()) + ":";
    text += beginning_of(*inner);
  }
  return text + (value.is_array() ? ']' : '}');
}

[[noreturn]] void mismatch(const Node& node, const char* what, const Json& left,
                           const Json& right) {
  fail(node, std::string(what) + " takes two of one kind, not " + type_name_of(left) + " " +
                 shown(left) + " and " + type_name_of(right) + " " + shown(right));
}

std::string members_hint(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names.empty() ? "none" : listed_names(names);
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

/// Of conditions that were decided one by one.
bool is_composed(const Node& node) {
  return node.op == Operator::logical_and || node.op == Operator::logical_or ||
         node.op == Operator::logical_not;
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
  return excerpt(beginning_of(value), shown_bytes_max);
}

const char* type_name_of(const Json& value) {
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) return "number";
  return value.type_name();
}

Weight weight_of(const Json& value) {
  if (value.is_string()) {
    const std::size_t bytes = value.get_ref<const std::string&>().size();
    return {bytes + 2, 1 + steps_of_bytes(bytes)};
  }
  Weight whole{8, 1};
  if (!value.is_structured()) return whole;
  for (auto inner = value.begin(); inner != value.end(); ++inner) {
    const Weight part = weight_of(*inner);
    whole.bytes += part.bytes;
    whole.steps += part.steps;
    if (!value.is_object()) continue;
    whole.bytes += inner.key().size() + 4;
    whole.steps += 1 + steps_of_bytes(inner.key().size());
  }
  return whole;
}

std::uint32_t steps_to_read(const Json& value) {
  return static_cast<std::uint32_t>(weight_of(value).steps);
}

void Evaluation::out_of_steps(const Node& node) {
  left_ = 0;
  // The scope's meter has run out before the budget: others have spent what they share.
  const std::string whose = granted_ < budget_.steps ? " for one event of the saga" : "";
  fail(node, "more than " +
                 std::to_string(granted_ < budget_.steps ? event_steps_max : evaluation_steps_max) +
                 " evaluation steps" + whose);
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
      const Weight made = weight_of(result);
      check_size(node, made.bytes);
      charge(node, made.steps);
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
  if (operand.is_omit()) fail(node, "`omit` is used where a value is needed");
  return operand;
}

bool Evaluation::condition(const Node& node, const Frame* frame) {
  if (node.kind == NodeKind::conditional) {
    charge(node);
    return condition(node.children[condition(node.children[0], frame) ? 1 : 2], frame);
  }
  const Operand operand = value(node, frame);
  const Json& truth = operand.get();
  if (!truth.is_boolean()) fail(node, "a condition is true or false, not " + shown(truth));
  ConditionOracle* oracle = scope_.oracle();
  if (oracle == nullptr || is_composed(node)) return truth.get<bool>();
  return oracle->decide(node, truth.get<bool>(), [&] {
    Json values = Json::array();
    read(node, frame, values);
    return values;
  });
}

/// The values of the names below a node. Variables that are bound below it have none yet.
void Evaluation::read(const Node& node, const Frame* frame, Json& values) const {
  const Json* value = nullptr;
  const bool of_steps = node.kind == NodeKind::member && node.children[0].kind == NodeKind::name &&
                        !node.children[0].macro_variable && node.children[0].text == "steps";
  if (of_steps) {
    value = scope_.step_output(node.text);
  } else if (node.kind == NodeKind::name) {
    while (frame != nullptr && frame->name != node.text) frame = frame->outer;
    value = frame != nullptr ? frame->value : scope_.find(node.text);
  } else {
    for (const Node& child : node.children) read(child, frame, values);
    return;
  }
  values.push_back(value != nullptr ? *value : Json());
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
    if (step != nullptr) charge_work(node, *step);
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
    if (found != from.end()) return part_of(node, whole, *found);
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
      return part_of(node, whole, from[static_cast<std::size_t>(at)]);
    }
    if (node.optional) return Operand::borrow(null);
    fail(node,
         "index " + std::to_string(at) + " is outside an array of " + std::to_string(from.size()));
  }
  if (!from.is_object()) fail(node, "`[ ]` needs an array or an object, not " + shown(from));
  if (!suits) fail(node, "an object is indexed with a string, not " + shown(key.get()));
  const auto found = from.find(key.get().get_ref<const std::string&>());
  if (found != from.end()) return part_of(node, whole, *found);
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
    const Weight made = weight_of(item.get());
    charge(child, made.steps);
    check_size(child, size += made.bytes);
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
    const Weight made = weight_of(member.get());
    charge(node.children[i], made.steps + 1);
    check_size(node.children[i], size += made.bytes + node.keys[i].size() + 4);
    result.emplace(node.keys[i], std::move(member).take());
  }
  return Operand::own(std::move(result));
}

}  // namespace backstitch::dsl

#include "expression_reading.hpp"

#include <algorithm>

namespace backstitch::engine::explore {
namespace {

using dsl::Node;
using dsl::NodeKind;
using dsl::Operator;

/// A list or text is made this long at most.
constexpr std::int64_t lengths_max = 20;

Origin member_of(const Origin& base, const std::string& name, bool optional) {
  Origin result;
  for (auto* shape : base.shapes) {
    Shape& inner = shape->member(name);
    inner.may_miss = inner.may_miss || optional;
    result.shapes.push_back(&inner);
  }
  if (const auto found = base.members.find(name); found != base.members.end())
    result.add(found->second);
  return result;
}

void compared(const Origin& origin, const Json& constant) {
  for (auto* shape : origin.shapes) shape->compared.insert(constant);
  for (auto* shape : origin.from) shape->hints.insert(constant);
  if (!constant.is_number_integer()) return;
  const auto length = constant.get<std::int64_t>();
  // It may be subtracted.
  if (length > INT64_MIN)
    for (auto* shape : origin.from) shape->hints.insert(-length);
  if (length < 0 || length > lengths_max) return;
  for (auto* shape : origin.counted) {
    for (const std::int64_t near : {length - 1, length, length + 1})
      if (near >= 0) shape->lengths.insert(static_cast<std::size_t>(near));
  }
}

void compared(const Origin& origin, const Node& other) {
  const bool negative = other.kind == NodeKind::unary && other.op == Operator::negate &&
                        other.children[0].literal.is_number_integer();
  if (negative) return compared(origin, Json(-other.children[0].literal.get<std::int64_t>()));
  if (other.kind != NodeKind::literal) return;
  if (other.literal.is_null()) return origin.mark(&Shape::null);
  compared(origin, other.literal);
}

/// What is added to data, or multiplied with it, may be just what makes the difference.
Origin calculated_with(const Origin& a, const Node& left, const Origin& b, const Node& right) {
  const Origin result = Origin::calculated({a, b});
  for (const auto* node : {&left, &right})
    if (node->kind == NodeKind::literal && node->literal.is_number())
      compared(result, node->literal);
  return result;
}

/// What one is near to may make the difference to the other.
void compared_with_each_other(const Origin& one, const Origin& other) {
  for (const auto* mine : {&one.shapes, &one.from}) {
    for (auto* shape : *mine) {
      shape->with_other = true;
      for (const auto* theirs : {&other.shapes, &other.from})
        for (const auto* near : *theirs)
          shape->hints.insert(near->hints.begin(), near->hints.end());
    }
  }
}

/// `steps.x?.output`: what is read of it with `?.` may be missing because the step is.
bool is_output_of_skipped_step(const Node& node) {
  if (node.kind != NodeKind::member || node.text != "output" || !node.optional) return false;
  const Node& step = node.children[0];
  return step.kind == NodeKind::member && step.children[0].kind == NodeKind::name &&
         step.children[0].text == "steps";
}

/// Whether an expression gives a text whatever its data is.
bool is_text(const Node& node) {
  if (node.kind == NodeKind::literal) return node.literal.is_string();
  if (node.kind == NodeKind::binary && node.op == Operator::add)
    return is_text(node.children[0]) || is_text(node.children[1]);
  if (node.kind == NodeKind::conditional)
    return is_text(node.children[1]) || is_text(node.children[2]);
  if (node.kind != NodeKind::call) return false;
  const auto& library = dsl::function_library();
  return std::any_of(library.begin(), library.end(), [&](const auto& one) {
    return one.name == node.text && one.result == "string";
  });
}

void number_unless_text(const Origin& origin, const Node& other) {
  const bool text = is_text(other);
  origin.mark(text ? &Shape::text : &Shape::number);
}

/// `x ?? 0`: what stands for x when it is missing is of its type.
void hint(const Origin& origin, const Node& other) {
  if (other.kind == NodeKind::array) origin.mark(&Shape::list);
  if (other.kind != NodeKind::literal) return;
  if (other.literal.is_number()) origin.mark(&Shape::number);
  if (other.literal.is_string()) origin.mark(&Shape::text);
  if (other.literal.is_boolean()) origin.mark(&Shape::boolean);
}

/// What a function gives: its arguments' own data where it passes it on.
Origin result_of(const Node& node, const std::vector<Origin>& arguments) {
  const std::string& name = node.text;
  const Origin& first = arguments[0];
  if (name == "len") {
    Origin length;
    length.counted = first.shapes;
    return length;
  }
  if (name == "distinct" || name == "merge") {
    Origin all;
    for (const auto& one : arguments) all.add(one);
    return all;
  }
  if (name == "concat") {
    Origin list;
    list.items = std::make_shared<Origin>();
    for (const auto& one : arguments)
      list.items->add(ExpressionReader::items_of(one, &Shape::list));
    return list;
  }
  if ((name == "min" || name == "max") && arguments.size() == 1) {
    const Origin items = ExpressionReader::items_of(first, &Shape::list);
    items.mark(&Shape::number);
    return Origin::calculated({items});
  }
  if (name == "contains")
    compared(ExpressionReader::items_of(first, &Shape::list), node.children[1]);
  const bool namesmember = name == "has" && node.children[1].literal.is_string();
  if (namesmember) member_of(first, node.children[1].literal.get<std::string>(), true);
  // A text that is looked for in another, or that it is to begin or end with, may be that text.
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    for (std::size_t other = 0; other < arguments.size(); ++other)
      if (other != i && node.children[other].literal.is_string())
        compared(Origin::calculated({arguments[i]}), node.children[other].literal);
  }
  return Origin::calculated(arguments);
}

void place(Origin& whole, const Json& source, const std::string& pointer, Origin origin) {
  Origin* at = &whole;
  const Json* json = &source;
  Json::json_pointer rest(pointer);
  std::vector<std::string> names;
  for (; !rest.empty(); rest.pop_back()) names.insert(names.begin(), rest.back());
  for (const auto& name : names) {
    if (json->is_array()) {
      if (!at->items) at->items = std::make_shared<Origin>();
      at = at->items.get();
      json = &(*json)[static_cast<std::size_t>(std::stoul(name))];
    } else {
      at = &at->members[name];
      json = &(*json)[name];
    }
  }
  at->add(origin);
}

}  // namespace

Origin ExpressionReader::value(const dsl::Template& source) {
  Origin whole;
  for (const auto& part : source.expressions()) {
    Origin origin = expression(part.expression);
    if (part.interpolated)
      origin.mark(&Shape::text);
    else
      place(whole, source.source(), part.pointer, std::move(origin));
  }
  return whole;
}

Origin ExpressionReader::items_of(const Origin& base, bool Shape::*how) {
  base.mark(how);
  Origin result;
  for (auto* shape : base.shapes) result.shapes.push_back(&shape->item());
  if (base.items) result.add(*base.items);
  return result;
}

Origin ExpressionReader::node(const Node& node) {
  switch (node.kind) {
    case NodeKind::literal:
    case NodeKind::omit:
      return {};
    case NodeKind::name: {
      failure_read = failure_read || (node.text == "failure" && !node.macro_variable);
      const auto found = names.find(node.text);
      return found == names.end() ? Origin{} : found->second;
    }
    case NodeKind::member:
      return member(node);
    case NodeKind::index:
      return index(node);
    case NodeKind::unary: {
      const Origin operand = this->node(node.children[0]);
      operand.mark(node.op == Operator::logical_not ? &Shape::boolean : &Shape::number);
      return Origin::calculated({operand});
    }
    case NodeKind::binary:
      return binary(node);
    case NodeKind::conditional: {
      this->node(node.children[0]).mark(&Shape::boolean);
      Origin either = this->node(node.children[1]);
      either.add(this->node(node.children[2]));
      return either;
    }
    case NodeKind::call:
      return call(node);
    case NodeKind::macro:
      return macro(node);
    case NodeKind::array: {
      Origin list;
      list.items = std::make_shared<Origin>();
      for (const auto& item : node.children) list.items->add(this->node(item));
      return list;
    }
    case NodeKind::object: {
      Origin object;
      for (std::size_t i = 0; i < node.children.size(); ++i)
        object.members[node.keys[i]].add(this->node(node.children[i]));
      return object;
    }
  }
  return {};
}

Origin ExpressionReader::member(const Node& node) {
  const Node& of = node.children[0];
  if (of.kind == NodeKind::name && of.text == "steps" && !of.macro_variable) {
    Origin step;
    step.members["output"] = outputs[node.text];
    return step;
  }
  const Origin base = this->node(of);
  return member_of(base, node.text, node.optional && !is_output_of_skipped_step(of));
}

Origin ExpressionReader::index(const Node& node) {
  const Origin base = this->node(node.children[0]);
  const Node& at = node.children[1];
  if (at.kind == NodeKind::literal && at.literal.is_string())
    return member_of(base, at.literal.get<std::string>(), node.optional);
  const Origin key = this->node(at);
  if (node.children[0].kind == NodeKind::array || base.items) key.mark(&Shape::number);
  return items_of(base, &Shape::list);
}

Origin ExpressionReader::binary(const Node& node) {
  const Node& left = node.children[0];
  const Node& right = node.children[1];
  Origin a = this->node(left);
  Origin b = this->node(right);
  switch (node.op) {
    case Operator::coalesce:
      hint(a, right);
      a.add(b);
      return a;
    case Operator::logical_or:
    case Operator::logical_and:
      a.mark(&Shape::boolean);
      b.mark(&Shape::boolean);
      return {};
    case Operator::less:
    case Operator::less_equal:
    case Operator::greater:
    case Operator::greater_equal:
      a.mark(&Shape::ordered);
      b.mark(&Shape::ordered);
      number_unless_text(a, right);
      number_unless_text(b, left);
      [[fallthrough]];
    case Operator::equal:
    case Operator::not_equal:
      compared(a, right);
      compared(b, left);
      if (a.is_data() && b.is_data()) {
        compared_with_each_other(a, b);
        compared_with_each_other(b, a);
      }
      return {};
    case Operator::in:
      if (right.kind == NodeKind::array) {
        for (const auto& item : right.children) compared(a, item);
      } else {
        const Origin items = items_of(b, &Shape::list);
        compared_with_each_other(a, items);
        compared_with_each_other(items, a);
        compared(items, left);
      }
      return {};
    case Operator::add:
      number_unless_text(a, right);
      number_unless_text(b, left);
      return calculated_with(a, left, b, right);
    case Operator::divide:
    case Operator::remainder:
      b.mark(&Shape::divisor);
      [[fallthrough]];
    case Operator::subtract:
    case Operator::multiply:
      a.mark(&Shape::number);
      b.mark(&Shape::number);
      return calculated_with(a, left, b, right);
    case Operator::none:
    case Operator::logical_not:
    case Operator::negate:
      return {};
  }
  return {};
}

Origin ExpressionReader::call(const Node& node) {
  const auto& library = dsl::function_library();
  const auto known = std::find_if(library.begin(), library.end(),
                                  [&](const auto& one) { return one.name == node.text; });
  std::vector<Origin> arguments;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const Origin& argument = arguments.emplace_back(this->node(node.children[i]));
    if (known == library.end() || known->arguments.empty()) continue;
    const std::string& type = known->arguments[std::min(i, known->arguments.size() - 1)];
    const bool only = node.children.size() == 1;
    if (type == "array" || (type == "number|array" && only) || type.starts_with("string|array"))
      argument.mark(&Shape::list);
    else if (type.find("number") != std::string::npos || type == "integer")
      argument.mark(&Shape::number);
    else if (type == "string")
      argument.mark(&Shape::text);
    else if (type == "boolean")
      argument.mark(&Shape::boolean);
    else if (type == "object")
      argument.mark(&Shape::object);
    if (node.text == "div" && i == 1) argument.mark(&Shape::divisor);
    if (node.text == "dateAdd" && i == 1)
      argument.mark(&Shape::duration);
    else if (node.text == "dateDiff" || (node.text.starts_with("date") && i == 0))
      argument.mark(&Shape::time);
  }
  return result_of(node, arguments);
}

Origin ExpressionReader::macro(const Node& node) {
  const Origin source = this->node(node.children[0]);
  const Origin item = items_of(source, &Shape::list);
  const auto outer = names;
  names[node.variable] = item;
  Origin body = this->node(node.children[1]);
  names = outer;
  const std::string& name = node.text;
  if (name == "sum") body.mark(&Shape::number);
  if (name == "filter" || name == "find" || name == "all" || name == "any")
    body.mark(&Shape::boolean);
  Origin result;
  if (name == "sum") return Origin::calculated({body});
  if (name == "find") return item;
  if (name == "filter" || name == "sortBy") result.items = std::make_shared<Origin>(item);
  if (name == "map") result.items = std::make_shared<Origin>(body);
  if (name == "flatMap") result.items = std::make_shared<Origin>(items_of(body, &Shape::list));
  return result;
}

}  // namespace backstitch::engine::explore

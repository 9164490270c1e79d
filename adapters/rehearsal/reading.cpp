#include "reading.hpp"

#include <algorithm>

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/dsl/number.hpp>

namespace backstitch::rehearsal {
namespace {

using dsl::Node;
using dsl::NodeKind;
using dsl::Operator;

std::optional<Json> literal_of(const Node& node) {
  if (node.kind == NodeKind::literal) return node.literal;
  const bool negative = node.kind == NodeKind::unary && node.op == Operator::negate &&
                        node.children[0].kind == NodeKind::literal;
  if (!negative || !node.children[0].literal.is_number()) return std::nullopt;
  const Json& positive = node.children[0].literal;
  return positive.is_number_float() ? dsl::number(-positive.get<double>())
                                    : Json(-positive.get<std::int64_t>());
}

/// A number on the other side of a bound, one away from it.
Json moved(const Json& bound, int by) {
  if (by == 0) return bound;
  return bound.is_number_float() ? dsl::number(bound.get<double>() + by)
                                 : Json(bound.get<std::int64_t>() + by);
}

Operator mirrored(Operator op) {
  if (op == Operator::less) return Operator::greater;
  if (op == Operator::less_equal) return Operator::greater_equal;
  if (op == Operator::greater) return Operator::less;
  return op == Operator::greater_equal ? Operator::less_equal : op;
}

Kind kind_of_argument(const std::string& type) {
  if (type == "string") return Kind::text;
  if (type == "integer" || type == "number") return Kind::number;
  if (type == "boolean") return Kind::boolean;
  if (type == "array") return Kind::array;
  return type == "object" ? Kind::object : Kind::any;
}

class TemplateReader {
 public:
  TemplateReader(const Reading& reading, const dsl::Template& source)
      : reading_(reading), source_(source) {}

  Places read(const Json& part, const std::string& pointer) const {
    if (part.is_object()) {
      auto object = make_shape({}, Kind::object);
      for (const auto& [name, value] : part.items())
        object->members[name] = read(value, pointer + "/" + escaped_pointer(name));
      return {object};
    }
    if (part.is_array()) {
      auto list = make_shape({}, Kind::array);
      for (std::size_t i = 0; i < part.size(); ++i)
        add(list->elements, read(part[i], pointer + "/" + std::to_string(i)));
      return {list};
    }
    return text(pointer);
  }

 private:
  Places text(const std::string& pointer) const {
    Places whole;
    for (const auto& one : source_.expressions()) {
      if (one.pointer != pointer) continue;
      Places read = reading_.read(one.expression.root());
      if (one.interpolated) {
        for (const auto& place : read) place->in_text = true;
      } else {
        whole = std::move(read);
      }
    }
    if (whole.empty()) whole.push_back(make_shape());
    return whole;
  }

  const Reading& reading_;
  const dsl::Template& source_;
};

}  // namespace

Reading Reading::with(const std::string& name, Places places) const {
  Reading more = *this;
  more.names_[name] = std::move(places);
  return more;
}

Places Reading::read(const dsl::Template& source) const {
  return TemplateReader(*this, source).read(source.source(), "");
}

void Reading::read(const std::optional<dsl::Template>& source) const {
  if (source) read(*source);
}

void Reading::condition(const dsl::Expression& source, std::optional<bool> truth) const {
  if (truth) wish(source.root(), *truth);
  want(read(source.root()), Kind::boolean);
}

Places Reading::read(const Node& node) const {
  switch (node.kind) {
    case NodeKind::literal:
    case NodeKind::omit:
      return {};
    case NodeKind::name: {
      const auto found = names_.find(node.text);
      return found == names_.end() ? Places{} : found->second;
    }
    case NodeKind::member:
      return member(node);
    case NodeKind::index:
      return index(node);
    case NodeKind::unary:
      want(read(node.children[0]), node.op == Operator::negate ? Kind::number : Kind::boolean);
      return {};
    case NodeKind::binary:
      return binary(node);
    case NodeKind::conditional: {
      want(read(node.children[0]), Kind::boolean);
      Places either = read(node.children[1]);
      add(either, read(node.children[2]));
      return either;
    }
    case NodeKind::call:
      return call(node);
    case NodeKind::macro:
      return macro(node);
    case NodeKind::array: {
      auto list = make_shape({}, Kind::array);
      for (const auto& child : node.children) add(list->elements, read(child));
      return {list};
    }
    case NodeKind::object: {
      auto object = make_shape({}, Kind::object);
      for (std::size_t i = 0; i < node.children.size(); ++i) {
        Places value = read(node.children[i]);
        if (!value.empty()) object->members[node.keys[i]] = std::move(value);
      }
      return {object};
    }
  }
  return {};
}

Places Reading::member(const Node& node) const {
  const Node& owner = node.children[0];
  const bool of_steps = owner.kind == NodeKind::member && node.text == "output" &&
                        owner.children[0].kind == NodeKind::name &&
                        owner.children[0].text == "steps" && !owner.children[0].macro_variable;
  return of_steps ? outputs_(owner.text) : members_of(read(owner), node.text);
}

Places Reading::index(const Node& node) const {
  const Places owner = read(node.children[0]);
  const auto key = literal_of(node.children[1]);
  if (key && key->is_string()) return members_of(owner, key->get<std::string>());
  const Places at = read(node.children[1]);
  want(at, Kind::number);
  want_value(at, 0);
  return items_of(owner);
}

Places Reading::binary(const Node& node) const {
  const Node& left = node.children[0];
  const Node& right = node.children[1];
  switch (node.op) {
    case Operator::coalesce: {
      Places either = read(left);
      if (const auto fallback = literal_of(right); fallback && !fallback->is_null())
        want(either, kind_of_argument(fallback->is_number() ? "number" : fallback->type_name()));
      add(either, read(right));
      return either;
    }
    case Operator::logical_or:
    case Operator::logical_and:
      want(read(left), Kind::boolean);
      want(read(right), Kind::boolean);
      return {};
    case Operator::in:
      read(left);
      want(read(right), Kind::array);
      return {};
    case Operator::equal:
    case Operator::not_equal:
    case Operator::less:
    case Operator::less_equal:
    case Operator::greater:
    case Operator::greater_equal:
      compare(node);
      return {};
    case Operator::none:
    case Operator::add:
    case Operator::subtract:
    case Operator::multiply:
    case Operator::divide:
    case Operator::remainder:
    case Operator::logical_not:
    case Operator::negate:
      break;
  }
  const auto text = [](const Node& side) {
    return side.kind == NodeKind::literal && side.literal.is_string();
  };
  const Kind kind =
      node.op == Operator::add && (text(left) || text(right)) ? Kind::text : Kind::number;
  want(read(left), kind);
  want(read(right), kind);
  return {};
}

void Reading::compare(const Node& node) const {
  const bool equality = node.op == Operator::equal || node.op == Operator::not_equal;
  const auto side = [&](const Node& one, const Node& other) {
    const Places places = read(one);
    const auto literal = literal_of(other);
    if (!literal) {
      if (!equality) want(places, Kind::number);
    } else if (!literal->is_null()) {
      if (equality)
        want_other(places, *literal);
      else
        want(places, literal->is_string() ? Kind::text : Kind::number);
    }
  };
  side(node.children[0], node.children[1]);
  side(node.children[1], node.children[0]);
}

Places Reading::call(const Node& node) const {
  const auto& library = dsl::function_library();
  const auto info = std::find_if(library.begin(), library.end(),
                                 [&](const auto& one) { return one.name == node.text; });
  const bool of_time = node.text.starts_with("date");
  Places all;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const Places argument = read(node.children[i]);
    add(all, argument);
    if (info == library.end() || info->arguments.empty()) continue;
    if (of_time && (i == 0 || node.text == "dateDiff")) want(argument, Kind::time);
    if (node.text == "dateAdd" && i == 1) want(argument, Kind::duration);
    if (node.text == "parseJson") want_value(argument, "{}");
    if (node.text == "number" || node.text == "int") want(argument, Kind::number);
    want(argument, kind_of_argument(info->arguments[std::min(i, info->arguments.size() - 1)]));
  }
  // Those give back what they were given, or parts of it.
  static const char* const passing[] = {"concat", "distinct", "merge", "slice"};
  const bool passes =
      std::find(std::begin(passing), std::end(passing), node.text) != std::end(passing);
  return passes ? all : Places{};
}

Places Reading::macro(const Node& node) const {
  Places list = read(node.children[0]);
  Places items = items_of(list);
  Places body = with(node.variable, items).read(node.children[1]);
  const std::string& name = node.text;
  if (name == "filter" || name == "find" || name == "all" || name == "any")
    want(body, Kind::boolean);
  if (name == "sum") want(body, Kind::number);
  if (name == "filter" || name == "sortBy") return list;
  if (name == "find") return items;
  if (name == "flatMap") return body;
  if (name != "map" || body.empty()) return {};
  auto made = make_shape({}, Kind::array);
  made->elements = body;
  return {made};
}

void Reading::wish(const Node& node, bool truth) const {
  if (node.kind == NodeKind::unary && node.op == Operator::logical_not)
    return wish(node.children[0], !truth);
  if (node.kind == NodeKind::binary && node.op == Operator::coalesce)
    return wish(node.children[0], truth);
  if (node.kind == NodeKind::binary &&
      (node.op == Operator::logical_and || node.op == Operator::logical_or)) {
    wish(node.children[0], truth);
    return wish(node.children[1], truth);
  }
  if (node.kind == NodeKind::binary) return wish_comparison(node, truth);
  if (node.kind == NodeKind::member || node.kind == NodeKind::index ||
      node.kind == NodeKind::name) {
    want_value(read(node), truth);
  }
}

void Reading::wish_comparison(const Node& node, bool truth) const {
  const Node& left = node.children[0];
  const Node& right = node.children[1];
  if (node.op == Operator::in && right.kind == NodeKind::array) {
    for (const auto& one : right.children) {
      if (const auto value = literal_of(one))
        truth ? want_value(read(left), *value) : want_other(read(left), *value);
    }
    return;
  }
  const bool swapped = literal_of(left).has_value();
  const auto value = swapped ? literal_of(left) : literal_of(right);
  if (!value || value->is_null()) return;
  const Places places = read(swapped ? right : left);
  const Operator op = swapped ? mirrored(node.op) : node.op;
  if (op == Operator::equal || op == Operator::not_equal) {
    if ((op == Operator::equal) == truth) return want_value(places, *value);
    return want_other(places, *value);
  }
  if (!value->is_number()) return;
  if (op == Operator::less) want_value(places, moved(*value, truth ? -1 : 0));
  if (op == Operator::less_equal) want_value(places, moved(*value, truth ? 0 : 1));
  if (op == Operator::greater) want_value(places, moved(*value, truth ? 1 : 0));
  if (op == Operator::greater_equal) want_value(places, moved(*value, truth ? 0 : -1));
}

}  // namespace backstitch::rehearsal

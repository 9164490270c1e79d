#include "typing.hpp"

#include <algorithm>

#include <backstitch/dsl/nearest.hpp>

#include "../excerpt.hpp"
#include "../functions.hpp"

namespace backstitch::dsl {
namespace {

bool is_name(const Node& node, std::string_view name) {
  return node.kind == NodeKind::name && !node.macro_variable && node.text == name;
}

Type text() {
  return of_kinds(string_kind);
}
Type number() {
  return of_kinds(number_kind);
}

Type of_failure(Kinds kinds) {
  Type type = of_kinds(kinds);
  type.origin = Origin::failure;
  return type;
}

/// Functions that fail for some arguments of the right type.
bool is_partial(std::string_view function) {
  return function == "int" || function == "number" || function == "parseJson" ||
         function.starts_with("date");
}

/// An argument with which a function works whatever the others are; nothing: there is none.
std::optional<Json> suitable_argument(std::string_view function, std::size_t index) {
  if (function == "dateAdd") return index == 0 ? Json("2000-01-01T00:00:00Z") : Json("1s");
  if (function == "dateDiff") return Json("2000-01-01T00:00:00Z");
  if (function == "dateFormat") return index == 0 ? Json("2000-01-01T00:00:00Z") : Json("yyyy");
  if (function == "div") return Json(1);
  return std::nullopt;
}

/// Functions of one text that give an empty one for an empty one.
bool keeps_emptiness(std::string_view function) {
  return function == "lower" || function == "upper" || function == "trim" || function == "string" ||
         function == "path";
}

/// The schema is usually what is wrong.
std::string hint_for_optional(const std::string& required, const std::string& otherwise) {
  return required + ", or " + otherwise + " and `??` for its absence";
}

/// Members that other languages have on texts and lists.
std::string hint_for_no_object(const std::string& name) {
  const bool counts = name == "length" || name == "size" || name == "count";
  return counts ? "write `len(…)`" : "read a member that is one";
}

Type sensitive_if(Type type, bool sensitive) {
  type.sensitive = sensitive;
  return type;
}

}  // namespace

const Type& saga_type() {
  static const Type type = object_of({{"id", text()},
                                      {"name", text()},
                                      {"version", number()},
                                      {"businessKey", of_kinds(string_kind | null_kind)},
                                      {"startedAt", text()},
                                      {"root", text()},
                                      {"labels", of_kinds(object_kind)}});
  return type;
}

const Type& failure_type() {
  static const Type type = object_of({{"code", text()},
                                      {"class", text()},
                                      {"message", of_failure(string_kind)},
                                      {"step", of_failure(string_kind | null_kind)},
                                      {"details", of_failure(any_kind)}});
  return type;
}

const Type& response_type() {
  static const Type type = object_of({{"status", number()},
                                      {"headers", of_kinds(object_kind)},
                                      {"body", {}},
                                      {"unreadable", of_kinds(boolean_kind)},
                                      {"from", text()}});
  return type;
}

Type step_type(const Type& output) {
  return object_of({{"output", output},
                    {"status", text()},
                    {"startedAt", text()},
                    {"completedAt", of_kinds(string_kind | null_kind)},
                    {"attempts", number()}});
}

Type Typing::type_of(const Expression& expression, const std::string& pointer, const Roots& roots) {
  expression_ = &expression;
  pointer_ = &pointer;
  roots_ = &roots;
  variables_.clear();
  return of(expression.root());
}

bool Typing::leads_to_member(const Expression& path, const Roots& roots) {
  roots_ = &roots;
  variables_.clear();
  return path.root().kind == NodeKind::member && resolved(path.root()).has_value();
}

/// The type behind a path; nothing where its first member is not known, or a later one is absent.
std::optional<Type> Typing::resolved(const Node& path) {
  if (path.kind == NodeKind::name) return name(path);
  if (path.kind != NodeKind::member) return std::nullopt;
  if (is_name(path.children[0], "steps")) {
    const std::size_t number = around_.number_of(path.text);
    if (number == Surroundings::nowhere) return std::nullopt;
    const bool walked = around_.reach.of(number) != Reach::Level::never;
    return walked ? around_.steps[number] : step_type({});
  }
  const auto object = resolved(path.children[0]);
  if (!object) return std::nullopt;
  Member found = member_of(schemas_, *object, path.text);
  const bool is_first = path.children[0].kind == NodeKind::name;
  if (found.is == Member::Is::absent || (is_first && found.is != Member::Is::known))
    return std::nullopt;
  return std::move(found.type);
}

void Typing::error(const char* code, const std::string& message, const std::string& hint) {
  check_.error(code, *pointer_, message + ", in `" + excerpt(expression_->source(), 80) + "`",
               hint);
}

void Typing::require(const Type& type, Kinds wanted, const std::string& what) {
  if (type.suits(wanted)) return;
  if (type.may_be(wanted)) return fails_for_some(what + " is " + to_text(wanted), type);
  error("E412", what + " is " + to_text(wanted) + ", not " + to_text(type.kinds),
        (wanted & boolean_kind) != 0 ? "compare it with something" : "convert it, or name another");
}

/// The compensation or handler that reads it has to work for every failure.
void Typing::fails_for_some(const std::string& use, const Type& type) {
  error("E416", use + ", and this part of `failure` may be " + to_text(type.kinds),
        "send it whole in the body, write json(…), or `?.` all the way and `??` for its absence");
}

/// Whoever sends the signal decides what is in it.
void Typing::unchecked_payload(const std::string& name) {
  check_.warning("W428", *pointer_,
                 "`." + name +
                     "` reads the payload of a wait without a schema: a payload without it " +
                     "fails the expression, in `" + excerpt(expression_->source(), 80) + "`",
                 "add \"schema\" to the wait, or write `?." + name + "` and `??` for its absence");
}

/// What may be missing cannot be gone through.
void Typing::not_missing(const Type& type, const std::string& what) {
  if (!type.missing) return;
  const bool of_input = type.origin == Origin::input;
  const std::string otherwise = "write `?.` and `?[ ]` all the way";
  error(of_input ? "E409" : "E406", what + " of what may be missing",
        of_input ? hint_for_optional("list it in the \"required\" of its schema", otherwise)
                 : otherwise + ", and `??` for its absence");
}

Type Typing::of(const Node& node) {
  switch (node.kind) {
    case NodeKind::literal:
      return of_kinds(kind_of(node.literal));
    case NodeKind::omit:
      return {};
    case NodeKind::name:
      return name(node);
    case NodeKind::member:
      return member(node);
    case NodeKind::index:
      return index(node);
    case NodeKind::unary:
      return unary(node);
    case NodeKind::binary:
      return binary(node);
    case NodeKind::conditional: {
      require(of(node.children[0]), boolean_kind, "the condition of `? :`");
      const Type yes = of(node.children[1]);
      return one_of(yes, of(node.children[2]));
    }
    case NodeKind::call:
      return call(node);
    case NodeKind::macro:
      return macro(node);
    case NodeKind::array: {
      std::optional<Type> item;
      for (const auto& child : node.children) {
        const Type one = of(child);
        item = item ? either(*item, one) : one;
      }
      return array_of(item.value_or(Type{}));
    }
    case NodeKind::object:
      return object(node);
  }
  return {};
}

Type Typing::one_of(const Type& one, const Type& other) {
  Type type = either(one, other);
  type.any_text = schemas_.may_be_any_text(one) || schemas_.may_be_any_text(other);
  return type;
}

Type Typing::object(const Node& node) {
  std::map<std::string, Type> members;
  for (std::size_t i = 0; i < node.children.size(); ++i)
    members.insert_or_assign(node.keys[i], of(node.children[i]));
  return object_of(std::move(members));
}

Type Typing::name(const Node& node) {
  if (node.macro_variable) {
    const auto bound = std::find_if(variables_.rbegin(), variables_.rend(),
                                    [&](const Variable& one) { return one.name == node.text; });
    return bound == variables_.rend() ? Type{} : bound->type;
  }
  if (node.text == "input") {
    const auto& input = check_.definition.input;
    return input ? schemas_.type_of(&input->source(), Origin::input) : Type{};
  }
  if (node.text == "saga") return saga_type();
  if (node.text == "failure") return roots_->failure;
  if (node.text == "self") return roots_->self;
  if (node.text == "response") return roots_->response;
  if (node.text == "signal") return roots_->signal;
  const Variable* variable = around_.variable(node.text);
  return variable == nullptr ? Type{} : variable->type;
}

/// `steps.x`
Type Typing::step(const Node& node) {
  const std::size_t number = around_.number_of(node.text);
  if (number == Surroundings::nowhere) return {};
  const auto level = around_.reach.of(number);
  if (level == Reach::Level::never) return {};
  Type type = around_.steps[number];
  if (level == Reach::Level::maybe) type.kinds = object_kind | null_kind;
  return type;
}

Type Typing::member(const Node& node) {
  if (is_name(node.children[0], "steps")) return step(node);
  return read(of(node.children[0]), node.text, node);
}

Type Typing::read(const Type& object, const std::string& name, const Node& node) {
  if (!object.may_be(object_kind)) {
    if (node.optional && object.kinds == null_kind) return of_kinds(null_kind);
    const bool of_child = object.origin == Origin::child && object.kinds == null_kind;
    error(of_child ? "E415" : "E412",
          "`." + name + "` needs an object, not " + to_text(object.kinds),
          of_child ? "give the child an output" : hint_for_no_object(name));
    return {};
  }
  if (object.origin == Origin::signal && !node.optional) unchecked_payload(name);
  if (object.origin == Origin::failure) {
    if (!node.optional) fails_for_some("`." + name + "` needs an object", object);
    return of_failure(any_kind);
  }
  Member found = member_of(schemas_, object, name);
  const bool of_input = object.origin == Origin::input;
  if (found.is == Member::Is::absent) {
    if (check_.is_full()) return {};
    const char* code = of_input ? "E408" : object.origin == Origin::child ? "E415" : "E407";
    const auto names = member_names(object);
    error(
        code,
        of_input ? "the input schema has no `" + name + "` here"
                 : "there is no `" + name + "` here",
        did_you_mean(name, names,
                     names.empty() ? "there are no members" : "there are " + listed_names(names)));
    return {};
  }
  if (!node.optional) not_missing(object, "`." + name + "`");
  if (of_input && found.optional && !node.optional) {
    error("E409", "`" + name + "` is optional and may be missing",
          hint_for_optional("list \"" + name + "\" in the \"required\" of its schema",
                            "write `?." + name + "`"));
  }
  const bool maybe_null = (object.kinds != any_kind && object.may_be(null_kind)) || object.missing;
  if (node.optional && (maybe_null || found.optional)) {
    found.type.missing = true;
    found.type.kinds |= null_kind;
  }
  return found.type;
}

Type Typing::index(const Node& node) {
  const Type whole = of(node.children[0]);
  const Node& key = node.children[1];
  const Type key_type = of(key);
  const bool by_name = key.kind == NodeKind::literal && key.literal.is_string();
  if (by_name && !whole.may_be(array_kind))
    return read(whole, key.literal.get<std::string>(), node);
  if (node.optional && whole.kinds == null_kind) return of_kinds(null_kind);
  if (whole.origin == Origin::failure) {
    if (!node.optional) fails_for_some("`[ ]` needs an array or an object", whole);
    return of_failure(any_kind);
  }
  require(whole, array_kind | object_kind, "what `[ ]` looks into");
  if (!whole.may_be(object_kind)) require(key_type, number_kind, "the index of an array");
  if (!whole.may_be(array_kind)) require(key_type, string_kind, "the index of an object");
  if (!node.optional) not_missing(whole, "`[ ]`");
  if (whole.may_be(object_kind)) return sensitive_if({}, whole.sensitive);
  Type item = items_of(schemas_, whole);
  if (node.optional) {
    item.missing = true;
    item.kinds |= null_kind;
  }
  return item;
}

Type Typing::unary(const Node& node) {
  const Type type = of(node.children[0]);
  const bool negation = node.op == Operator::logical_not;
  require(type, negation ? boolean_kind : number_kind,
          negation ? "what `!` takes" : "what `-` takes");
  return negation ? of_kinds(boolean_kind) : sensitive_if(number(), type.sensitive);
}

Type Typing::binary(const Node& node) {
  const Type left = of(node.children[0]);
  const Type right = of(node.children[1]);
  const Operator op = node.op;
  if (op == Operator::coalesce) {
    Type present = left;
    present.missing = false;
    // Null alone says nothing of what else would be there.
    present.kinds = static_cast<Kinds>(left.kinds & ~null_kind);
    return present.kinds == 0 ? right : one_of(present, right);
  }
  if (op == Operator::logical_and || op == Operator::logical_or) {
    require(left, boolean_kind, "what `&&` and `||` take");
    require(right, boolean_kind, "what `&&` and `||` take");
  } else if (op == Operator::in) {
    require(right, array_kind | object_kind, "the right side of `in`");
    if (!right.may_be(array_kind) && right.may_be(object_kind))
      require(left, string_kind, "what is looked for in an object");
  } else if (op != Operator::equal && op != Operator::not_equal) {
    return arithmetic(node, left, right);
  }
  return of_kinds(boolean_kind);
}

Type Typing::arithmetic(const Node& node, const Type& left, const Type& right) {
  const bool ordering = node.op == Operator::less || node.op == Operator::less_equal ||
                        node.op == Operator::greater || node.op == Operator::greater_equal;
  const bool texts_too = ordering || node.op == Operator::add;
  const Kinds wanted = texts_too ? number_kind | string_kind : number_kind;
  const auto common = static_cast<Kinds>(left.kinds & right.kinds & wanted);
  if (common == 0) {
    error("E412",
          (ordering ? "ordering takes" : "arithmetic takes") +
              std::string(texts_too ? " two numbers or two strings" : " numbers") + ", not " +
              to_text(left.kinds) + " and " + to_text(right.kinds),
          "convert with string(), number() or int()");
  }
  const bool of_a_failure = left.origin == Origin::failure || right.origin == Origin::failure;
  // Two of one kind, whatever comes.
  const bool certain =
      left.kinds == right.kinds && (common == number_kind || common == string_kind);
  if (of_a_failure && common != 0 && !certain)
    fails_for_some(ordering ? "ordering takes two of one kind" : "arithmetic takes two of one kind",
                   left.origin == Origin::failure ? left : right);
  if (ordering) return of_kinds(boolean_kind);
  Type result = of_a_failure ? of_failure(common) : of_kinds(common == 0 ? wanted : common);
  result.empty_text = schemas_.may_be_empty_text(left) && schemas_.may_be_empty_text(right);
  return sensitive_if(std::move(result), left.sensitive || right.sensitive);
}

Type Typing::call(const Node& node) {
  const auto& library = function_library();
  const auto info = std::lower_bound(
      library.begin(), library.end(), node.text,
      [](const FunctionInfo& one, const std::string& name) { return one.name < name; });
  const bool known = info != library.end() && info->name == node.text;
  bool sensitive = false;
  bool types_suit = true;
  Type last;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    last = of(node.children[i]);
    sensitive = sensitive || last.sensitive;
    if (!known || info->arguments.empty()) continue;
    const auto& wanted = info->arguments[std::min(i, info->arguments.size() - 1)];
    const std::string what = "argument " + std::to_string(i + 1) + " of `" + node.text + "`";
    require(last, kinds_of_names(wanted), what);
    types_suit = types_suit && last.suits(kinds_of_names(wanted));
    if (last.origin == Origin::failure && is_partial(node.text))
      fails_for_some("`" + node.text + "` cannot read every text", last);
  }
  if (!known) return {};
  if (types_suit) check_literals(node);
  if (node.text == "distinct") return last;
  Type type = of_kinds(kinds_of_names(info->result));
  type.empty_text = keeps_emptiness(node.text) && schemas_.may_be_empty_text(last);
  // A length or an answer of yes or no gives nothing away.
  const bool tells = node.text != "len" && type.kinds != boolean_kind;
  return sensitive_if(std::move(type), sensitive && tells);
}

/// What is written out is tried out, with something that suits for the rest.
void Typing::check_literals(const Node& call) {
  Node trial = call;
  bool has_literal = false;
  for (std::size_t i = 0; i < trial.children.size(); ++i) {
    Node& argument = trial.children[i];
    has_literal = has_literal || argument.kind == NodeKind::literal;
    if (argument.kind == NodeKind::literal) continue;
    const auto suits = suitable_argument(call.text, i);
    if (!suits) return;
    argument = Node{};
    argument.literal = *suits;
  }
  if (!has_literal) return;
  if (const auto flaw = failure_of_call(trial))
    error("E412", *flaw, "correct the value that is written out");
}

Type Typing::macro(const Node& node) {
  Type list = of(node.children[0]);
  require(list, array_kind, "what `." + node.text + "` goes over");
  not_missing(list, "`." + node.text + "`");
  const Type item = items_of(schemas_, list);
  variables_.push_back({node.variable, item});
  const Type body = of(node.children[1]);
  variables_.pop_back();
  const std::string& name = node.text;
  const std::string what = "the body of `." + name + "`";
  if (name == "filter" || name == "find" || name == "all" || name == "any")
    require(body, boolean_kind, what);
  if (name == "sum") require(body, number_kind, what);
  if (name == "sortBy") require(body, number_kind | string_kind, what);
  if (name == "flatMap" || name == "toObject") require(body, array_kind, what);
  if (name == "map") return array_of(body);
  if (name == "flatMap") return array_of(items_of(schemas_, body));
  if (name == "filter" || name == "sortBy") return list;
  if (name == "find") return either(item, of_kinds(null_kind));
  if (name == "sum") return sensitive_if(number(), body.sensitive);
  if (name == "toObject") return sensitive_if(of_kinds(object_kind), body.sensitive);
  return of_kinds(boolean_kind);
}

}  // namespace backstitch::dsl

/// Static types: from literals, the input schema and the signatures of functions. What is not known
/// is let pass; it is checked when the expression runs.
#include <algorithm>
#include <cstdint>
#include <map>

#include <backstitch/dsl/expression_ast.hpp>

#include "../excerpt.hpp"
#include "../parse_reader.hpp"
#include "walk.hpp"

namespace backstitch::dsl {
namespace {

enum : std::uint8_t {
  null_type = 1,
  boolean_type = 2,
  number_type = 4,
  string_type = 8,
  array_type = 16,
  object_type = 32,
  any_type = 63
};

/// What a value may be, and the schema it matches where one is known.
struct Type {
  std::uint8_t kinds = any_type;
  const Json* schema = nullptr;
  bool is_known() const { return kinds != any_type; }
  bool may_be(std::uint8_t wanted) const { return (kinds & wanted) != 0; }
};

std::uint8_t kind_of_name(const std::string& name) {
  static const std::map<std::string, std::uint8_t> kinds{
      {"null", null_type},     {"boolean", boolean_type}, {"integer", number_type},
      {"number", number_type}, {"string", string_type},   {"array", array_type},
      {"object", object_type}};
  const auto found = kinds.find(name);
  return found == kinds.end() ? std::uint8_t{any_type} : found->second;
}

std::uint8_t kinds_of_names(const std::string& names) {
  if (names.empty()) return any_type;
  std::uint8_t kinds = 0;
  std::size_t begin = 0;
  while (begin <= names.size()) {
    const auto end = std::min(names.find('|', begin), names.size());
    kinds = static_cast<std::uint8_t>(kinds | kind_of_name(names.substr(begin, end - begin)));
    begin = end + 1;
  }
  return kinds;
}

Type of_schema(const Json* schema) {
  if (schema == nullptr || !schema->is_object()) return {};
  std::uint8_t kinds = any_type;
  if (const auto type = schema->find("type"); type != schema->end()) {
    kinds = 0;
    for (const Json& one : type->is_array() ? *type : Json::array({*type})) {
      if (one.is_string())
        kinds = static_cast<std::uint8_t>(kinds | kind_of_name(one.get<std::string>()));
    }
  }
  return {kinds, schema};
}

std::string text_of(std::uint8_t kinds) {
  static constexpr std::pair<std::uint8_t, const char*> names[] = {
      {null_type, "null"},     {boolean_type, "boolean"}, {number_type, "number"},
      {string_type, "string"}, {array_type, "array"},     {object_type, "object"}};
  std::string out;
  for (const auto& [kind, name] : names) {
    if ((kinds & kind) != 0) out += (out.empty() ? "" : " or ") + std::string(name);
  }
  return out;
}

const Json* member_of(const Json* schema, const char* keyword) {
  if (schema == nullptr || !schema->is_object()) return nullptr;
  const auto found = schema->find(keyword);
  return found == schema->end() ? nullptr : &*found;
}

bool is_required(const Json* schema, const std::string& name) {
  const Json* required = member_of(schema, "required");
  if (required == nullptr || !required->is_array()) return false;
  return std::find(required->begin(), required->end(), Json(name)) != required->end();
}

class Types {
 public:
  explicit Types(const Check& check) : check_(check) {
    input_ = check.definition.input ? &check.definition.input->source() : nullptr;
  }

  void run() {
    const Definition& definition = check_.definition;
    for (const auto& label : definition.labels) {
      whole(label.value, "/labels/" + escaped_pointer(label.name));
      sensitive(label.value, "/labels/" + escaped_pointer(label.name), "a label");
    }
    if (definition.business_key) {
      whole(*definition.business_key, "/businessKey");
      sensitive(*definition.business_key, "/businessKey", "the business key");
    }
    whole(definition.output, "/output");
    durations(durations_of(definition));
    for (const auto& [name, service] : definition.services) conditions(service.outcomes);
    for (const auto* steps : {&definition.steps, &definition.on_failure, &definition.on_suspended})
      list(*steps);
  }

 private:
  void list(const Steps& steps) {
    for (const auto& step : steps) one(step);
  }

  void one(const Step& step) {
    if (step.when) condition(*step.when, step.pointer + "/when");
    durations(durations_of(step));
    if (const auto* action = std::get_if<Action>(&step.body)) {
      whole(action->output, step.pointer + "/output");
      whole(action->capture, step.pointer + "/capture");
      if (action->probe) whole(action->probe->output, step.pointer + "/probe/output");
    }
    for (const auto& use : requests_of(step)) request(*use.request, *use.outcomes);
    if (const auto* undo = std::get_if<Compensation>(&step.undo); undo != nullptr && undo->when) {
      condition(*undo->when, step.pointer + "/compensation/when");
    }
    if (const auto* value = std::get_if<Value>(&step.body))
      whole(value->value, step.pointer + "/value");
    if (const auto* fail = std::get_if<Fail>(&step.body)) {
      whole(fail->message, step.pointer + "/fail/message");
      whole(fail->details, step.pointer + "/fail/details");
    }
    if (const auto* saga = std::get_if<SubSaga>(&step.body)) sub_saga(step, *saga);
    if (const auto* wait = std::get_if<Wait>(&step.body)) {
      if (wait->accept) condition(*wait->accept, step.pointer + "/wait/accept");
      whole(wait->default_value, step.pointer + "/wait/default");
    }
    if (const auto* sleep = std::get_if<Sleep>(&step.body))
      whole(sleep->until, step.pointer + "/sleep/until");
    if (const auto* block = std::get_if<ForEach>(&step.body)) return for_each(step, *block);
    if (const auto* block = std::get_if<Switch>(&step.body)) arms(step, *block);
    if (const auto* block = std::get_if<Try>(&step.body)) catches(step, *block);
    for (const auto* inner : inner_lists(step)) list(*inner);
  }

  void durations(const std::vector<DurationUse>& uses) {
    for (const auto& use : uses) {
      const Type type = expression(*use.source, use.pointer);
      if (!type.may_be(string_type))
        error("E412", "a duration is a text like \"10s\", not " + text_of(type.kinds));
    }
  }

  void arms(const Step& step, const Switch& block) {
    for (std::size_t i = 0; i < block.cases.size(); ++i) {
      const std::string at = step.pointer + "/switch/cases/" + std::to_string(i);
      condition(*block.cases[i].when, at + "/when");
      whole(block.cases[i].output, at + "/output");
    }
    if (block.otherwise) whole(block.otherwise->output, step.pointer + "/switch/otherwise/output");
  }

  void catches(const Step& step, const Try& block) {
    whole(block.output, step.pointer + "/try/output");
    for (std::size_t i = 0; i < block.catches.size(); ++i) {
      const std::string at = step.pointer + "/try/catch/" + std::to_string(i);
      if (block.catches[i].when) condition(*block.catches[i].when, at + "/when");
      whole(block.catches[i].output, at + "/output");
    }
  }

  void for_each(const Step& step, const ForEach& block) {
    at_ = {&block.in, step.pointer + "/forEach/in"};
    const Type items = type_of(block.in.root());
    if (!items.may_be(array_type))
      error("E412", "`forEach` goes over an array, not " + text_of(items.kinds));
    variables_[block.as] = of_schema(member_of(items.schema, "items"));
    if (!block.index_as.empty()) variables_[block.index_as] = {number_type, nullptr};
    if (block.key) expression(*block.key, step.pointer + "/forEach/key");
    list(block.steps);
    whole(block.yield, step.pointer + "/forEach/yield");
    variables_.erase(block.as);
    variables_.erase(block.index_as);
  }

  void sub_saga(const Step& step, const SubSaga& saga) {
    const std::string at = step.pointer + "/saga";
    whole(saga.input, at + "/input");
    whole(saga.business_key, at + "/businessKey");
    if (!check_.context.definition) return;
    const auto child = check_.context.definition(saga.name, saga.version.value_or(0));
    if (!child) {
      return check_.error("E404", at + "/name",
                          "there is no saga `" + saga.name + "`" +
                              (saga.version ? " version " + std::to_string(*saga.version) : ""),
                          "register it first");
    }
    const Json& input = saga.input.source();
    if (!child->input || !input.is_object()) return;
    if (const Json* required = member_of(&child->input->source(), "required");
        required != nullptr) {
      for (const Json& name : *required) {
        if (name.is_string() && !input.contains(name.get<std::string>())) {
          check_.error(
              "E415", at + "/input",
              "the child needs `" + name.get<std::string>() + "`, which its input does not have");
        }
      }
    }
    const Json* properties = member_of(&child->input->source(), "properties");
    for (const auto& [name, value] : input.items()) {
      const Json* schema = properties != nullptr ? member_of(properties, name.c_str()) : nullptr;
      const bool constant =
          !value.is_string() || value.get_ref<const std::string&>().find("${") == std::string::npos;
      if (schema == nullptr || !constant || value.is_structured()) continue;
      if ((of_schema(schema).kinds &
           kind_of_name(value.is_number() ? "number" : value.type_name())) == 0) {
        check_.error("E415", at + "/input/" + escaped_pointer(name),
                     "the child's `" + name + "` is " + text_of(of_schema(schema).kinds) +
                         ", not " + value.type_name());
      }
    }
  }

  void request(const Request& request, const std::vector<OutcomeRule>& rules) {
    if (request.path) {
      whole(*request.path, request.pointer + "/http");
      sensitive(*request.path, request.pointer + "/http", "a path");
    }
    for (const auto& one : request.query) {
      whole(one.value, request.pointer + "/query/" + escaped_pointer(one.name));
      sensitive(one.value, request.pointer + "/query/" + escaped_pointer(one.name), "a query");
    }
    for (const auto& one : request.headers)
      whole(one.value, request.pointer + "/headers/" + escaped_pointer(one.name));
    if (request.body) {
      whole(*request.body, request.pointer + "/body");
      for (const auto& part : request.body->expressions())
        sent_whole(part, request.pointer + "/body");
    }
    conditions(rules);
  }

  void conditions(const std::vector<OutcomeRule>& rules) {
    for (const auto& rule : rules) {
      if (rule.when) condition(*rule.when, rule.pointer + "/when");
    }
  }

  void sent_whole(const TemplateExpression& part, const std::string& pointer) {
    const Node& root = part.expression.root();
    const bool input = root.kind == NodeKind::name && root.text == "input";
    const bool output = part.pointer.empty() && root.kind == NodeKind::member &&
                        root.text == "output" && root.children[0].kind == NodeKind::member;
    if (input || output) {
      check_.warning("W421", pointer + part.pointer,
                     "the whole of `" + part.expression.source() + "` is sent to a participant",
                     "name the members it needs: what is added later would be sent too");
    }
  }

  /// The members of the input that are marked x-sensitive and go where they would be seen.
  void sensitive(const Template& source, const std::string& pointer, const char* where) {
    for (const auto& part : source.expressions()) {
      if (reads_sensitive(part.expression.root())) {
        check_.warning(
            "W422", pointer + part.pointer,
            "sensitive input goes into " + std::string(where) + ", where it is stored and logged");
      }
    }
  }

  bool reads_sensitive(const Node& node) {
    const Json* schema = schema_of(node);
    const Json* mark = member_of(schema, "x-sensitive");
    if (mark != nullptr && *mark == true) return true;
    return std::any_of(node.children.begin(), node.children.end(),
                       [&](const Node& child) { return reads_sensitive(child); });
  }

  const Json* schema_of(const Node& node) const {
    if (node.kind == NodeKind::name && node.text == "input" && !node.macro_variable) return input_;
    if (node.kind != NodeKind::member) return nullptr;
    const Json* properties = member_of(schema_of(node.children[0]), "properties");
    return properties != nullptr ? member_of(properties, node.text.c_str()) : nullptr;
  }

  void whole(const Template& source, const std::string& pointer) {
    for (const auto& part : source.expressions()) {
      const Type type = expression(part.expression, pointer + part.pointer);
      if (part.interpolated && type.is_known() &&
          !type.may_be(string_type | number_type | boolean_type)) {
        error("E413", "a part of a text is a string, number or boolean, not " + text_of(type.kinds),
              "use json(), join() or one of its members");
      }
    }
  }

  void whole(const std::optional<Template>& source, const std::string& pointer) {
    if (source) whole(*source, pointer);
  }

  void condition(const Expression& source, const std::string& pointer) {
    const Type type = expression(source, pointer);
    if (!type.may_be(boolean_type))
      error("E412", "a condition is true or false, not " + text_of(type.kinds),
            "compare it with something");
  }

  Type expression(const Expression& source, const std::string& pointer) {
    at_ = {&source, pointer};
    return type_of(source.root());
  }

  void error(const char* code, const std::string& message, const std::string& hint = {}) {
    check_.error(code, at_.pointer,
                 message + ", in `" + excerpt(at_.expression->source(), 80) + "`", hint);
  }

  Type type_of(const Node& node) {
    switch (node.kind) {
      case NodeKind::literal:
        return {kind_of_name(node.literal.is_number() ? "number" : node.literal.type_name()),
                nullptr};
      case NodeKind::omit:
        return {};
      case NodeKind::name: {
        if (node.text == "input" && !node.macro_variable) return of_schema(input_);
        const auto variable = variables_.find(node.text);
        return variable == variables_.end() ? Type{} : variable->second;
      }
      case NodeKind::member:
        return member(node);
      case NodeKind::index: {
        const Type list = type_of(node.children[0]);
        type_of(node.children[1]);
        Type item = of_schema(member_of(list.schema, "items"));
        if (node.optional && item.is_known()) item.kinds |= null_type;
        return item;
      }
      case NodeKind::unary:
        return unary(node);
      case NodeKind::binary:
        return binary(node);
      case NodeKind::conditional: {
        require(type_of(node.children[0]), boolean_type, "the condition of `? :`");
        const Type yes = type_of(node.children[1]);
        const Type no = type_of(node.children[2]);
        return {static_cast<std::uint8_t>(yes.kinds | no.kinds), nullptr};
      }
      case NodeKind::call:
        return call(node);
      case NodeKind::macro:
        return macro(node);
      case NodeKind::array:
        for (const auto& child : node.children) type_of(child);
        return {array_type, nullptr};
      case NodeKind::object:
        for (const auto& child : node.children) type_of(child);
        return {object_type, nullptr};
    }
    return {};
  }

  void require(const Type& type, std::uint8_t wanted, const std::string& what) {
    if (!type.may_be(wanted))
      error("E412", what + " is " + text_of(wanted) + ", not " + text_of(type.kinds));
  }

  Type member(const Node& node) {
    const Type object = type_of(node.children[0]);
    if (object.schema == nullptr) return {};
    const Json* properties = member_of(object.schema, "properties");
    if (properties == nullptr) return {};
    const Json* schema = member_of(properties, node.text.c_str());
    if (schema == nullptr) {
      const Json* additional = member_of(object.schema, "additionalProperties");
      if (additional != nullptr && additional->is_object()) return of_schema(additional);
      std::vector<std::string> names;
      for (const auto& [name, property] : properties->items()) names.push_back(name);
      const std::string near = nearest(node.text, names);
      error("E408", "the input schema has no `" + node.text + "` here",
            near.empty() ? "" : "did you mean `" + near + "`?");
      return {};
    }
    Type type = of_schema(schema);
    const bool missing =
        !is_required(object.schema, node.text) && member_of(schema, "default") == nullptr;
    if (missing && !node.optional) {
      error("E409", "`" + node.text + "` is optional and may be missing",
            "write `?." + node.text + "` and `??` for its absence");
    }
    if (node.optional && type.is_known()) type.kinds |= null_type;
    return type;
  }

  Type unary(const Node& node) {
    const Type type = type_of(node.children[0]);
    const bool negation = node.op == Operator::logical_not;
    require(type, negation ? boolean_type : number_type,
            negation ? "what `!` takes" : "what `-` takes");
    return {negation ? std::uint8_t{boolean_type} : std::uint8_t{number_type}, nullptr};
  }

  Type binary(const Node& node) {
    const Type left = type_of(node.children[0]);
    const Type right = type_of(node.children[1]);
    const Operator op = node.op;
    if (op == Operator::coalesce) {
      return {static_cast<std::uint8_t>((left.kinds & ~null_type) | right.kinds),
              left.schema != nullptr && right.schema == nullptr ? nullptr : left.schema};
    }
    if (op == Operator::logical_and || op == Operator::logical_or) {
      require(left, boolean_type, "what `&&` and `||` take");
      require(right, boolean_type, "what `&&` and `||` take");
      return {boolean_type, nullptr};
    }
    if (op == Operator::equal || op == Operator::not_equal) return {boolean_type, nullptr};
    if (op == Operator::in) {
      require(right, array_type | object_type, "the right side of `in`");
      return {boolean_type, nullptr};
    }
    const bool ordering = op == Operator::less || op == Operator::less_equal ||
                          op == Operator::greater || op == Operator::greater_equal;
    const bool texts_too = ordering || op == Operator::add;
    const std::uint8_t wanted = texts_too ? number_type | string_type : number_type;
    const auto common = static_cast<std::uint8_t>(left.kinds & right.kinds & wanted);
    if (common == 0) {
      error("E412",
            (ordering ? "ordering takes" : "arithmetic takes") +
                std::string(texts_too ? " two numbers or two strings" : " numbers") + ", not " +
                text_of(left.kinds) + " and " + text_of(right.kinds),
            "convert with string(), number() or int()");
    }
    return {ordering ? std::uint8_t{boolean_type} : common == 0 ? wanted : common, nullptr};
  }

  Type call(const Node& node) {
    const auto& library = function_library();
    const auto info = std::find_if(library.begin(), library.end(),
                                   [&](const auto& one) { return one.name == node.text; });
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      const Type type = type_of(node.children[i]);
      if (info == library.end() || info->arguments.empty()) continue;
      const auto& wanted = info->arguments[std::min(i, info->arguments.size() - 1)];
      require(type, kinds_of_names(wanted),
              "argument " + std::to_string(i + 1) + " of `" + node.text + "`");
    }
    return {info == library.end() ? std::uint8_t{any_type} : kinds_of_names(info->result), nullptr};
  }

  Type macro(const Node& node) {
    const Type list = type_of(node.children[0]);
    require(list, array_type, "what `." + node.text + "` goes over");
    const Type item = of_schema(member_of(list.schema, "items"));
    variables_[node.variable] = item;
    const Type body = type_of(node.children[1]);
    variables_.erase(node.variable);
    const std::string& name = node.text;
    if (name == "filter" || name == "find" || name == "all" || name == "any")
      require(body, boolean_type, "the body of `." + name + "`");
    if (name == "sum") require(body, number_type, "the body of `.sum`");
    if (name == "flatMap" || name == "toObject")
      require(body, array_type, "the body of `." + name + "`");
    if (name == "all" || name == "any") return {boolean_type, nullptr};
    if (name == "sum") return {number_type, nullptr};
    if (name == "find") return {};
    if (name == "toObject") return {object_type, nullptr};
    return {array_type, name == "filter" || name == "sortBy" ? list.schema : nullptr};
  }

  struct Where {
    const Expression* expression = nullptr;
    std::string pointer;
  };
  const Check& check_;
  const Json* input_ = nullptr;
  std::map<std::string, Type> variables_;
  Where at_;
};

}  // namespace

void check_types(const Check& check) {
  Types(check).run();
}

}  // namespace backstitch::dsl

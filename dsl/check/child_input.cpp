/// What a parent gives to its child, and what it gets back.
#include <algorithm>

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/dsl/nearest.hpp>

#include "children.hpp"
#include "reading.hpp"

namespace backstitch::dsl {
namespace {

bool holds_expression(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().find("${") != std::string::npos;
  return value.is_structured() && std::any_of(value.begin(), value.end(), holds_expression);
}

class ChildInput {
 public:
  ChildInput(const Check& check, Schemas& schemas) : check_(check), schemas_(schemas) {}

  void fits(const Json& source, const Type& given, const Json& schema, const std::string& at) {
    if (!schema.is_object()) return;
    if (!holds_expression(source)) return constant(source, schema, at);
    const Kinds wanted = schemas_.type_of(&schema, Origin::child).kinds;
    if (!given.may_be(wanted))
      return error(at, "the child takes " + to_text(wanted) + " here, not " + to_text(given.kinds),
                   "give it a value of that type");
    if (source.is_string()) whole(given, schema, at);
    if (source.is_object()) object(source, given, schema, at);
    const Json* items = keyword(&schema, "items");
    if (!source.is_array() || items == nullptr) return;
    for (std::size_t i = 0; i < source.size(); ++i)
      fits(source[i], {}, *items, at + "/" + std::to_string(i));
  }

 private:
  void constant(const Json& source, const Json& schema, const std::string& at) {
    const PayloadSchema* compiled = schemas_.compiled(schema);
    if (compiled == nullptr) return;
    for (const auto& detail : compiled->validate(compiled->with_defaults(source))) {
      error(at + detail.pointer, "the child does not take this: " + detail.message,
            detail.hint.empty() ? "give it what its input schema says" : detail.hint);
    }
  }

  /// One expression that gives all of it.
  void whole(const Type& given, const Json& schema, const std::string& at) {
    for (const auto& name : needed(schema)) {
      if (member_of(schemas_, given, name).is == Member::Is::absent) missing(name, at);
    }
  }

  void object(const Json& source, const Type& given, const Json& schema, const std::string& at) {
    for (const auto& name : needed(schema)) {
      if (!source.contains(name)) missing(name, at);
    }
    const Json* properties = keyword(&schema, "properties");
    const Json* additional = keyword(&schema, "additionalProperties");
    for (const auto& [name, value] : source.items()) {
      const std::string place = at + "/" + escaped_pointer(name);
      const Json* property = properties != nullptr ? keyword(properties, name.c_str()) : nullptr;
      if (property == nullptr && additional != nullptr && *additional == false) {
        error(place, "the child takes no `" + name + "`",
              did_you_mean(name, member_names(schemas_.type_of(&schema, Origin::child)),
                           "leave it out"));
        continue;
      }
      if (property == nullptr) property = additional;
      if (property != nullptr) fits(value, member_of(schemas_, given, name).type, *property, place);
    }
  }

  /// Members that must be there and are not filled in.
  static std::vector<std::string> needed(const Json& schema) {
    std::vector<std::string> names;
    const Json* required = keyword(&schema, "required");
    const Json* properties = keyword(&schema, "properties");
    if (required == nullptr) return names;
    for (const Json& one : *required) {
      const auto name = one.get<std::string>();
      const Json* property = properties != nullptr ? keyword(properties, name.c_str()) : nullptr;
      if (keyword(property, "default") == nullptr) names.push_back(name);
    }
    return names;
  }

  void missing(const std::string& name, const std::string& at) {
    error(at, "the child needs `" + name + "`, which its input does not have",
          "add `" + name + "`");
  }

  void error(const std::string& pointer, const std::string& message, const std::string& hint) {
    check_.error("E415", pointer, message, hint);
  }

  const Check& check_;
  Schemas& schemas_;
};

}  // namespace

void check_child_input(const Check& check, Schemas& schemas, const Step& step, const Type& given) {
  const auto& saga = std::get<SubSaga>(step.body);
  const Definition* child = check.children.find(saga);
  if (child == nullptr || !child->input) return;
  ChildInput(check, schemas)
      .fits(saga.input.source(), given, child->input->source(), step.pointer + "/saga/input");
}

Type child_output(const Check& check, const SubSaga& saga) {
  const Definition* child = check.children.find(saga);
  if (child == nullptr) return {};
  if (child->output)
    return type_of(*child->output, Origin::child, [](const TemplateExpression&) { return Type{}; });
  Type none = of_kinds(null_kind);
  none.origin = Origin::child;
  return none;
}

}  // namespace backstitch::dsl

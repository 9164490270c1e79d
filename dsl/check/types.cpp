#include "types.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace backstitch::dsl {
namespace {

/// Larger shapes are not put together: what they have in common is then not known.
constexpr std::size_t merged_max = 64;

constexpr std::pair<Kinds, const char*> kind_names[] = {
    {null_kind, "null"},     {boolean_kind, "boolean"}, {number_kind, "number"},
    {string_kind, "string"}, {array_kind, "array"},     {object_kind, "object"}};

Kinds kind_of_name(std::string_view name) {
  if (name == "integer") return number_kind;
  for (const auto& [kind, known] : kind_names) {
    if (name == known) return kind;
  }
  return any_kind;
}

Kinds kinds_of_schema(const Json& schema) {
  const Json* type = keyword(&schema, "type");
  if (type == nullptr) return any_kind;
  if (type->is_string()) return kind_of_name(type->get_ref<const std::string&>());
  Kinds kinds = 0;
  for (const Json& one : *type) {
    if (one.is_string())
      kinds = static_cast<Kinds>(kinds | kind_of_name(one.get_ref<const std::string&>()));
  }
  return kinds;
}

bool is_marked(const Json& schema) {
  const Json* mark = keyword(&schema, "x-sensitive");
  return mark != nullptr && *mark == true;
}

/// A known member of a schema's properties, or what else the schema says.
Member member_of_schema(Schemas& schemas, const Type& object, const std::string& name) {
  const Json& schema = *object.schema;
  const bool whole = is_marked(schema);
  const auto found = [&](const Json* property, bool optional) {
    Member member{Member::Is::known, optional, schemas.type_of(property, object.origin)};
    member.type.sensitive = member.type.sensitive || whole;
    return member;
  };
  const Json* properties = keyword(&schema, "properties");
  const Json* property = properties != nullptr ? keyword(properties, name.c_str()) : nullptr;
  if (property != nullptr) {
    const bool filled = keyword(property, "default") != nullptr;
    return found(property, !schemas.requires_member(schema, name) && !filled);
  }
  const Json* additional = keyword(&schema, "additionalProperties");
  if (additional != nullptr && additional->is_object()) return found(additional, false);
  Member member;
  member.type.sensitive = whole;
  const bool closed = additional != nullptr && *additional == false;
  const bool open = additional != nullptr && *additional == true;
  if (closed || (properties != nullptr && !open)) member.is = Member::Is::absent;
  return member;
}

}  // namespace

Kinds kinds_of_names(std::string_view names) {
  if (names.empty()) return any_kind;
  Kinds kinds = 0;
  std::size_t begin = 0;
  while (begin <= names.size()) {
    const auto end = std::min(names.find('|', begin), names.size());
    kinds = static_cast<Kinds>(kinds | kind_of_name(names.substr(begin, end - begin)));
    begin = end + 1;
  }
  return kinds;
}

Kinds kind_of(const Json& value) {
  return value.is_number() ? Kinds{number_kind} : kind_of_name(value.type_name());
}

std::string to_text(Kinds kinds) {
  std::string out;
  for (const auto& [kind, name] : kind_names) {
    if ((kinds & kind) != 0) out += (out.empty() ? "" : " or ") + std::string(name);
  }
  return out;
}

Type object_of(std::map<std::string, Type> members, Origin origin) {
  Type type = of_kinds(object_kind);
  type.origin = origin;
  type.sensitive = std::any_of(members.begin(), members.end(),
                               [](const auto& one) { return one.second.sensitive; });
  auto shape = std::make_shared<Shape>();
  shape->members = std::move(members);
  type.shape = std::move(shape);
  return type;
}

Type array_of(const Type& item) {
  Type type = of_kinds(array_kind);
  type.sensitive = item.sensitive;
  auto shape = std::make_shared<Shape>();
  shape->items = item;
  type.shape = std::move(shape);
  return type;
}

Type Schemas::type_of(const Json* schema, Origin origin) {
  Type type;
  type.origin = origin;
  if (schema == nullptr || !schema->is_object()) return type;
  type.kinds = kinds_of_schema(*schema);
  type.schema = schema;
  type.sensitive = holds_sensitive(*schema);
  return type;
}

bool Schemas::requires_member(const Json& schema, const std::string& name) {
  const auto [known, added] = required_.try_emplace(&schema);
  const Json* required = added ? keyword(&schema, "required") : nullptr;
  if (required != nullptr) {
    for (const Json& one : *required) {
      if (one.is_string()) known->second.insert(one.get_ref<const std::string&>());
    }
  }
  return known->second.count(name) > 0;
}

const PayloadSchema* Schemas::compiled(const Json& schema) {
  const auto [known, added] = compiled_.try_emplace(&schema);
  if (added) PayloadSchema::compile(schema, "", known->second);
  return known->second.get();
}

bool Schemas::may_be_empty_text(const Type& type) {
  if (type.empty_text) return true;
  if (type.schema == nullptr || !type.may_be(string_kind)) return false;
  const PayloadSchema* schema = compiled(*type.schema);
  return schema != nullptr && schema->validate("").empty();
}

bool Schemas::may_be_any_text(const Type& type) {
  if (type.any_text) return true;
  if (type.schema == nullptr || type.origin != Origin::input || !type.may_be(string_kind))
    return false;
  const PayloadSchema* schema = compiled(*type.schema);
  return schema != nullptr && schema->validate("soon").empty();
}

bool Schemas::holds_sensitive(const Json& schema) {
  if (!schema.is_object()) return false;
  const auto [known, added] = sensitive_.try_emplace(&schema, false);
  if (!added) return known->second;
  bool& holds = known->second;
  holds = is_marked(schema);
  if (const Json* properties = keyword(&schema, "properties")) {
    for (const Json& property : *properties) holds = holds_sensitive(property) || holds;
  }
  for (const char* name : {"items", "additionalProperties"}) {
    if (const Json* inner = keyword(&schema, name)) holds = holds_sensitive(*inner) || holds;
  }
  return holds;
}

Member member_of(Schemas& schemas, const Type& object, const std::string& name) {
  if (object.schema != nullptr) return member_of_schema(schemas, object, name);
  Member member;
  if (object.shape == nullptr || object.shape->items) {
    member.type.sensitive = object.sensitive;
    return member;
  }
  const auto found = object.shape->members.find(name);
  member.is = found == object.shape->members.end() ? Member::Is::absent : Member::Is::known;
  if (member.is == Member::Is::known) member.type = found->second;
  return member;
}

std::vector<std::string> member_names(const Type& object) {
  std::vector<std::string> names;
  const Json* properties = keyword(object.schema, "properties");
  if (properties != nullptr) {
    for (const auto& [name, property] : properties->items()) names.push_back(name);
  }
  if (object.shape != nullptr) {
    for (const auto& [name, type] : object.shape->members) names.push_back(name);
  }
  return names;
}

Type items_of(Schemas& schemas, const Type& list) {
  if (list.shape != nullptr && list.shape->items) return *list.shape->items;
  if (list.schema != nullptr) {
    Type item = schemas.type_of(keyword(list.schema, "items"), list.origin);
    item.sensitive = item.sensitive || is_marked(*list.schema);
    return item;
  }
  Type item;
  item.sensitive = list.sensitive;
  return item;
}

/// Only one level deep: shapes may share parts, and walking all ways to them would take for ever.
Type either(const Type& one, const Type& other) {
  Type type;
  type.kinds = static_cast<Kinds>(one.kinds | other.kinds);
  const bool of_failure = one.origin == Origin::failure || other.origin == Origin::failure;
  type.origin = of_failure                   ? Origin::failure
                : one.origin == other.origin ? one.origin
                                             : Origin::other;
  type.missing = one.missing || other.missing;
  type.sensitive = one.sensitive || other.sensitive;
  // Null has no members to speak of.
  const Type* only = other.kinds == null_kind ? &one : one.kinds == null_kind ? &other : nullptr;
  if (only == nullptr && one.schema == other.schema && one.shape == other.shape) only = &one;
  if (only != nullptr) {
    if (!of_failure) type.origin = only->origin;
    type.schema = only->schema;
    type.shape = only->shape;
    return type;
  }
  const bool objects = one.kinds == object_kind && other.kinds == object_kind && one.shape &&
                       other.shape && !one.shape->items && !other.shape->items &&
                       one.shape->members.size() + other.shape->members.size() <= merged_max;
  if (!objects) return type;
  auto members = one.shape->members;
  for (const auto& [name, member] : other.shape->members) {
    const auto [found, added] = members.try_emplace(name, member);
    if (added) continue;
    Type both = of_kinds(static_cast<Kinds>(found->second.kinds | member.kinds));
    both.sensitive = found->second.sensitive || member.sensitive;
    found->second = std::move(both);
  }
  type.shape = object_of(std::move(members)).shape;
  return type;
}

const Json* keyword(const Json* schema, const char* name) {
  if (schema == nullptr || !schema->is_object()) return nullptr;
  const auto found = schema->find(name);
  return found == schema->end() ? nullptr : &*found;
}

}  // namespace backstitch::dsl

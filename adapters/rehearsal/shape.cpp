#include "shape.hpp"

#include <algorithm>

#include <backstitch/dsl/number.hpp>

namespace backstitch::rehearsal {
namespace {

constexpr int number_example = 100;

Kind kind_of(const Json& value) {
  if (value.is_string()) return Kind::text;
  if (value.is_number()) return Kind::number;
  if (value.is_boolean()) return Kind::boolean;
  if (value.is_array()) return Kind::array;
  return value.is_object() ? Kind::object : Kind::any;
}

Kind kind_named(const std::string& type, const std::string& format) {
  if (type == "string") return format == "date-time" ? Kind::time : Kind::text;
  if (type == "integer" || type == "number") return Kind::number;
  if (type == "boolean") return Kind::boolean;
  if (type == "array") return Kind::array;
  return type == "object" ? Kind::object : Kind::any;
}

/// A bound that the usual number would break becomes the number itself, moved inside by `step`.
void want_bound(const Places& places, const Json& schema, const std::string& keyword, int step) {
  const auto found = schema.find(keyword);
  if (found == schema.end() || !found->is_number()) return;
  const bool least = keyword == "minimum" || keyword == "exclusiveMinimum";
  const double inside = found->get<double>() + step;
  if (least ? inside <= number_example : inside >= number_example) return;
  want_value(places, found->is_number_integer() ? Json(found->get<std::int64_t>() + step)
                                                : dsl::number(inside));
}

bool is_unlike(const Shape& shape, const Json& value) {
  return std::find(shape.unlike.begin(), shape.unlike.end(), value) != shape.unlike.end();
}

Json number_of(const Shape& shape) {
  Json value = number_example;
  while (is_unlike(shape, value)) value = value.get<int>() + 1;
  return value;
}

Json object_of(const Shape& shape, const std::string& number) {
  Json object = Json::object();
  for (const auto& [name, places] : shape.members) object[name] = example(*places[0], number);
  return object;
}

}  // namespace

Places Shape::member(const std::string& called) {
  if (kind == Kind::any) kind = Kind::object;
  Places& places = members[called];
  if (places.empty()) places.push_back(make_shape(called));
  return places;
}

Places Shape::items() {
  if (kind == Kind::any) kind = Kind::array;
  if (elements.empty()) elements.push_back(make_shape(name));
  return elements;
}

std::shared_ptr<Shape> make_shape(std::string name, Kind kind) {
  auto shape = std::make_shared<Shape>();
  shape->name = std::move(name);
  shape->kind = kind;
  return shape;
}

Places members_of(const Places& places, const std::string& name) {
  Places all;
  for (const auto& place : places) add(all, place->member(name));
  return all;
}

Places items_of(const Places& places) {
  Places all;
  for (const auto& place : places) add(all, place->items());
  return all;
}

void want(const Places& places, Kind kind) {
  for (const auto& place : places) {
    if (place->kind == Kind::any) place->kind = kind;
  }
}

void want_value(const Places& places, const Json& value) {
  want(places, kind_of(value));
  for (const auto& place : places) {
    if (!place->value && place->kind == kind_of(value)) place->value = value;
  }
}

void want_other(const Places& places, const Json& value) {
  want(places, kind_of(value));
  for (const auto& place : places) place->unlike.push_back(value);
}

void want_schema(const Places& places, const Json& schema) {
  if (!schema.is_object()) return;
  const auto text = [&](const char* member) {
    const auto found = schema.find(member);
    return found != schema.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  want(places, kind_named(text("type"), text("format")));
  if (schema.contains("const")) want_value(places, schema["const"]);
  if (schema.contains("enum") && !schema["enum"].empty()) want_value(places, schema["enum"][0]);
  if (text("format") == "date") want_value(places, "2026-01-01");
  if (text("format") == "uuid") want_value(places, "01900000-0000-7000-8000-000000000001");
  want_bound(places, schema, "minimum", 0);
  want_bound(places, schema, "maximum", 0);
  want_bound(places, schema, "exclusiveMinimum", 1);
  want_bound(places, schema, "exclusiveMaximum", -1);
  if (schema.contains("properties") && schema["properties"].is_object()) {
    for (const auto& [name, part] : schema["properties"].items()) {
      for (const auto& place : places) {
        // What nobody reads need not be there.
        if (place->members.contains(name)) want_schema(place->member(name), part);
      }
    }
  }
  if (schema.contains("items")) want_schema(items_of(places), schema["items"]);
}

void add(Places& to, const Places& more) {
  to.insert(to.end(), more.begin(), more.end());
}

Json example(const Shape& shape, const std::string& number) {
  if (shape.value) return *shape.value;
  switch (shape.kind) {
    case Kind::any:
    case Kind::text:
      return (shape.name.empty() ? "text" : shape.name) + "-" + number;
    case Kind::number:
      return number_of(shape);
    case Kind::boolean:
      return is_unlike(shape, false);
    case Kind::array:
      return shape.elements.empty() ? Json::array()
                                    : Json::array({example(*shape.elements[0], number)});
    case Kind::object:
      return object_of(shape, number);
    case Kind::duration:
      return "1s";
    case Kind::time:
      return "2026-01-01T00:00:00Z";
  }
  return nullptr;
}

}  // namespace backstitch::rehearsal

#include <algorithm>
#include <cmath>

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>

#include "comparison.hpp"
#include "payload_schema_node.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t errors_max = 50;

bool has_type(const SchemaNode& node, const Json& value) {
  if (node.types.empty()) return true;
  if (value.is_number_integer())
    return node.types.count("integer") > 0 || node.types.count("number") > 0;
  if (value.is_number()) {
    // 1.0 is an integer to JSON Schema.
    const auto real = value.get<double>();
    return node.types.count("number") > 0 ||
           (node.types.count("integer") > 0 && real == std::trunc(real));
  }
  return node.types.count(value.type_name()) > 0;
}

std::string listed(const std::set<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : " or ") + name;
  return out;
}

std::size_t length_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

bool has_format(const std::string& format, const std::string& text) {
  if (format == "date-time") return parse_rfc3339(text).has_value();
  if (format == "date") return text.size() == 10 && parse_rfc3339(text + "T00:00:00Z").has_value();
  if (format == "uuid") return SagaId::parse(text).has_value();
  return true;
}

class Validator {
 public:
  explicit Validator(std::vector<ErrorDetail>& errors) : errors_(errors) {}

  void check(const SchemaNode& node, const Json& value, const std::string& pointer) {
    if (errors_.size() >= errors_max) return;
    if (node.nothing) return add(pointer, "is not allowed here");
    if (!has_type(node, value)) {
      return add(pointer,
                 "is " + std::string(value.type_name()) + "; wanted is " + listed(node.types));
    }
    if (node.constant && !equal(value, *node.constant))
      add(pointer, "has to be " + node.constant->dump());
    const auto is_value = [&](const Json& choice) { return equal(choice, value); };
    if (node.has_choices && std::none_of(node.choices.begin(), node.choices.end(), is_value)) {
      add(pointer, "is none of the values allowed");
    }
    if (value.is_object()) object(node, value, pointer);
    if (value.is_array()) array(node, value, pointer);
    if (value.is_string()) text(node, value.get_ref<const std::string&>(), pointer);
    if (value.is_number()) number(node, value, pointer);
  }

 private:
  void add(const std::string& pointer, const std::string& message, std::string hint = {}) {
    if (errors_.size() < errors_max) {
      errors_.push_back(
          bounded({pointer, "INPUT_INVALID",
                   "`" + (pointer.empty() ? "/" : pointer) + "` " + message, std::move(hint)}));
    }
  }

  void object(const SchemaNode& node, const Json& value, const std::string& pointer) {
    for (const auto& name : node.required) {
      if (!value.contains(name))
        add(pointer + "/" + escaped_pointer(name), "is missing", "add `" + name + "`");
    }
    for (const auto& [name, member] : value.items()) {
      const std::string at = pointer + "/" + escaped_pointer(name);
      if (const auto known = node.properties.find(name); known != node.properties.end()) {
        check(*known->second, member, at);
      } else if (node.additional) {
        check(*node.additional, member, at);
      }
    }
  }

  void array(const SchemaNode& node, const Json& value, const std::string& pointer) {
    if (node.items_min && value.size() < *node.items_min)
      add(pointer, "has fewer items than " + std::to_string(*node.items_min));
    if (node.items_max && value.size() > *node.items_max)
      add(pointer, "has more items than " + std::to_string(*node.items_max));
    if (node.items_unique) {
      std::vector<const Json*> sorted;
      for (const Json& item : value) sorted.push_back(&item);
      std::sort(sorted.begin(), sorted.end(),
                [](const Json* a, const Json* b) { return order_of(*a, *b) < 0; });
      const auto twice =
          std::adjacent_find(sorted.begin(), sorted.end(),
                             [](const Json* a, const Json* b) { return order_of(*a, *b) == 0; });
      if (twice != sorted.end()) add(pointer, "has an item twice");
    }
    if (!node.items) return;
    for (std::size_t i = 0; i < value.size(); ++i)
      check(*node.items, value[i], pointer + "/" + std::to_string(i));
  }

  void text(const SchemaNode& node, const std::string& value, const std::string& pointer) {
    if (node.length_min || node.length_max) {
      const std::size_t length = length_of(value);
      if (node.length_min && length < *node.length_min)
        add(pointer, "is shorter than " + std::to_string(*node.length_min));
      if (node.length_max && length > *node.length_max)
        add(pointer, "is longer than " + std::to_string(*node.length_max));
    }
    if (node.pattern && !re2::RE2::PartialMatch(value, *node.pattern))
      add(pointer, "does not match " + node.pattern->pattern());
    if (!node.format.empty() && !has_format(node.format, value))
      add(pointer, "is not a valid " + node.format);
  }

  void number(const SchemaNode& node, const Json& value, const std::string& pointer) {
    if (node.minimum && less(value, *node.minimum))
      add(pointer, "is less than " + node.minimum->dump());
    if (node.maximum && less(*node.maximum, value))
      add(pointer, "is more than " + node.maximum->dump());
    if (node.minimum_exclusive && !less(*node.minimum_exclusive, value)) {
      add(pointer, "is not more than " + node.minimum_exclusive->dump());
    }
    if (node.maximum_exclusive && !less(value, *node.maximum_exclusive)) {
      add(pointer, "is not less than " + node.maximum_exclusive->dump());
    }
  }

  std::vector<ErrorDetail>& errors_;
};

}  // namespace

void validate_against(const SchemaNode& node, const Json& value, const std::string& pointer,
                      std::vector<ErrorDetail>& errors) {
  Validator(errors).check(node, value, pointer);
}

void fill_defaults(const SchemaNode& node, Json& value) {
  if (value.is_object()) {
    for (const auto& [name, property] : node.properties) {
      auto found = value.find(name);
      if (found == value.end() && property->default_value)
        found = value.emplace(name, *property->default_value).first;
      // A default may itself leave out what has a default.
      if (found != value.end()) fill_defaults(*property, *found);
    }
  } else if (value.is_array() && node.items) {
    for (Json& item : value) fill_defaults(*node.items, item);
  }
}

}  // namespace backstitch::dsl

#include "example_input.hpp"

#include <algorithm>
#include <cmath>

#include <backstitch/dsl/number.hpp>

namespace backstitch::contract_check {
namespace {

constexpr std::string_view run_mark = "${run}";

std::string member_text(const Json& schema, const char* member) {
  const auto found = schema.find(member);
  return found != schema.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::string text_example(const Json& schema, const std::string& name, const std::string& run) {
  const std::string format = member_text(schema, "format");
  if (format == "date") return "2026-01-01";
  if (format == "date-time") return "2026-01-01T00:00:00Z";
  if (format == "uuid") return "01900000-0000-7000-8000-0000" + run;
  std::string text = (name.empty() ? "text" : name) + "-" + run;
  const auto least = schema.value("minLength", std::size_t{0});
  if (text.size() < least) text.append(least - text.size(), 'x');
  // The end is what is new.
  const auto most = schema.value("maxLength", text.size());
  return most < text.size() ? text.substr(text.size() - most) : text;
}

Json number_example(const Json& schema) {
  constexpr std::int64_t usual = 1;
  const bool whole = member_text(schema, "type") == "integer";
  const auto bound = [&](const char* member, double otherwise) {
    const auto found = schema.find(member);
    return found != schema.end() && found->is_number() ? found->get<double>() : otherwise;
  };
  double value = usual;
  value = std::max(value, bound("minimum", value));
  value = std::max(value, bound("exclusiveMinimum", value - 1) + 1);
  value = std::min(value, bound("maximum", value));
  value = std::min(value, bound("exclusiveMaximum", value + 1) - 1);
  return dsl::number(whole ? std::trunc(value) : value);
}

Json object_example(const Json& schema, const std::string& run) {
  Json object = Json::object();
  const auto properties = schema.find("properties");
  if (properties == schema.end() || !properties->is_object()) return object;
  for (const auto& [name, part] : properties->items()) object[name] = example_of(part, name, run);
  return object;
}

Json array_example(const Json& schema, const std::string& name, const std::string& run) {
  Json array = Json::array();
  const auto count = std::max<std::size_t>(schema.value("minItems", std::size_t{1}), 1);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string number = count == 1 ? run : run + std::to_string(i);
    array.push_back(example_of(schema.value("items", Json::object()), name, number));
  }
  return array;
}

}  // namespace

Json example_of(const Json& schema, const std::string& name, const std::string& run) {
  if (!schema.is_object()) return name + "-" + run;
  if (schema.contains("const")) return schema["const"];
  if (schema.contains("default")) return schema["default"];
  if (schema.contains("enum") && !schema["enum"].empty()) return schema["enum"][0];
  Json type = schema.value("type", Json());
  if (type.is_array() && !type.empty()) type = type[0];
  if (type == "object" || (type.is_null() && schema.contains("properties")))
    return object_example(schema, run);
  if (type == "array") return array_example(schema, name, run);
  if (type == "integer" || type == "number") return number_example(schema);
  if (type == "boolean") return true;
  if (type == "null") return nullptr;
  return text_example(schema, name, run);
}

Json for_run(Json input, const std::string& run) {
  if (input.is_string()) {
    std::string text = input.get<std::string>();
    for (auto at = text.find(run_mark); at != std::string::npos;
         at = text.find(run_mark, at + run.size()))
      text.replace(at, run_mark.size(), run);
    return text;
  }
  if (input.is_structured()) {
    for (auto& part : input) part = for_run(part, run);
  }
  return input;
}

}  // namespace backstitch::contract_check

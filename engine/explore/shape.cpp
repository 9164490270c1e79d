#include "shape.hpp"

#include <algorithm>
#include <functional>
#include <optional>

namespace backstitch::engine::explore {
namespace {

/// One choice for a member; unset: it is absent.
using Choice = std::optional<Json>;

const Json& none() {
  static const Json nothing;
  return nothing;
}

const Json& in_schema(const Json& schema, const char* keyword) {
  if (!schema.is_object()) return none();
  const auto found = schema.find(keyword);
  return found == schema.end() ? none() : *found;
}

std::string type_of(const Shape& shape, const Json& schema) {
  const Json& type = in_schema(schema, "type");
  if (type.is_string()) return type.get<std::string>();
  if (type.is_array()) {
    for (const auto& one : type) {
      if (one.is_string() && one != "null") return one.get<std::string>();
    }
  }
  if (schema.is_object() && schema.contains("properties")) return "object";
  if (shape.list || shape.looped) return "array";
  if (shape.object) return "object";
  if (shape.number || shape.divisor) return "number";
  if (shape.boolean) return "boolean";
  for (const auto& constant : shape.compared) {
    if (constant.is_number()) return "number";
    if (constant.is_boolean()) return "boolean";
    if (constant.is_string()) return "string";
  }
  return "string";
}

std::int64_t integer_or(const Json& value, std::int64_t other) {
  return value.is_number() ? value.get<std::int64_t>() : other;
}

std::string text_in_format(const std::string& format) {
  if (format == "date") return "2026-03-01";
  if (format == "date-time") return "2026-03-01T12:00:00Z";
  if (format == "uuid") return "0190a0a0-0000-7000-8000-000000000000";
  return {};
}

/// A text that stands for any: its own name, so that a story can be read.
std::string plain_text(const Json& schema, const std::string& name) {
  const Json& format = in_schema(schema, "format");
  if (format.is_string()) {
    if (auto text = text_in_format(format.get<std::string>()); !text.empty()) return text;
  }
  std::string text = name.empty() ? "text" : name;
  const auto least = static_cast<std::size_t>(integer_or(in_schema(schema, "minLength"), 0));
  const auto most = static_cast<std::size_t>(integer_or(in_schema(schema, "maxLength"), 1000));
  while (text.size() < least) text += "x";
  return text.substr(0, most);
}

std::vector<Json> texts(const Shape& shape, const Json& schema, const std::string& name) {
  if (shape.time) return {"2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"};
  if (shape.duration) return {"10s"};
  std::vector<Json> values{plain_text(schema, name)};
  for (const auto& constant : shape.compared) {
    if (constant.is_string() && constant != values.front()) values.push_back(constant);
  }
  return values;
}

std::vector<Json> numbers(const Shape& shape, const Json& schema) {
  const std::int64_t least = integer_or(in_schema(schema, "minimum"), 1);
  std::vector<Json> values{std::max<std::int64_t>(
      least, integer_or(in_schema(schema, "exclusiveMinimum"), least - 1) + 1)};
  for (const auto& constant : shape.compared) {
    if (!constant.is_number()) continue;
    values.push_back(constant);
    if (!constant.is_number_integer()) continue;
    const auto number = constant.get<std::int64_t>();
    if (shape.ordered && number > INT64_MIN) values.emplace_back(number - 1);
    if (number < INT64_MAX) values.emplace_back(number + 1);
  }
  if (shape.divisor) values.emplace_back(0);
  return values;
}

class Chooser {
 public:
  Chooser(std::size_t most, bool& cut) : most_(most), cut_(cut) {}

  std::vector<Json> choose(const Shape& shape, const Json& schema, const std::string& name) {
    std::vector<Json> values = choose_any(shape, schema, name);
    std::vector<Json> different;
    for (auto& value : values) {
      if (std::find(different.begin(), different.end(), value) == different.end())
        different.push_back(std::move(value));
    }
    return different;
  }

 private:
  std::vector<Json> choose_any(const Shape& shape, const Json& schema, const std::string& name) {
    if (const Json& constant = in_schema(schema, "const"); !constant.is_null()) return {constant};
    if (const Json& choices = in_schema(schema, "enum"); choices.is_array() && !choices.empty()) {
      const bool told_apart = !shape.compared.empty();
      return told_apart ? choices.get<std::vector<Json>>() : std::vector<Json>{choices.front()};
    }
    const std::string type = type_of(shape, schema);
    if (type == "object") return objects(shape, schema);
    if (type == "array") return lists(shape, schema, name);
    if (type == "boolean") {
      const bool told_apart = shape.boolean || !shape.compared.empty();
      return told_apart ? std::vector<Json>{true, false} : std::vector<Json>{true};
    }
    if (type == "integer" || type == "number") return numbers(shape, schema);
    if (type == "null") return {nullptr};
    return texts(shape, schema, name);
  }

  /// Every combination of the members' choices, up to the bound.
  std::vector<Json> objects(const Shape& shape, const Json& schema) {
    const Json& properties = in_schema(schema, "properties");
    const Json& required = in_schema(schema, "required");
    std::map<std::string, std::vector<Choice>> members;
    const auto add = [&](const std::string& name, const Shape& inner, bool may_miss) {
      const Json& described =
          properties.is_object() && properties.contains(name) ? properties[name] : none();
      auto& choices = members[name];
      for (auto& value : choose(inner, described, name)) choices.emplace_back(std::move(value));
      if (may_miss) choices.emplace_back(std::nullopt);
    };
    const auto is_required = [&](const std::string& name) {
      return required.is_array() &&
             std::find(required.begin(), required.end(), Json(name)) != required.end();
    };
    for (const auto& [name, inner] : shape.members) {
      const bool published = properties.is_object() && properties.contains(name);
      add(name, inner, published ? !is_required(name) : inner.may_miss);
    }
    if (required.is_array()) {
      for (const auto& name : required) {
        if (shape.members.count(name.get<std::string>()) == 0)
          add(name.get<std::string>(), Shape{}, false);
      }
    }
    return combined(members);
  }

  std::vector<Json> combined(const std::map<std::string, std::vector<Choice>>& members) {
    const auto with = [](Json value, const std::string& name, const Choice& choice) {
      if (choice) value[name] = *choice;
      return value;
    };
    std::size_t product = 1;
    for (const auto& [name, choices] : members)
      product = std::min(most_ + 1, product * choices.size());
    std::vector<Json> values{Json::object()};
    if (product <= most_) {
      for (const auto& [name, choices] : members) {
        std::vector<Json> longer;
        for (const auto& choice : choices) {
          for (const auto& value : values) longer.push_back(with(value, name, choice));
        }
        values = std::move(longer);
      }
      return values;
    }
    // Too many: each choice at least once, beside what is plain.
    cut_ = true;
    for (const auto& [name, choices] : members) values[0] = with(values[0], name, choices[0]);
    const Json plain = values[0];
    for (const auto& [name, choices] : members) {
      for (std::size_t i = 1; i < choices.size(); ++i) {
        Json other = plain;
        other.erase(name);
        values.push_back(with(std::move(other), name, choices[i]));
      }
    }
    return values;
  }

  std::vector<Json> lists(const Shape& shape, const Json& schema, const std::string& name) {
    const auto least = static_cast<std::size_t>(integer_or(in_schema(schema, "minItems"), 0));
    const auto most = static_cast<std::size_t>(integer_or(in_schema(schema, "maxItems"), 1000));
    std::vector<std::size_t> lengths{2};
    if (shape.looped) lengths = {2, 1, 0};
    if (shape.list && !shape.looped) lengths = {2, 0};
    std::vector<Json> values;
    const Shape unknown;
    const Shape& inner = shape.items ? *shape.items : unknown;
    const auto items = choose(inner, in_schema(schema, "items"), name);
    for (const std::size_t length : lengths) {
      Json list = Json::array();
      const std::size_t size = std::clamp(length, least, std::max(least, most));
      for (std::size_t i = 0; i < size; ++i) list.push_back(numbered(items.front(), i + 1));
      values.push_back(list);
      // One item at a time shows what is different about it.
      for (std::size_t other = 1; other < items.size() && size > 0; ++other) {
        Json varied = list;
        varied[0] = numbered(items[other], 1);
        values.push_back(std::move(varied));
      }
    }
    return values;
  }

  /// Items differ, so that keys made of them do.
  static Json numbered(Json value, std::size_t number) {
    if (value.is_object()) {
      for (auto& [name, member] : value.items()) {
        if (member.is_string() && member == name) member = name + "-" + std::to_string(number);
      }
    } else if (value.is_string()) {
      value = value.get<std::string>() + "-" + std::to_string(number);
    }
    return value;
  }

  std::size_t most_;
  bool& cut_;
};

}  // namespace

Shape& Shape::member(const std::string& name) {
  object = true;
  return members[name];
}

Shape& Shape::item() {
  list = true;
  if (!items) items = std::make_shared<Shape>();
  return *items;
}

std::vector<Json> representatives(const Shape& shape, const Json& schema, const std::string& name,
                                  std::size_t most, bool& cut) {
  return Chooser(most, cut).choose(shape, schema, name);
}

}  // namespace backstitch::engine::explore

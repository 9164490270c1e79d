#include <algorithm>
#include <cmath>
#include <functional>

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/dsl/nearest.hpp>

#include "comparison.hpp"
#include "excerpt.hpp"
#include "payload_schema_node.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t pattern_bytes_max = 1'000;
constexpr std::int64_t pattern_memory_max = 1 << 20;
constexpr std::size_t pattern_instructions_max = 40'000;
constexpr std::size_t text_instructions = 100;

/// One keyword: what it may hold, and what it does to the node.
class SchemaCompiler {
 public:
  SchemaCompiler(std::vector<Finding>& findings, PatternBudget& budget)
      : findings_(findings), budget_(budget) {}

  std::unique_ptr<SchemaNode> compile(const Json& source, const std::string& pointer) {
    auto node = std::make_unique<SchemaNode>();
    if (source.is_boolean()) {
      node->nothing = !source.get<bool>();
      return node;
    }
    if (!source.is_object()) {
      add(pointer, "a schema is an object, not " + std::string(source.type_name()), "write { … }");
      return node;
    }
    for (const auto& [key, value] : source.items())
      keyword(*node, key, value, pointer + "/" + escaped_pointer(key));
    check_possible(*node, pointer);
    check_default(*node, pointer);
    return node;
  }

 private:
  void add(const std::string& pointer, std::string message, std::string hint) {
    // One more than that tells that there are more.
    if (findings_.size() > findings_max) return;
    add_finding(findings_,
                {"E501", Severity::error, pointer, 0, 0, std::move(message), std::move(hint)});
  }

  void keyword(SchemaNode& node, const std::string& key, const Json& value, const std::string& at) {
    if (key == "type") return types(node, value, at);
    if (key == "enum") return choices(node, value, at);
    if (key == "const") {
      node.constant = value;
      return;
    }
    if (key == "required") return required(node, value, at);
    if (key == "properties") return properties(node, value, at);
    if (key == "additionalProperties") {
      node.additional = compile(value, at);
      return;
    }
    if (key == "items") {
      node.items = compile(value, at);
      return;
    }
    if (key == "minItems") return count(node.items_min, value, at);
    if (key == "maxItems") return count(node.items_max, value, at);
    if (key == "minLength") return count(node.length_min, value, at);
    if (key == "maxLength") return count(node.length_max, value, at);
    if (key == "uniqueItems") return flag(node.items_unique, value, at);
    if (key == "minimum") return number(node.minimum, value, at);
    if (key == "maximum") return number(node.maximum, value, at);
    if (key == "exclusiveMinimum") return number(node.minimum_exclusive, value, at);
    if (key == "exclusiveMaximum") return number(node.maximum_exclusive, value, at);
    if (key == "pattern") return pattern(node, value, at);
    if (key == "format") return format(node, value, at);
    if (key == "default") {
      node.default_value = value;
      return;
    }
    if (key == "x-sensitive") return flag(node.sensitive, value, at);
    if (key == "description" || key == "title" || key.starts_with("x-")) return;
    if (findings_.size() > findings_max) return;
    static const std::vector<std::string> known{
        "type",      "enum",     "const",     "required",         "properties",
        "items",     "minItems", "maxItems",  "uniqueItems",      "additionalProperties",
        "minimum",   "maximum",  "minLength", "exclusiveMinimum", "exclusiveMaximum",
        "maxLength", "pattern",  "format",    "default",          "description",
        "title"};
    std::string all;
    for (const auto& one : known) all += one + ", ";
    add(at, "the schema keyword `" + excerpt(key, 80) + "` is not in the subset",
        did_you_mean(key, known, "known are " + all + "and x- keys"));
  }

  void types(SchemaNode& node, const Json& value, const std::string& at) {
    static const std::set<std::string> known{"null",   "boolean", "integer", "number",
                                             "string", "array",   "object"};
    const Json list = value.is_array() ? value : Json::array({value});
    if (list.empty()) add(at, "`type` names at least one type", "leave it out to allow all");
    for (const Json& one : list) {
      if (one.is_string() && known.count(one.get<std::string>()) > 0)
        node.types.insert(one.get<std::string>());
      else
        add(at, "`" + excerpt(one.dump(), 40) + "` is not a type",
            "types are null, boolean, integer, number, string, array, object");
    }
  }

  void choices(SchemaNode& node, const Json& value, const std::string& at) {
    if (!value.is_array() || value.empty())
      return add(at, "`enum` is a list of at least one value", "write [ … ]");
    node.has_choices = true;
    for (const Json& one : value) node.choices.push_back(one);
  }

  void required(SchemaNode& node, const Json& value, const std::string& at) {
    const bool strings =
        value.is_array() &&
        std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_string(); });
    if (!strings) return add(at, "`required` is a list of names", "write [ \"id\" ]");
    for (const Json& one : value) node.required.push_back(one.get<std::string>());
  }

  void properties(SchemaNode& node, const Json& value, const std::string& at) {
    if (!value.is_object())
      return add(at, "`properties` is an object of schemas",
                 "write { \"id\": { \"type\": \"string\" } }");
    for (const auto& [name, schema] : value.items())
      node.properties.emplace(name, compile(schema, at + "/" + escaped_pointer(name)));
  }

  void count(std::optional<std::size_t>& out, const Json& value, const std::string& at) {
    if (!value.is_number_integer() || value.get<std::int64_t>() < 0)
      return add(at, "is an integer from 0", "write an integer from 0");
    out = value.get<std::size_t>();
  }
  void flag(bool& out, const Json& value, const std::string& at) {
    if (!value.is_boolean()) return add(at, "is true or false", "write true or false");
    out = value.get<bool>();
  }
  void number(std::optional<Json>& out, const Json& value, const std::string& at) {
    if (!value.is_number()) return add(at, "is a number", "write a number");
    out = value;
  }

  void pattern(SchemaNode& node, const Json& value, const std::string& at) {
    if (!value.is_string()) return add(at, "`pattern` is a string", "write a string");
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > pattern_bytes_max)
      return add(at, "`pattern` has at most 1000 bytes", "check less with it");
    if (budget_.instructions == 0) {
      return add(at, "the patterns of the definition are too large together",
                 "check less with them: repetitions of large classes cost most");
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(pattern_memory_max);
    node.pattern = std::make_unique<re2::RE2>(text, options);
    spend(*node.pattern);
    if (!node.pattern->ok()) {
      add(at, "the pattern is not valid: " + node.pattern->error(),
          "patterns run in linear time: look-around and back-references are not there");
      node.pattern.reset();
    }
  }

  /// One that is too large took as long as the largest.
  void spend(const re2::RE2& pattern) {
    const bool too_large = pattern.error_code() == re2::RE2::ErrorPatternTooLarge;
    const std::size_t cost = pattern.ok() ? static_cast<std::size_t>(pattern.ProgramSize())
                             : too_large  ? pattern_instructions_max
                                          : text_instructions;
    budget_.instructions -= std::min(budget_.instructions, cost);
  }

  void format(SchemaNode& node, const Json& value, const std::string& at) {
    static const std::set<std::string> known{"date", "date-time", "uuid"};
    if (!value.is_string() || known.count(value.get<std::string>()) == 0) {
      return add(at, "`format` is date, date-time or uuid", "write one of them, or a pattern");
    }
    node.format = value.get<std::string>();
  }

  /// What no value could ever match is a slip of the author's.
  void check_possible(SchemaNode& node, const std::string& pointer) {
    const auto is_over = [](const auto& least, const auto& most) {
      return least && most && *most < *least;
    };
    if (is_over(node.items_min, node.items_max))
      add(pointer + "/minItems", "no list has as many items and as few",
          "lower it below `maxItems`");
    if (node.items_min && *node.items_min > 0 && node.items && node.items->nothing)
      add(pointer + "/minItems", "the list has to have items, and no item is allowed",
          "allow items, or leave it out");
    if (is_over(node.length_min, node.length_max))
      add(pointer + "/minLength", "no text is as long and as short", "lower it below `maxLength`");
    if (!has_numbers(node))
      add(pointer + (node.minimum ? "/minimum" : "/exclusiveMinimum"), "no number lies between",
          "lower it below the maximum");
    for (const auto& name : node.required) {
      const auto known = node.properties.find(name);
      const bool open = known == node.properties.end()
                            ? !node.additional || !node.additional->nothing
                            : !known->second->nothing;
      if (!open)
        add(pointer + "/required", "`" + name + "` is required and not allowed",
            "add it to `properties`, or do not require it");
    }
    const bool chooses = node.has_choices || node.constant;
    if (chooses && !has_choice(node))
      add(pointer + (node.has_choices ? "/enum" : "/const"),
          "none of the values matches the rest of the schema", "correct it, or the type");
  }

  static bool has_numbers(const SchemaNode& node) {
    const auto& least = node.minimum ? node.minimum : node.minimum_exclusive;
    const auto& most = node.maximum ? node.maximum : node.maximum_exclusive;
    if (!least || !most) return true;
    const bool touches = node.minimum && node.maximum;
    if (touches ? less(*most, *least) : !less(*least, *most)) return false;
    const bool integers = node.types.size() == 1 && node.types.count("integer") > 0;
    const auto low = least->get<double>();
    const auto high = most->get<double>();
    const bool exact = std::abs(low) < 1e15 && std::abs(high) < 1e15;
    if (!integers || !exact) return true;
    const double first = node.minimum ? std::ceil(low) : std::floor(low) + 1;
    const double last = node.maximum ? std::floor(high) : std::ceil(high) - 1;
    return first <= last;
  }

  static bool has_choice(SchemaNode& node) {
    // Taken out for as long: each value would be looked for among all of them.
    const auto choices = std::exchange(node.choices, {});
    const bool chooses = std::exchange(node.has_choices, false);
    const auto fits = [&](const Json& value) {
      std::vector<ErrorDetail> errors;
      validate_against(node, value, "", errors);
      return errors.empty();
    };
    const bool found =
        !chooses ? fits(*node.constant) : std::any_of(choices.begin(), choices.end(), fits);
    node.choices = choices;
    node.has_choices = chooses;
    return found;
  }

  void check_default(const SchemaNode& node, const std::string& pointer) {
    if (!node.default_value) return;
    std::vector<ErrorDetail> errors;
    validate_against(node, *node.default_value, "", errors);
    if (!errors.empty())
      add(pointer + "/default",
          "the default does not match its own schema: " + errors.front().message,
          "give a default that fits the schema, or correct the schema");
  }

  std::vector<Finding>& findings_;
  PatternBudget& budget_;
};

}  // namespace

std::unique_ptr<SchemaNode> compile_schema(const Json& source, const std::string& pointer,
                                           std::vector<Finding>& findings, PatternBudget& budget) {
  return SchemaCompiler(findings, budget).compile(source, pointer);
}

}  // namespace backstitch::dsl

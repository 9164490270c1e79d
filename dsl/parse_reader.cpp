#include "parse_reader.hpp"

#include <algorithm>

#include <backstitch/dsl/expression_ast.hpp>
#include <backstitch/dsl/nearest.hpp>

#include "excerpt.hpp"
#include "foreign_keys.hpp"
#include "foreign_references.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t name_chars_max = 64;
constexpr std::size_t definition_name_chars_max = 128;

bool in_range(char c, char first, char last) {
  return c >= first && c <= last;
}

/// Of the language's own words: there are few, and who misspells one wants to see them all.
std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string shown_value(const Json& value) {
  return excerpt(value.dump(-1, ' ', false, Json::error_handler_t::replace), 40);
}

}  // namespace

bool is_identifier(std::string_view text) {
  return !text.empty() && text.size() <= name_chars_max && in_range(text.front(), 'a', 'z') &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return in_range(c, 'a', 'z') || in_range(c, 'A', 'Z') || in_range(c, '0', '9') ||
                  c == '_';
         });
}

bool is_error_code(std::string_view text) {
  return !text.empty() && text.size() <= name_chars_max && in_range(text.front(), 'A', 'Z') &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return in_range(c, 'A', 'Z') || in_range(c, '0', '9') || c == '_';
         });
}

bool is_dotted_name(std::string_view text) {
  if (text.empty() || text.size() > definition_name_chars_max || !in_range(text.front(), 'a', 'z'))
    return false;
  char before = '.';
  for (const char c : text) {
    const bool separator = c == '.' || c == '_' || c == '-';
    const bool letter = in_range(c, 'a', 'z') || in_range(c, '0', '9');
    const bool before_separates = before == '.' || before == '_' || before == '-';
    if ((!separator && !letter) || (separator && before_separates)) return false;
    before = c;
  }
  return in_range(before, 'a', 'z') || in_range(before, '0', '9');
}

std::string hint_of(const Error& gate_error) {
  if (!gate_error.details.empty() && !gate_error.details.front().hint.empty())
    return gate_error.details.front().hint;
  const std::string& reason = gate_error.reason;
  if (reason == "json-encoding") return "save the file as UTF-8";
  if (reason == "json-nul") return "leave the character out";
  if (reason == "json-duplicate-key") return "keep one of them";
  if (reason == "json-integer-range" || reason == "json-number-range") return "send it as a string";
  if (reason == "json-too-deep") return "move inner steps into a sub-saga";
  if (reason == "json-too-large") return "cut it into sub-sagas";
  return "correct the JSON where the message points";
}

void add_error(Findings& findings, std::string code, std::string pointer, std::string message,
               std::string hint) {
  // One more than that tells that there are more.
  if (findings.size() > findings_max) return;
  add_finding(findings, {std::move(code), Severity::error, std::move(pointer), 0, 0,
                         std::move(message), std::move(hint)});
}

void add_compile_errors(Findings& findings, const Error& error, const std::string& pointer) {
  const std::string otherwise = "docs/language.md has what an expression may be";
  if (error.details.empty()) return add_error(findings, "E401", pointer, error.message, otherwise);
  const bool single = error.details.size() == 1;
  for (const auto& detail : error.details) {
    // An expression's own offset ("@17") is in the message; the place is the string that holds it.
    const std::string below = detail.pointer.starts_with('@') ? "" : detail.pointer;
    add_error(findings, detail.code, pointer + below, single ? error.message : detail.message,
              detail.hint.empty() ? otherwise : detail.hint);
  }
}

std::string hint_for_expression(const std::string& text, std::string otherwise) {
  const auto references = foreign_references(text, false);
  const bool is_marked = references.size() == 1 && references[0].written == text;
  const std::string& inside = is_marked ? references[0].path : text;
  const auto expression = Expression::compile(inside);
  if (!expression) return otherwise;
  const auto& names = built_in_names();
  const auto& used = expression->references();
  const bool reads = std::any_of(used.begin(), used.end(), [&](const Reference& one) {
    return std::find(names.begin(), names.end(), one.root) != names.end();
  });
  return reads ? "write \"${" + excerpt(inside, 80) + "}\"" : otherwise;
}

std::optional<Expression> read_expression(const Json& value, const std::string& pointer,
                                          Findings& findings) {
  const bool looks_right =
      value.is_string() && value.get_ref<const std::string&>().starts_with("${");
  if (looks_right) {
    auto compiled = Template::compile(value);
    if (!compiled) {
      add_compile_errors(findings, compiled.error(), pointer);
      return std::nullopt;
    }
    const auto& parts = compiled->expressions();
    if (parts.size() == 1 && !parts[0].interpolated) return parts[0].expression;
  }
  const char* usual = "write \"${…}\" with nothing around it";
  add_error(
      findings, "E402", pointer, "takes exactly one `${ }`, found " + shown_value(value),
      value.is_string() ? hint_for_expression(value.get_ref<const std::string&>(), usual) : usual);
  return std::nullopt;
}

namespace {

std::optional<DurationField> read_duration(const Json& value, const std::string& pointer,
                                           Findings& findings) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (const auto duration = parse_duration(text)) return DurationField{*duration};
    if (text.find("${") != std::string::npos) {
      if (auto expression = read_expression(value, pointer, findings))
        return DurationField{std::move(*expression)};
      return std::nullopt;
    }
  }
  const std::string usual = "write for example \"250ms\", \"10s\", \"1h30m\" or \"7d\", at most " +
                            std::to_string(duration_days_max) + " days";
  add_error(
      findings, "E002", pointer, shown_value(value) + " is not a valid duration",
      value.is_string() ? hint_for_expression(value.get_ref<const std::string&>(), usual) : usual);
  return std::nullopt;
}

}  // namespace

Reader::Reader(const Json& value, std::string pointer, const char* what, Findings& findings)
    : pointer_(std::move(pointer)), what_(what), findings_(findings) {
  if (value.is_object()) {
    object_ = &value;
    return;
  }
  add_error(findings_, "E002", pointer_,
            std::string(what) + " is an object, not " + value.type_name(), "write { … }");
}

bool Reader::has(std::string_view key) const {
  return object_ != nullptr && object_->find(std::string(key)) != object_->end();
}

const Json* Reader::take(const char* key) {
  known_.emplace_back(key);
  if (object_ == nullptr) return nullptr;
  const auto found = object_->find(key);
  return found == object_->end() ? nullptr : &*found;
}

const Json* Reader::require(const char* key) {
  const Json* value = take(key);
  if (value == nullptr)
    refuse("E002", std::string(what_) + " needs `" + key + "`",
           "add \"" + std::string(key) + "\": …");
  return value;
}

void Reader::refuse(std::string code, std::string message, std::string hint) {
  if (object_ == nullptr) return;
  add_error(findings_, std::move(code), pointer_, std::move(message), std::move(hint));
}

void Reader::wrong_type(const char* key, const char* wanted, const Json& found) {
  add_error(findings_, "E002", at(key),
            "`" + std::string(key) + "` is " + wanted + ", not " + shown_value(found),
            "write " + std::string(wanted));
}

void Reader::refuse_word(const char* key, const std::string& value,
                         const std::vector<std::string>& names) {
  add_error(findings_, "E002", at(key),
            "`" + std::string(key) + "` is one of " + joined(names) + ", not \"" +
                excerpt(value, 40) + "\"",
            did_you_mean(value, names, "write one of these"));
}

std::optional<std::string> Reader::text(const char* key, bool required) {
  const Json* value = required ? require(key) : take(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    wrong_type(key, "a string", *value);
    return std::nullopt;
  }
  return value->get<std::string>();
}

std::optional<std::int64_t> Reader::integer(const char* key, std::int64_t least, std::int64_t most,
                                            bool required) {
  const Json* value = required ? require(key) : take(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer() || value->get<std::int64_t>() < least ||
      value->get<std::int64_t>() > most) {
    const std::string wanted = "an integer from " + std::to_string(least) +
                               (most == INT64_MAX ? "" : " to " + std::to_string(most));
    wrong_type(key, wanted.c_str(), *value);
    return std::nullopt;
  }
  return value->get<std::int64_t>();
}

std::optional<double> Reader::number(const char* key, double least, double most) {
  const Json* value = take(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || value->get<double>() < least || value->get<double>() > most) {
    const std::string wanted = "a number from " + Json(least).dump() + " to " + Json(most).dump();
    wrong_type(key, wanted.c_str(), *value);
    return std::nullopt;
  }
  return value->get<double>();
}

std::optional<bool> Reader::boolean(const char* key) {
  const Json* value = take(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) {
    wrong_type(key, "true or false", *value);
    return std::nullopt;
  }
  return value->get<bool>();
}

std::optional<DurationField> Reader::duration(const char* key, const DurationBounds& bounds) {
  const Json* value = bounds.required ? require(key) : take(key);
  if (value == nullptr) return std::nullopt;
  auto field = read_duration(*value, at(key), findings_);
  const auto* known = field ? std::get_if<Duration>(&*field) : nullptr;
  if (known == nullptr || (*known >= bounds.least && *known <= bounds.most)) return field;
  const bool too_long = *known > bounds.most;
  add_error(findings_, "E002", at(key),
            "`" + std::string(key) + "` is " + shown_value(*value) + "; it is " +
                (too_long ? "at most " + backstitch::to_text(bounds.most) : "more than nothing"),
            too_long ? "write at most \"" + backstitch::to_text(bounds.most) + "\""
                     : "write one like \"10s\"");
  return std::nullopt;
}

std::optional<Duration> Reader::plain_duration(const char* key, const DurationBounds& bounds) {
  const auto field = duration(key, bounds);
  if (!field) return std::nullopt;
  if (const auto* known = std::get_if<Duration>(&*field)) return *known;
  add_error(findings_, "E002", at(key),
            "`" + std::string(key) + "` is a duration without expressions",
            "write one like \"10s\"");
  return std::nullopt;
}

std::optional<Template> Reader::value_template(const char* key) {
  const Json* value = take(key);
  if (value == nullptr) return std::nullopt;
  auto compiled = Template::compile(*value);
  if (compiled) return std::move(*compiled);
  add_compile_errors(findings_, compiled.error(), at(key));
  return std::nullopt;
}

std::optional<Template> Reader::text_template(const char* key) {
  const auto source = text(key);
  if (!source) return std::nullopt;
  auto compiled = Template::compile_text(*source);
  if (compiled) return std::move(*compiled);
  add_compile_errors(findings_, compiled.error(), at(key));
  return std::nullopt;
}

std::optional<Expression> Reader::expression(const char* key, bool required) {
  const Json* value = required ? require(key) : take(key);
  return value == nullptr ? std::nullopt : read_expression(*value, at(key), findings_);
}

std::optional<std::string> Reader::identifier(const char* key, bool required) {
  auto value = text(key, required);
  if (!value || is_identifier(*value)) return value;
  add_error(findings_, "E002", at(key), "\"" + excerpt(*value, 80) + "\" is not a valid name",
            hint_for_names);
  return std::nullopt;
}

std::optional<std::string> Reader::error_code(const char* key, bool required) {
  auto value = text(key, required);
  if (!value || is_error_code(*value)) return value;
  add_error(findings_, "E002", at(key), "\"" + excerpt(*value, 80) + "\" is not a valid error code",
            "codes are like OUT_OF_STOCK");
  return std::nullopt;
}

std::vector<std::string> Reader::texts(const char* key) {
  std::vector<std::string> out;
  const Json* value = take(key);
  if (value == nullptr) return out;
  if (!value->is_array()) {
    wrong_type(key, "a list of strings", *value);
    return out;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const Json& item = (*value)[i];
    if (item.is_string())
      out.push_back(item.get<std::string>());
    else
      add_error(findings_, "E002", at(key) + "/" + std::to_string(i),
                "is a string, not " + shown_value(item), "write a string");
  }
  return out;
}

void Reader::finish() {
  if (object_ == nullptr) return;
  for (const auto& [key, value] : object_->items()) {
    if (key.starts_with("x-") || std::find(known_.begin(), known_.end(), key) != known_.end())
      continue;
    if (findings_.size() > findings_max) return;
    std::vector<std::string> sorted = known_;
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    const std::string foreign = hint_for_foreign_key(key, known_);
    add_error(findings_, "E002", at(key),
              std::string(what_) + " has no key `" + excerpt(key, 80) + "`",
              !foreign.empty() ? foreign
                               : did_you_mean(key, known_,
                                              "the keys are " + joined(sorted) +
                                                  "; a key that begins with x- is a comment"));
  }
}

}  // namespace backstitch::dsl

#include <algorithm>
#include <charconv>
#include <cstring>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/dsl/number.hpp>

#include "excerpt.hpp"
#include "functions.hpp"

namespace backstitch::dsl {
namespace {

/// The byte where code point `index` begins, or the end.
std::size_t byte_of(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  while (at < text.size() && index > 0) {
    ++at;
    while (at < text.size() && is_continuation_byte(text[at])) ++at;
    --index;
  }
  return at;
}

/// std::string::find may take the product of both lengths; this takes their sum.
std::size_t find(const std::string& text, const std::string& what, std::size_t from = 0) {
  const void* found = ::memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return found == nullptr ? std::string::npos
                          : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

Json to_string_value(const Arguments& a) {
  const Json& value = a[0];
  if (value.is_string()) return value;
  if (value.is_number() || value.is_boolean()) return json_text(value);
  a.fail("takes a string, number or boolean, not " + shown(value) + "; for others there is json()");
}

bool is_number(const std::string& text) {
  if (text.empty() || text.front() == '+' || text.find_first_of("xXnN") != std::string::npos)
    return false;
  const char* const end = text.data() + text.size();
  double ignored = 0;
  return std::from_chars(text.data(), end, ignored).ptr == end;
}

Json to_number(const Arguments& a) {
  if (a[0].is_number()) return a[0];
  if (is_number(a.text(0))) {
    if (auto value = number_of(a.text(0))) return *value;
  }
  a.fail("cannot read a number from " + shown(a[0]));
}

/// Exact or an error: nothing is cut off silently.
Json to_integer(const Arguments& a) {
  Json value = to_number(a);
  if (!value.is_number_integer()) a.fail("needs a whole number of 64 bits, not " + shown(value));
  return value;
}

/// ASCII only: what upper case is elsewhere depends on the language.
Json changed_case(const Arguments& a, char first, char last, int by) {
  std::string text = a.text(0);
  for (char& c : text) {
    if (c >= first && c <= last) c = static_cast<char>(c + by);
  }
  return text;
}

Json trim(const Arguments& a) {
  const std::string& text = a.text(0);
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

Json contains(const Arguments& a) {
  if (a[0].is_array()) return holds(a[0], a[1]);
  return find(a.text(0), a.text(1)) != std::string::npos;
}

Json split(const Arguments& a) {
  const std::string& text = a.text(0);
  const std::string& separator = a.text(1);
  if (separator.empty()) a.fail("needs a separator that is not empty");
  Json parts = Json::array();
  std::size_t begin = 0;
  while (true) {
    a.evaluation.charge(a.node);
    const auto end = find(text, separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + separator.size();
  }
}

Json join(const Arguments& a) {
  const std::string separator = a.size() > 1 ? a.text(1) : "";
  std::string text;
  bool first = true;
  for (const Json& item : a.array(0)) {
    a.evaluation.charge(a.node);
    if (!item.is_string() && !item.is_number() && !item.is_boolean()) {
      a.fail("takes strings, numbers and booleans, not " + shown(item));
    }
    if (!first) text += separator;
    first = false;
    text += item.is_string() ? item.get_ref<const std::string&>() : json_text(item);
    a.evaluation.check_size(a.node, text.size());
  }
  return text;
}

Json replace(const Arguments& a) {
  const std::string& text = a.text(0);
  const std::string& what = a.text(1);
  const std::string& with = a.text(2);
  if (what.empty()) a.fail("needs something to look for");
  std::string out;
  std::size_t begin = 0;
  while (true) {
    a.evaluation.charge(a.node);
    const auto found = find(text, what, begin);
    out.append(text, begin, found - begin);
    if (found == std::string::npos) return out;
    out += with;
    a.evaluation.check_size(a.node, out.size());
    begin = found + what.size();
  }
}

/// slice(text or array, from, to): negative counts from the end; outside is cut to what is there.
Json slice(const Arguments& a) {
  const bool is_text = a[0].is_string();
  const auto size = static_cast<std::int64_t>(is_text ? code_points(a.text(0)) : a.array(0).size());
  const auto place = [&](std::int64_t at) {
    return std::clamp(at < 0 ? at + size : at, std::int64_t{0}, size);
  };
  const std::int64_t from = place(a.integer(1));
  const std::int64_t to = std::max(a.size() > 2 ? place(a.integer(2)) : size, from);
  if (is_text) {
    const std::string_view text = a.text(0);
    const std::size_t begin = byte_of(text, static_cast<std::size_t>(from));
    const std::size_t bytes = byte_of(text.substr(begin), static_cast<std::size_t>(to - from));
    return std::string(text.substr(begin, bytes));
  }
  Json result = Json::array();
  for (std::int64_t i = from; i < to; ++i) result.push_back(a[0][static_cast<std::size_t>(i)]);
  return result;
}

/// An upper bound of the values in a JSON text, known before they are made.
std::size_t values_max(std::string_view text) {
  return 1 + static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
           return c == ',' || c == ':' || c == '[' || c == '{';
         }));
}

Json parse(const Arguments& a) {
  // Making a value takes twice as long as copying one.
  a.evaluation.charge(a.node, 2 * values_max(a.text(0)));
  auto parsed = parse_json(a.text(0), {.bytes_max = result_bytes_max, .depth_max = 64});
  if (!parsed) a.fail("cannot read " + shown(a[0]) + ": " + parsed.error().message);
  return std::move(*parsed);
}

}  // namespace

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation_byte(c); }));
}

std::vector<Function> text_functions() {
  return {
      {{"contains", 2, 2, "boolean", {"string|array", ""}}, contains},
      {{"endsWith", 2, 2, "boolean", {"string"}},
       [](const Arguments& a) -> Json { return a.text(0).ends_with(a.text(1)); }},
      {{"int", 1, 1, "integer", {"string|number|integer"}}, to_integer},
      {{"join", 1, 2, "string", {"array", "string"}}, join},
      {{"json", 1, 1, "string", {}}, [](const Arguments& a) -> Json { return json_text(a[0]); }},
      {{"lower", 1, 1, "string", {"string"}},
       [](const Arguments& a) { return changed_case(a, 'A', 'Z', 32); }},
      {{"number", 1, 1, "number", {"string|number|integer"}}, to_number},
      {{"parseJson", 1, 1, "", {"string"}}, parse},
      {{"path", 1, 1, "string", {"string"}}, [](const Arguments& a) -> Json { return a.text(0); }},
      {{"replace", 3, 3, "string", {"string"}}, replace},
      {{"slice", 2, 3, "", {"string|array", "integer"}}, slice},
      {{"split", 2, 2, "array", {"string"}}, split},
      {{"startsWith", 2, 2, "boolean", {"string"}},
       [](const Arguments& a) -> Json { return a.text(0).starts_with(a.text(1)); }},
      {{"string", 1, 1, "string", {"string|number|integer|boolean"}}, to_string_value},
      {{"trim", 1, 1, "string", {"string"}}, trim},
      {{"upper", 1, 1, "string", {"string"}},
       [](const Arguments& a) { return changed_case(a, 'a', 'z', -32); }},
  };
}

}  // namespace backstitch::dsl

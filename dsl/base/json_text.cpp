#include <backstitch/base/json_text.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

namespace backstitch {
namespace {

/// Of an event's data; longer ones grow as strings do.
constexpr std::size_t usual_size = 512;

struct Counter {
  std::size_t size = 0;
  void operator+=(std::string_view text) { size += text.size(); }
  void operator+=(char) { ++size; }
};

/// Whether a character stands for itself within a string.
constexpr auto plain = [] {
  std::array<bool, 256> table{};
  for (unsigned c = 0x20; c < 0x7F; ++c) table[c] = c != '"' && c != '\\';
  return table;
}();

bool is_plain(std::string_view text) {
  bool all = true;
  for (const unsigned char c : text) all &= plain[c];
  return all;
}

template <class Out>
void put_string(Out& out, const std::string& text) {
  if (is_plain(text)) {
    out += '"';
    out += std::string_view(text);
    out += '"';
  } else {
    out += std::string_view(Json(text).dump());
  }
}

template <class Out, class Number>
void put_number(Out& out, Number value) {
  char text[32];
  char* const end = std::to_chars(text, text + sizeof text, value).ptr;
  out += std::string_view(text, static_cast<std::size_t>(end - text));
}

/// Fixed notation would fill up large values with the digits of the exact one.
template <class Out>
void put_double(Out& out, double value) {
  const bool fixed = std::abs(value) >= 1e-5 && std::abs(value) < 1e15;
  char text[32];
  char* const end = std::to_chars(text, text + sizeof text, value,
                                  fixed ? std::chars_format::fixed : std::chars_format::scientific)
                        .ptr;
  out += std::string_view(text, static_cast<std::size_t>(end - text));
}

template <class Out>
void put(Out& out, const Json& value) {
  bool first = true;
  const auto separate = [&] {
    if (!first) out += ',';
    first = false;
  };
  switch (value.type()) {
    case Json::value_t::object:
      out += '{';
      for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
        separate();
        put_string(out, name);
        out += ':';
        put(out, member);
      }
      out += '}';
      return;
    case Json::value_t::array:
      out += '[';
      for (const auto& item : value.get_ref<const Json::array_t&>()) {
        separate();
        put(out, item);
      }
      out += ']';
      return;
    case Json::value_t::string:
      return put_string(out, value.get_ref<const std::string&>());
    case Json::value_t::boolean:
      out += std::string_view(value.get<bool>() ? "true" : "false");
      return;
    case Json::value_t::number_integer:
      return put_number(out, value.get_ref<const std::int64_t&>());
    case Json::value_t::number_unsigned:
      return put_number(out, value.get_ref<const std::uint64_t&>());
    case Json::value_t::number_float:
      return put_double(out, value.get_ref<const double&>());
    case Json::value_t::null:
    case Json::value_t::binary:
    case Json::value_t::discarded:
      out += std::string_view("null");
  }
}

}  // namespace

std::string json_text(const Json& value) {
  std::string out;
  if (value.is_structured()) out.reserve(usual_size);
  put(out, value);
  return out;
}

std::size_t json_text_size(const Json& value) {
  Counter counter;
  put(counter, value);
  return counter.size;
}

}  // namespace backstitch

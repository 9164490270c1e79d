#include "foreign_text.hpp"

#include <cstdint>

namespace backstitch::app {
namespace {

struct CodePoint {
  std::uint32_t value;
  std::size_t bytes;
  bool valid;
};

std::size_t length_by_first(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/// What begins at the front of a text that is not empty; a byte of its own if it is not UTF-8.
CodePoint first_of(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = length_by_first(first);
  if (length == 1) return {first, 1, true};
  if (length == 0 || length > text.size()) return {first, 1, false};
  std::uint32_t value = first & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0U) != 0x80U) return {first, 1, false};
    value = value << 6U | (next & 0x3FU);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (overlong || surrogate || value > 0x10FFFF) return {first, 1, false};
  return {value, length, true};
}

bool is_control(std::uint32_t value) {
  return value < 0x20 || (value >= 0x7F && value <= 0x9F) || value == 0x061C || value == 0x200E ||
         value == 0x200F || (value >= 0x2028 && value <= 0x202E) ||
         (value >= 0x2066 && value <= 0x2069);
}

void append_hex(std::string& out, std::uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789abcdef"[value >> static_cast<unsigned>(shift) & 0xFU];
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = first_of(text);
    if (!point.valid) return false;
    text.remove_prefix(point.bytes);
  }
  return true;
}

std::string visible(std::string_view text, Layout layout) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = first_of(text);
    const bool is_layout = point.value == '\n' || point.value == '\t';
    if (!point.valid) {
      append_hex(out += "\\x", point.value, 2);
    } else if (is_control(point.value) && !(is_layout && layout == Layout::kept)) {
      append_hex(out += "\\u", point.value, 4);
    } else {
      out += text.substr(0, point.bytes);
    }
    text.remove_prefix(point.bytes);
  }
  return out;
}

std::string shortened(std::string text, std::size_t chars_max) {
  constexpr std::string_view dots = "...";
  std::size_t cut = 0;
  std::string_view rest = text;
  for (std::size_t chars = 0; !rest.empty(); ++chars) {
    if (chars == chars_max - dots.size()) cut = text.size() - rest.size();
    if (chars == chars_max) return text.substr(0, cut).append(dots);
    rest.remove_prefix(first_of(rest).bytes);
  }
  return text;
}

std::size_t code_points(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(first_of(text).bytes);
  return count;
}

}  // namespace backstitch::app

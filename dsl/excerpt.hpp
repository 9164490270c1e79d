#pragma once
#include <string>
#include <string_view>

namespace backstitch::dsl {

inline bool is_continuation_byte(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

/// The beginning of a UTF-8 text, for messages: about `bytes_max` bytes and never half a character,
/// because messages are stored and sent as JSON.
inline std::string excerpt(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  std::size_t end = bytes_max;
  while (end > 0 && is_continuation_byte(text[end])) --end;
  return std::string(text.substr(0, end)) + "…";
}

/// The character at the front.
inline std::string first_character(std::string_view text) {
  std::size_t end = 1;
  while (end < text.size() && is_continuation_byte(text[end])) ++end;
  return std::string(text.substr(0, end));
}

}  // namespace backstitch::dsl

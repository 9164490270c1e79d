#pragma once
#include <string>
#include <string_view>
#include <vector>

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

/// `a, b, c`, and how many more there are.
inline std::string listed_names(const std::vector<std::string>& names) {
  constexpr std::size_t names_listed_max = 8;
  constexpr std::size_t name_bytes_max = 80;
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < names_listed_max; ++i)
    out += (i == 0 ? "" : ", ") + excerpt(names[i], name_bytes_max);
  if (names.size() > names_listed_max)
    out += " and " + std::to_string(names.size() - names_listed_max) + " more";
  return out;
}

/// The character at the front.
inline std::string first_character(std::string_view text) {
  std::size_t end = 1;
  while (end < text.size() && is_continuation_byte(text[end])) ++end;
  return std::string(text.substr(0, end));
}

}  // namespace backstitch::dsl

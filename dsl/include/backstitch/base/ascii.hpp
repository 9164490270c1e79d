#pragma once
/// Letters as protocols compare them: whatever the locale, and whatever bytes stand between them.
#include <algorithm>
#include <string>
#include <string_view>

namespace backstitch {

constexpr char lower_case(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// ASCII letters in lower case; every other byte stays.
inline std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return lower_case(c); });
  return out;
}

}  // namespace backstitch

#pragma once
#include <string>
#include <string_view>

namespace backstitch {

/// A key as one part of a JSON pointer (RFC 6901).
inline std::string escaped_pointer(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

}  // namespace backstitch

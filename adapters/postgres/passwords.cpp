#include <backstitch/postgres/passwords.hpp>

#include <algorithm>
#include <string_view>

namespace backstitch::postgres {
namespace {

/// Masks what stands between `from` and `to`. @return the position behind it
std::size_t mask(std::string& text, std::size_t from, std::size_t to) {
  constexpr std::string_view masked = "***";
  text.replace(from, to - from, masked);
  return from + masked.size();
}

}  // namespace

std::string without_passwords(std::string text) {
  constexpr std::string_view scheme = "://";
  for (std::size_t at = text.find(scheme); at != std::string::npos; at = text.find(scheme, at)) {
    at += scheme.size();
    const std::size_t end = std::min(text.find_first_of(" \t\r\n\"", at), text.size());
    const std::size_t colon = text.find(':', at);
    const std::size_t host = text.rfind('@', end);
    if (host == std::string::npos || colon == std::string::npos || host <= colon) continue;
    at = mask(text, colon + 1, host);
  }
  constexpr std::string_view parameter = "password=";
  for (std::size_t at = text.find(parameter); at != std::string::npos;
       at = text.find(parameter, at)) {
    at += parameter.size();
    const bool quoted = at < text.size() && text[at] == '\'';
    std::size_t end = quoted ? at + 1 : text.find_first_of("& \t\r\n\"", at);
    while (quoted && end < text.size() && text[end] != '\'') end += text[end] == '\\' ? 2 : 1;
    at = mask(text, at, std::min(quoted ? end + 1 : end, text.size()));
  }
  return text;
}

}  // namespace backstitch::postgres

#include "url.hpp"

#include <algorithm>
#include <charconv>

namespace backstitch::http {
namespace {

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}
bool is_address_char(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
         c == '.';
}
bool is_path_char(char c) {
  return c > ' ' && c < 0x7f && c != '?' && c != '#' && c != '\\';
}

/// Splits `host:port` or `[address]:port`.
bool take_authority(std::string_view text, Url& url) {
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return false;
    url.host = std::string(text.substr(1, end - 1));
    if (!std::all_of(url.host.begin(), url.host.end(), is_address_char)) return false;
    if (end + 1 < text.size() && text[end + 1] != ':') return false;
    port = text.substr(std::min(end + 2, text.size()));
  } else {
    const auto colon = text.find(':');
    url.host = std::string(text.substr(0, colon));
    if (!std::all_of(url.host.begin(), url.host.end(), is_host_char)) return false;
    if (colon != std::string_view::npos) port = text.substr(colon + 1);
  }
  if (url.host.empty()) return false;
  url.port = url.tls ? 443 : 80;
  if (port.empty()) return text.back() != ':';
  const auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  return error == std::errc{} && rest == port.data() + port.size() && url.port != 0;
}

}  // namespace

std::optional<Url> parse_url(std::string_view text) {
  Url url;
  if (text.starts_with("https://")) {
    url.tls = true;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else {
    return std::nullopt;
  }
  const auto slash = text.find('/');
  if (!take_authority(text.substr(0, slash), url)) return std::nullopt;
  if (slash != std::string_view::npos) url.path = std::string(text.substr(slash));
  if (!std::all_of(url.path.begin(), url.path.end(), is_path_char)) return std::nullopt;
  while (!url.path.empty() && url.path.back() == '/') url.path.pop_back();
  const bool literal = url.host.find(':') != std::string::npos;
  url.authority = literal ? "[" + url.host + "]" : url.host;
  if (url.port != (url.tls ? 443 : 80)) url.authority += ":" + std::to_string(url.port);
  return url;
}

}  // namespace backstitch::http

#include "authority.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

#include <backstitch/base/ascii.hpp>

namespace backstitch::rest {
namespace {

constexpr std::size_t host_bytes_max = 253;

bool is_lower_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// @param text without brackets
std::optional<std::string> canonical_ipv6(const std::string& text) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, text.c_str(), &address) != 1) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    ::inet_ntop(AF_INET, &address.s6_addr[12], out.data(), out.size());
    return out.data();
  }
  ::inet_ntop(AF_INET6, &address, out.data(), out.size());
  return "[" + std::string(out.data()) + "]";
}

std::optional<std::string> canonical_host(std::string_view text) {
  if (text.starts_with('[')) {
    if (!text.ends_with(']')) return std::nullopt;
    return canonical_ipv6(std::string(text.substr(1, text.size() - 2)));
  }
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > host_bytes_max) return std::nullopt;
  std::string host = lower_case(text);
  const bool is_name = std::all_of(host.begin(), host.end(), [](char c) {
    return is_lower_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  });
  if (!is_name || host.front() == '.' || host.back() == '.' ||
      host.find("..") != std::string::npos) {
    return std::nullopt;
  }
  return host;
}

std::optional<std::uint16_t> default_port(std::string_view scheme) {
  if (scheme == "http") return std::uint16_t{80};
  if (scheme == "https") return std::uint16_t{443};
  return std::nullopt;
}

/// RFC 3986, section 3.1; lower case.
bool is_scheme(std::string_view text) {
  return !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_lower_alphanumeric(c) || c == '+' || c == '-' || c == '.';
         });
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
  const auto colon = text.find(':', text.starts_with('[') ? text.find(']') : 0);
  auto host = canonical_host(text.substr(0, colon));
  if (!host) return std::nullopt;
  Authority authority{std::move(*host)};
  if (colon == std::string_view::npos || colon + 1 == text.size()) return authority;
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc{} || rest != end) return std::nullopt;
  authority.port = port;
  return authority;
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost") || host == "[::1]") return true;
  in_addr address{};
  return host.starts_with("127.") && ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

std::optional<Origin> Origin::parse(std::string_view text) {
  const auto end = text.find("://");
  if (end == std::string_view::npos) return std::nullopt;
  Origin origin{lower_case(text.substr(0, end)), {}};
  auto authority = parse_authority(text.substr(end + 3));
  if (!is_scheme(origin.scheme) || !authority) return std::nullopt;
  origin.authority = std::move(*authority);
  if (!origin.authority.port) origin.authority.port = default_port(origin.scheme);
  return origin;
}

bool Origin::has_host(const Authority& host) const {
  return authority.host == host.host &&
         authority.port == (host.port ? host.port : default_port(scheme));
}

std::string Origin::text() const {
  std::string out = scheme + "://" + authority.host;
  if (authority.port && authority.port != default_port(scheme))
    out += ":" + std::to_string(*authority.port);
  return out;
}

}  // namespace backstitch::rest

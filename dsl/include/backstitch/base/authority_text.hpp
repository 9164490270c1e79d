#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace backstitch {

/// `host:port` as a URL has it: an IPv6 address in brackets, see RFC 3986, section 3.2.2.
/// @param host a name or an address, without brackets
inline std::string authority_text(std::string_view host, std::uint16_t port) {
  const bool is_ipv6 = host.find(':') != std::string_view::npos;
  const std::string text(host);
  return (is_ipv6 ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

}  // namespace backstitch

#pragma once
/// Hosts and origins as requests and options state them, in one canonical form.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace backstitch::rest {

/// `host[:port]` of RFC 3986, section 3.2, without user information.
struct Authority {
  std::string host;  ///< lower case, without a final dot; IP addresses in their shortest form, IPv6
                     ///< in brackets, an IPv4 address inside IPv6 as IPv4
  std::optional<std::uint16_t> port{};
};

/// @return nothing for user information, an IPv6 zone, or anything that is not a host
std::optional<Authority> parse_authority(std::string_view text);

/// `localhost`, `*.localhost`, 127.0.0.0/8 and ::1. @param host in canonical form
bool is_loopback(std::string_view host);

/// The origin of a page: RFC 6454, section 6.2. The port is stated where the scheme has a default.
struct Origin {
  std::string scheme;
  Authority authority;

  /// @return nothing for `null`, and for what has a path
  static std::optional<Origin> parse(std::string_view text);
  /// Whether a request to `host` stays inside this origin; a proxy may have ended TLS, so the
  /// scheme does not count.
  bool has_host(const Authority& host) const;
  std::string text() const;
};

}  // namespace backstitch::rest

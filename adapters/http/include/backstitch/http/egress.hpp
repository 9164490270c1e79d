#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace backstitch::http {

/// An address as a socket connects to it. Its text has many spellings, so nothing is judged by it.
struct IpAddress {
  bool is_v6 = false;
  std::array<std::uint8_t, 16> bytes{};  ///< of IPv4 the first four
  std::uint32_t scope = 0;               ///< the zone of IPv6; 0: none
  bool operator==(const IpAddress&) const = default;
};

/// Whom an address leads to.
enum class Reach {
  open,      ///< a host of the public network
  loopback,  ///< this machine
  closed     ///< anything else: private, special-purpose, translated, or not known
};
/// By the registries of special-purpose addresses (RFC 6890); an IPv6 address that no registry
/// assigns to hosts of the public network is closed. Pure.
Reach reach_of(const IpAddress& address);

/// Which hosts may be called. Definitions come from users: without a policy a saga could be aimed
/// at the inside of the network. Checked twice: the URL at registration, and the address at connect
/// time, since a name may resolve to anything. Immutable, thread-safe.
class EgressPolicy {
 public:
  struct Options {
    std::vector<std::string>
        allow_hosts;  ///< HOST or HOST:PORT: private addresses and plain http are fine there
    bool allow_loopback_http = false;  ///< loopback is fine, as in `dev`
  };
  explicit EgressPolicy(Options options);

  /// Why a base URL may not be called; empty: it may.
  std::string check_url(const std::string& base_url) const;
  /// Why an address that a host resolved to may not be connected to; empty: it may.
  std::string check_address(std::string_view host, std::uint16_t port,
                            const IpAddress& address) const;

 private:
  bool is_allowed(std::string_view host, std::uint16_t port) const;
  Options options_;
};

}  // namespace backstitch::http

#include <backstitch/http/egress.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include "host.hpp"
#include "url.hpp"

namespace backstitch::http {
namespace {

/// A prefix of the registry for IPv4.
struct Range {
  std::array<std::uint8_t, 4> first;
  int bits;
};

/// Not for hosts of the public network: IANA's registry of special-purpose addresses, multicast and
/// reserved.
constexpr std::array<Range, 17> closed_v4{{
    {{0, 0, 0, 0}, 8},        // this network
    {{10, 0, 0, 0}, 8},       // private
    {{100, 64, 0, 0}, 10},    // carrier-grade NAT
    {{169, 254, 0, 0}, 16},   // link-local, metadata services
    {{172, 16, 0, 0}, 12},    // private
    {{192, 0, 0, 0}, 24},     // protocol assignments
    {{192, 0, 2, 0}, 24},     // documentation
    {{192, 31, 196, 0}, 24},  // AS112
    {{192, 52, 193, 0}, 24},  // automatic multicast tunnelling
    {{192, 88, 99, 0}, 24},   // 6to4 relays
    {{192, 168, 0, 0}, 16},   // private
    {{192, 175, 48, 0}, 24},  // AS112
    {{198, 18, 0, 0}, 15},    // benchmarking
    {{198, 51, 100, 0}, 24},  // documentation
    {{203, 0, 113, 0}, 24},   // documentation
    {{224, 0, 0, 0}, 4},      // multicast
    {{240, 0, 0, 0}, 4}       // reserved, broadcast
}};

struct Range6 {
  std::array<std::uint8_t, 6> first;
  int bits;
};

/// Within 2000::/3, the only addresses that are assigned to hosts of the public network.
constexpr Range6 public_v6{{0x20}, 3};
constexpr std::array<Range6, 6> closed_v6{{
    {{0x20, 0x01, 0x00, 0x00}, 23},              // protocol assignments, Teredo, ORCHID
    {{0x20, 0x01, 0x0d, 0xb8}, 32},              // documentation
    {{0x20, 0x02}, 16},                          // 6to4: leads to an IPv4 address
    {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48},  // AS112
    {{0x3f, 0xfe}, 16},                          // returned by the 6bone
    {{0x3f, 0xff, 0x00}, 20}                     // documentation
}};
/// ::ffff:0:0/96, in which a socket of IPv6 writes the address of IPv4 that it connects to.
constexpr std::array<std::uint8_t, 12> mapped_v4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr std::array<std::uint8_t, 16> loopback_v6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

template <class Registered>
bool is_in(const Registered& range, const std::uint8_t* address) {
  for (int bit = 0; bit < range.bits; bit += 8) {
    const auto at = static_cast<std::size_t>(bit / 8);
    const int rest = std::min(8, range.bits - bit);
    const auto mask = static_cast<std::uint8_t>(0xFF00U >> rest);
    if (((address[at] ^ range.first[at]) & mask) != 0) return false;
  }
  return true;
}

template <class Ranges>
bool is_in_any(const Ranges& ranges, const std::uint8_t* address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const auto& range) { return is_in(range, address); });
}

Reach reach_of_v4(const std::uint8_t* address) {
  if (address[0] == 127) return Reach::loopback;
  return is_in_any(closed_v4, address) ? Reach::closed : Reach::open;
}

std::string text_of(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address.is_v6 ? AF_INET6 : AF_INET, address.bytes.data(), text.data(), text.size());
  return text.data() + (address.scope == 0 ? "" : "%" + std::to_string(address.scope));
}

std::string how_to_allow(std::string_view host, std::uint16_t port) {
  return "; allow it with --allow-host " + std::string(host) + ":" + std::to_string(port);
}

}  // namespace

Reach reach_of(const IpAddress& address) {
  const std::uint8_t* bytes = address.bytes.data();
  if (!address.is_v6) return reach_of_v4(bytes);
  if (address.scope != 0) return Reach::closed;
  if (address.bytes == loopback_v6) return Reach::loopback;
  if (std::equal(mapped_v4.begin(), mapped_v4.end(), bytes)) return reach_of_v4(bytes + 12);
  return is_in(public_v6, bytes) && !is_in_any(closed_v6, bytes) ? Reach::open : Reach::closed;
}

EgressPolicy::EgressPolicy(Options options) : options_(std::move(options)) {}

bool EgressPolicy::is_allowed(std::string_view host, std::uint16_t port) const {
  const std::string with_port = std::string(host) + ":" + std::to_string(port);
  return std::any_of(options_.allow_hosts.begin(), options_.allow_hosts.end(),
                     [&](const std::string& allowed) {
                       return is_same_host(allowed, host) || is_same_host(allowed, with_port);
                     });
}

std::string EgressPolicy::check_url(const std::string& base_url) const {
  const auto url = parse_url(base_url);
  if (!url)
    return "`" + base_url + "` is not an http or https URL without user, query and fragment";
  if (is_allowed(url->host, url->port)) return {};
  const Reach reach = reach_of_host(url->host);
  if (reach == Reach::loopback && options_.allow_loopback_http) return {};
  if (!url->tls)
    return "plain http to " + url->authority + " is not allowed" +
           how_to_allow(url->host, url->port);
  if (reach != Reach::open) {
    return url->authority + " is not a public address" + how_to_allow(url->host, url->port);
  }
  return {};
}

std::string EgressPolicy::check_address(std::string_view host, std::uint16_t port,
                                        const IpAddress& address) const {
  if (is_allowed(host, port)) return {};
  const Reach reach = reach_of(address);
  if (reach == Reach::open || (reach == Reach::loopback && options_.allow_loopback_http)) return {};
  return std::string(host) + " resolves to " + text_of(address) +
         ", which is not a public address" + how_to_allow(host, port);
}

}  // namespace backstitch::http

#include <backstitch/http/egress.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "url.hpp"

namespace backstitch::http {
namespace {

using V4 = std::array<std::uint8_t, 4>;
using V6 = std::array<std::uint8_t, 16>;

enum class Reach { open, loopback, inside };

/// The ranges of RFC 6890 that are not the open network.
Reach reach_of(const V4& a) {
  if (a[0] == 127) return Reach::loopback;
  const bool inside = a[0] == 0 || a[0] == 10 || (a[0] == 172 && (a[1] & 0xF0) == 16) ||
                      (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254) ||
                      (a[0] == 100 && (a[1] & 0xC0) == 64) ||
                      (a[0] == 198 && (a[1] & 0xFE) == 18) ||
                      (a[0] == 192 && a[1] == 0 && a[2] == 0) || a[0] >= 224;
  return inside ? Reach::inside : Reach::open;
}

Reach reach_of(const V6& a) {
  const bool zero_head = std::all_of(a.begin(), a.begin() + 10, [](auto b) { return b == 0; });
  // IPv4 in IPv6's clothes is judged as IPv4.
  if (zero_head && ((a[10] == 0xFF && a[11] == 0xFF) || (a[10] == 0 && a[11] == 0 && a[12] != 0))) {
    return reach_of(V4{a[12], a[13], a[14], a[15]});
  }
  if (zero_head && std::all_of(a.begin() + 10, a.end() - 1, [](auto b) { return b == 0; })) {
    return a[15] == 1 ? Reach::loopback : Reach::inside;
  }
  // 64:ff9b::/96 (RFC 6052) leads to an IPv4 address.
  if (a[0] == 0 && a[1] == 0x64 && a[2] == 0xFF && a[3] == 0x9B)
    return reach_of(V4{a[12], a[13], a[14], a[15]});
  const bool inside =
      (a[0] & 0xFE) == 0xFC || (a[0] == 0xFE && (a[1] & 0xC0) == 0x80) || a[0] == 0xFF;
  return inside ? Reach::inside : Reach::open;
}

/// Text that is no address is a name; where it leads is judged at connect time.
Reach reach_of_text(const std::string& text) {
  V4 v4{};
  V6 v6{};
  if (::inet_pton(AF_INET, text.c_str(), v4.data()) == 1) return reach_of(v4);
  if (::inet_pton(AF_INET6, text.c_str(), v6.data()) == 1) return reach_of(v6);
  return text == "localhost" ? Reach::loopback : Reach::open;
}

std::string how_to_allow(std::string_view host, std::uint16_t port) {
  return "; allow it with --allow-host " + std::string(host) + ":" + std::to_string(port);
}

}  // namespace

EgressPolicy::EgressPolicy(Options options) : options_(std::move(options)) {}

bool EgressPolicy::is_allowed(std::string_view host, std::uint16_t port) const {
  const std::string with_port = std::string(host) + ":" + std::to_string(port);
  return std::any_of(
      options_.allow_hosts.begin(), options_.allow_hosts.end(),
      [&](const std::string& allowed) { return allowed == host || allowed == with_port; });
}

std::string EgressPolicy::check_url(const std::string& base_url) const {
  const auto url = parse_url(base_url);
  if (!url)
    return "`" + base_url + "` is not an http or https URL without user, query and fragment";
  if (is_allowed(url->host, url->port)) return {};
  const Reach reach = reach_of_text(url->host);
  if (reach == Reach::loopback && options_.allow_loopback_http) return {};
  if (!url->tls)
    return "plain http to " + url->authority + " is not allowed" +
           how_to_allow(url->host, url->port);
  if (reach != Reach::open) {
    return url->authority + " is inside the network" + how_to_allow(url->host, url->port);
  }
  return {};
}

std::string EgressPolicy::check_address(std::string_view host, std::uint16_t port,
                                        std::string_view address) const {
  if (is_allowed(host, port)) return {};
  const Reach reach = reach_of_text(std::string(address));
  if (reach == Reach::open || (reach == Reach::loopback && options_.allow_loopback_http)) return {};
  return std::string(host) + " resolves to " + std::string(address) +
         ", which is inside the network" + how_to_allow(host, port);
}

}  // namespace backstitch::http

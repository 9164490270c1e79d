#include "host.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include <backstitch/base/ascii.hpp>

namespace backstitch::http {
namespace {

/// Resolvers take 127.1, 0x7f.1 and 2130706433 for addresses of IPv4, and no name of a host ends in
/// a number.
bool ends_in_number(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  const std::string_view last = host.substr(host.rfind('.') + 1);
  const bool is_hex = last.size() > 1 && last[0] == '0' && lower_case(last[1]) == 'x';
  return is_hex || (!last.empty() && std::all_of(last.begin(), last.end(),
                                                 [](char c) { return c >= '0' && c <= '9'; }));
}

}  // namespace

std::optional<IpAddress> literal_of(const std::string& host) {
  IpAddress address;
  if (::inet_pton(AF_INET, host.c_str(), address.bytes.data()) == 1) return address;
  address.is_v6 = true;
  if (::inet_pton(AF_INET6, host.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

bool is_same_host(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower_case(x) == lower_case(y); });
}

Reach reach_of_host(std::string_view host) {
  if (const auto address = literal_of(std::string(host))) return reach_of(*address);
  if (ends_in_number(host)) return Reach::closed;
  if (host.ends_with('.')) host.remove_suffix(1);
  constexpr std::string_view local = "localhost";
  const auto end = host.substr(host.size() - std::min(host.size(), local.size()));
  const bool is_local = is_same_host(end, local) && (host.size() == local.size() ||
                                                     host[host.size() - local.size() - 1] == '.');
  return is_local ? Reach::loopback : Reach::open;
}

}  // namespace backstitch::http

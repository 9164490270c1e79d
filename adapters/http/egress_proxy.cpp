#include <backstitch/http/egress_proxy.hpp>

#include <algorithm>
#include <utility>

#include "host.hpp"
#include "url.hpp"

namespace backstitch::http {
namespace {

Error invalid(std::string message) {
  return {ErrorCode::invalid, "option-invalid", std::move(message)};
}

bool is_host(std::string_view text) {
  if (literal_of(std::string(text))) return true;
  if (text.starts_with('.')) text.remove_prefix(1);
  const auto url = parse_url("http://" + std::string(text));
  return url && url->host == text;
}

/// Whether a host is a name under another one. A literal address is under nothing.
bool is_under(std::string_view host, std::string_view suffix) {
  return host.size() > suffix.size() &&
         is_same_host(host.substr(host.size() - suffix.size()), suffix);
}

bool is_direct(std::string_view host, const std::string& direct) {
  const auto address = literal_of(std::string(host));
  if (const auto wanted = literal_of(direct)) return address == wanted;
  if (address) return false;
  if (direct.starts_with('.')) return is_under(host, direct);
  return is_same_host(host, direct) || is_under(host, "." + direct);
}

}  // namespace

Result<EgressProxy> EgressProxy::of(std::string url, std::vector<std::string> direct_hosts) {
  const auto place = parse_url(url);
  if (!place || place->tls || !place->path.empty())
    return invalid(
        "The URL of --egress-proxy is not of the form http://HOST:PORT. It has no user and no "
        "password: a service that has to state them has a `proxy` and a `proxyAuth` of its own.");
  for (std::string& host : direct_hosts) {
    if (host.ends_with('.')) host.pop_back();
    if (!is_host(host))
      return invalid("`" + host +
                     "` is not a host for --no-egress-proxy; write a name, .suffix or a literal "
                     "address, without scheme, port and wildcard.");
  }
  return EgressProxy(std::move(url), std::move(direct_hosts));
}

EgressProxy::EgressProxy(std::string url, std::vector<std::string> direct_hosts)
    : url_(std::move(url)), direct_hosts_(std::move(direct_hosts)) {}

bool EgressProxy::is_for(std::string_view host) const {
  if (reach_of_host(host) == Reach::loopback) return false;
  if (host.ends_with('.')) host.remove_suffix(1);
  return std::none_of(direct_hosts_.begin(), direct_hosts_.end(),
                      [&](const std::string& direct) { return is_direct(host, direct); });
}

}  // namespace backstitch::http

#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/base/result.hpp>

namespace backstitch::http {

/// The forward proxy of a node (`--egress-proxy`), and the hosts that are called without it
/// (`--no-egress-proxy`). Immutable, thread-safe.
class EgressProxy {
 public:
  /// @param url  `http://HOST[:PORT]`
  /// @param direct_hosts  each a name, which stands for itself and every name under it, a suffix
  /// `.example`, which stands for every name under it, or a literal address
  /// @return invalid/option-invalid, with a message that does not repeat the URL: it may hold a
  /// password
  static Result<EgressProxy> of(std::string url, std::vector<std::string> direct_hosts);

  const std::string& url() const { return url_; }
  /// Whether calls to this host go through the proxy. Those to loopback never do: the proxy would
  /// take them for calls to its own machine.
  bool is_for(std::string_view host) const;

 private:
  EgressProxy(std::string url, std::vector<std::string> direct_hosts);
  std::string url_;
  std::vector<std::string> direct_hosts_;
};

}  // namespace backstitch::http

#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace backstitch::http {

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
                            std::string_view address) const;

 private:
  bool is_allowed(std::string_view host, std::uint16_t port) const;
  Options options_;
};

}  // namespace backstitch::http

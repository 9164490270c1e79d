#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ssl/context.hpp>

#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/http/egress.hpp>

#include "node_state.hpp"
#include "url.hpp"

namespace backstitch::http {

/// Written on the reactor's thread, read by any.
struct Totals {
  std::atomic<std::uint64_t> unrequested{0};
  std::atomic<std::uint64_t> addresses_kept{0};
};

/// The forward proxy that a service is called through.
struct Proxy {
  Url url;
  bool is_nodes = false;  ///< the operator has named it for the node: its addresses are not judged
};

/// What all connections of a carrier to one service share.
struct Target {
  /// What connections are made to.
  const Url& peer() const { return proxy ? proxy->url : url; }
  /// For messages about it.
  std::string peer_name(const std::string& name) const {
    return (proxy ? "the proxy " : "") + name;
  }
  /// Whether the proxy only passes bytes on (CONNECT), and sees no request.
  bool is_tunnelled() const { return proxy && url.tls; }
  /// Whether the proxy reads the requests, and may answer them itself.
  bool is_forwarded() const { return proxy && !url.tls; }

  Url url;
  std::optional<Proxy> proxy;
  std::string server_name;  ///< for SNI and the certificate
  std::shared_ptr<boost::asio::ssl::context> tls;
  std::shared_ptr<const EgressPolicy> egress;
  std::shared_ptr<NodeState> node;
  std::shared_ptr<Totals> totals;
  const void* owner = nullptr;  ///< of the lookups, see Resolver::forget
  bool cut_after_sending = false;
  std::function<void(const engine::Call&, std::function<void()> go)> before_last_byte;
};

}  // namespace backstitch::http

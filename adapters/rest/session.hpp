#pragma once
#include <atomic>
#include <cstddef>
#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include <backstitch/rest/server.hpp>

#include "router.hpp"

namespace backstitch::rest {

/// What all connections of a server share. Read-only but for the counters.
struct Shared {
  Options options;
  Router router;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> answering{0};  ///< requests that have no answer yet
  std::atomic<bool> stopping{false};
};

/// Serves one connection until it ends, one request at a time: what a peer sends ahead waits in the
/// socket. Owns itself.
void serve(boost::asio::ip::tcp::socket socket, std::shared_ptr<Shared> shared,
           std::size_t reactor);

}  // namespace backstitch::rest

#pragma once
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/ip/tcp.hpp>

#include <backstitch/engine/ports/observer.hpp>
#include <backstitch/engine/ports/workers.hpp>
#include <backstitch/rest/server.hpp>

#include "connections.hpp"
#include "errors.hpp"
#include "gate.hpp"
#include "router.hpp"

namespace backstitch::rest {

/// What all connections of a server share. Read-only but for the counters.
struct Shared {
  Shared(Options given, engine::Engine& engine)
      : options(std::move(given)),
        served(engine),
        workers(engine.workers()),
        observer(engine.observer()),
        connections(std::make_shared<Connections>(options)) {}

  const Options options;
  const engine::Engine& served;
  engine::Workers& workers;
  engine::Observer& observer;
  std::optional<Gate> gate;  ///< set before the first connection is accepted
  Router router;
  const std::shared_ptr<Connections> connections;
  std::atomic<std::size_t> answering{0};  ///< requests that have no answer yet
  std::atomic<bool> stopping{false};
  Refusals refusals;
};

/// Serves one connection until it ends, if there is room for it: one request at a time: what a peer
/// sends ahead waits in the socket. Owns itself.
void serve(boost::asio::ip::tcp::socket socket, std::shared_ptr<Shared> shared,
           std::size_t reactor);

}  // namespace backstitch::rest

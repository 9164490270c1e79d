#include <backstitch/rest/server.hpp>

#include <chrono>
#include <optional>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <backstitch/asio/io_context.hpp>
#include <backstitch/base/authority_text.hpp>

#include "resources.hpp"
#include "session.hpp"

namespace backstitch::rest {

using boost::asio::ip::tcp;
using boost::system::error_code;

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(std::vector<asio::Reactor*> all, engine::Engine& engine, Options given)
      : reactors(std::move(all)),
        shared(std::make_shared<Shared>(std::move(given), engine)),
        acceptor(asio::io_context_of(*reactors.front())),
        pause(asio::io_context_of(*reactors.front())) {
    Router& router = shared->router;
    add_definition_routes(router, engine);
    add_graph_routes(router, engine);
    add_node_routes(router, engine);
    add_service_routes(router, engine);
    add_saga_routes(router, engine, shared->options);
    add_operator_routes(router, engine);
    add_signal_routes(router, engine, shared->options);
    add_system_routes(router, engine, shared->options, shared->refusals, *shared->connections);
    add_error_routes(router);
  }

  Result<std::uint16_t> listen() {
    auto gate = Gate::create(shared->options);
    if (!gate) return std::move(gate).error();
    shared->gate = std::move(*gate);
    error_code error;
    const auto address = boost::asio::ip::make_address(shared->options.host, error);
    const tcp::endpoint endpoint(address, shared->options.port);
    if (!error) acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
    if (error) {
      return Error{ErrorCode::unavailable, "listen-failed",
                   "Cannot listen on " +
                       authority_text(shared->options.host, shared->options.port) + ": " +
                       error.message() + "."};
    }
    const std::uint16_t port = acceptor.local_endpoint().port();
    accept();
    return port;
  }

  /// Connections go round the reactors, each served on its own for life.
  void accept() {
    const std::size_t reactor = next++ % reactors.size();
    acceptor.async_accept(
        asio::io_context_of(*reactors[reactor]),
        [self = shared_from_this(), reactor](error_code error, tcp::socket socket) {
          if (error == boost::asio::error::operation_aborted) return;
          if (error) return self->accept_later();
          serve(std::move(socket), self->shared, reactor);
          self->accept();
        });
  }

  /// Out of file descriptors, most likely: trying again at once would spin.
  void accept_later() {
    pause.expires_after(std::chrono::milliseconds(50));
    pause.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->accept();
    });
  }

  void stop(Duration most) {
    shared->stopping.store(true);
    const auto end = std::chrono::steady_clock::now() + most;
    while (shared->answering.load() > 0 && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    boost::asio::post(acceptor.get_executor(), [self = shared_from_this()] {
      error_code ignored;
      self->acceptor.close(ignored);
      self->pause.cancel();
    });
  }

  std::vector<asio::Reactor*> reactors;
  std::shared_ptr<Shared> shared;
  tcp::acceptor acceptor;
  boost::asio::steady_timer pause;
  std::size_t next = 0;
};

Server::Server(std::vector<asio::Reactor*> reactors, engine::Engine& engine, Options options)
    : impl_(std::make_shared<Impl>(std::move(reactors), engine, std::move(options))) {}
Server::~Server() = default;
Result<Done> Server::check(const Options& options) {
  const auto gate = Gate::create(options);
  if (!gate) return gate.error();
  return Done{};
}
Result<std::uint16_t> Server::listen() {
  return impl_->listen();
}
void Server::drain() {
  impl_->shared->stopping.store(true);
}
void Server::stop(Duration most) {
  impl_->stop(most);
}

}  // namespace backstitch::rest

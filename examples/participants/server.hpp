#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "http.hpp"

namespace backstitch::examples {

/// HTTP/1.1 with keep-alive on the loopback address, one port a handler.
///
/// Made to cost little beside the programs under test: one connection reuses one buffer, one
/// Request and one Reply; an answer is one system call; nothing is logged. Every answer returns the
/// key of its request in `Saga-Echo`. Threads: construct,
/// `listen` and `run` from one thread. Handlers must outlive the server.
///   Server server(1);  server.listen(7500, orders);  server.run();
class Server {
 public:
  explicit Server(int threads);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves `handler` on 127.0.0.1:`port`, 0 for any free one, and returns the port. Requests are
  /// taken from now on and answered once `run` is called.
  /// @throws std::system_error if the port cannot be had
  std::uint16_t listen(std::uint16_t port, Handler& handler);

  /// Returns after SIGTERM or SIGINT; connections are closed by the destructor.
  void run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace backstitch::examples

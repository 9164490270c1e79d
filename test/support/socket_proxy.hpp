#pragma once
#include <atomic>
#include <string>
#include <thread>

namespace backstitch::test {

/// Stands between a client and a server on Unix sockets and breaks connections at a chosen moment.
/// Threads: any.
class SocketProxy {
 public:
  /// @param socket to listen on; only who may use the server's own may use its directory
  SocketProxy(std::string server_socket, std::string socket);
  ~SocketProxy();
  SocketProxy(const SocketProxy&) = delete;
  SocketProxy& operator=(const SocketProxy&) = delete;

  /// The next answer of the server is swallowed, and the client's connection that waited for it
  /// closed.
  void swallow_next_answer() { swallow_ = true; }
  /// Closes every client's connection now. The server's side stays open, as after a cut cable: what
  /// runs there goes on.
  void cut_clients() { cut_ = true; }
  /// How often either happened.
  int broken() const { return broken_; }

 private:
  void run();

  const std::string server_socket_;
  const std::string socket_;
  int listener_ = -1;
  std::atomic<bool> swallow_{false};
  std::atomic<bool> cut_{false};
  std::atomic<bool> stopped_{false};
  std::atomic<int> broken_{0};
  std::thread thread_;
};

}  // namespace backstitch::test

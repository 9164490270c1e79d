#pragma once
#include <atomic>
#include <thread>

namespace backstitch::test {

/// Stands between a client and a server on loopback and breaks connections at a chosen moment.
/// Threads: any.
class TcpProxy {
 public:
  explicit TcpProxy(int server_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }
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

  const int server_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> swallow_{false};
  std::atomic<bool> cut_{false};
  std::atomic<bool> stopped_{false};
  std::atomic<int> broken_{0};
  std::thread thread_;
};

}  // namespace backstitch::test

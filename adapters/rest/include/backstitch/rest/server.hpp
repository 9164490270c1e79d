#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/base/time.hpp>
#include <backstitch/engine/runtime/engine.hpp>

namespace backstitch::asio {
class Reactor;
}

namespace backstitch::rest {

/// Where to listen and what one peer may cost. Every bound answers with its own error code.
struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 7420;  ///< 0: a free one
  /// Hosts that requests may name beside loopback ones. On a listener that is not on loopback every
  /// host is accepted unless one is named here.
  std::vector<std::string> hosts{};
  std::vector<std::string> origins{};  ///< of pages that may send requests, beside the server's own
  std::string callback_url{};          ///< its host is accepted too
  std::size_t connections_max = 1'000;
  std::size_t connections_per_peer_max = 0;  ///< 0: half of `connections_max`
  /// IP addresses whose connections are not bounded by themselves: they speak for many peers.
  std::vector<std::string> proxies{};
  /// Bodies and answers on their way, of all connections.
  std::size_t held_bytes_max = 128 * 1024 * 1024;
  std::size_t header_bytes_max = 16 * 1024;
  std::size_t body_bytes_max = 1024 * 1024;
  std::size_t batch_bytes_max = 16 * 1024 * 1024;
  std::size_t batch_starts_max = 1'000;
  Duration header_time{10'000};
  Duration body_time{30'000};
  /// Longer than balancers keep idle connections, up to ten minutes, so that they close first: a
  /// request that meets a close is lost.
  Duration idle_time{620'000};
  Duration wait_max{60'000};  ///< of `?wait=`
  /// How long a caller waits for what the engine does, beside its `?wait`: while the database does
  /// not answer, nobody knows what becomes of a start.
  Duration answer_time{30'000};
  std::function<std::uint64_t()> log_lines_dropped{};  ///< for GET /metrics; empty: not measured
  std::string version = "0";                           ///< shown by GET /version
};

/// The REST API on the engine's reactors. One instance a process.
/// Threads: listen and stop from any one thread. Lifetime: the reactors and the engine must outlive
/// it, and the reactors must have stopped running when it is destroyed.
class Server {
 public:
  Server(std::vector<asio::Reactor*> reactors, engine::Engine& engine, Options options);
  ~Server();
  /// @return invalid/… names the option that is not valid
  static Result<Done> check(const Options& options);
  /// @return the port. unavailable/listen-failed names the address and the reason; else as check.
  Result<std::uint16_t> listen();
  /// From now on requests are answered 503 `shutting-down`, but for those about the process; the
  /// ones that were taken are still answered. Idempotent.
  void drain();
  /// Stops accepting once every request that was taken is answered, or `most` is over. Blocks; not
  /// on a reactor. Idempotent.
  void stop(Duration most = Duration{0});

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace backstitch::rest

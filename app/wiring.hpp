#pragma once
/// The composition root: the only place that knows who builds whom.
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/base/time.hpp>
#include <backstitch/engine/ports/observer.hpp>

namespace backstitch::asio {
class Reactor;
}
namespace backstitch::engine {
class Engine;
}

namespace backstitch::app {

/// Each has a connection to the database.
inline constexpr std::size_t reactors_max = 64;

struct ServerConfig {
  std::string database;
  std::string host = "127.0.0.1";
  std::uint16_t port = 7420;
  std::string node;          ///< empty: host name and port
  std::size_t reactors = 0;  ///< 0: one a core, at most reactors_max
  std::vector<std::string>
      allow_hosts;              ///< HOST[:PORT] that may be called although private or plain http
  bool allow_loopback = false;  ///< `dev`: anything on loopback may be called over plain http
  std::size_t starts_waiting_max = 0;  ///< 0: the engine's default
  std::size_t sagas_resident_max = 0;  ///< 0: the engine's default
  std::size_t shards_max = 0;          ///< 0: the engine's default
  Duration lease{0};                   ///< 0: the engine's default
  Duration key_retention{0};           ///< 0: the engine's default
  std::string egress_proxy;            ///< `http://HOST[:PORT]` that calls go through; empty: none
  std::vector<std::string> no_egress_proxy;  ///< hosts that are called directly all the same
  std::string callback_url;          ///< where participants reach this server; empty: where it
                                     ///< listens
  std::vector<std::string> hosts;    ///< that requests may name beside loopback ones
  std::vector<std::string> origins;  ///< of pages that may send requests
  std::vector<std::string> proxies;  ///< IP addresses that speak for many peers
  std::size_t connections_max = 0;   ///< 0: the listener's default
  std::size_t connections_per_peer_max = 0;  ///< 0: half of them
  std::size_t header_max = 0;                ///< bytes; 0: the listener's default
  Duration idle_timeout{0};                  ///< of a connection; 0: the listener's default
  bool require_keys = false;                 ///< no start without an idempotency or business key
  std::string secrets;                       ///< directory; empty: none
  std::set<std::string> allow_unsafe;        ///< PostgreSQL settings that may be unsafe
  bool adopt = false;                        ///< see postgres::Options, also the next two
  bool read_only = false;
  bool require_identity = false;
  std::function<std::uint64_t()> log_lines_dropped{};  ///< empty: not measured
};

/// An engine with its store and its reactors, without a listener: what a program that embeds the
/// engine runs. open, start and stop from one thread; stop drains and is idempotent.
class Node {
 public:
  Node(ServerConfig config, engine::Observer& observer);
  ~Node();
  /// Connects to the database. May be called again after it failed.
  Result<Done> connect();
  /// Starts the reactors, after connect() if that has not been called.
  Result<Done> open();
  /// Takes shards and revives their sagas. @pre open succeeded
  Result<Done> start();
  /// Takes no more starts, lets appends in flight finish, gives the shards back.
  void drain();
  void stop();
  engine::Engine& engine();                ///< @pre open succeeded
  std::vector<asio::Reactor*> reactors();  ///< @pre open succeeded

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A running server: a node and its listener. start and stop from one thread; stop drains and is
/// idempotent.
class Server {
 public:
  Server(ServerConfig config, engine::Observer& observer);
  ~Server();
  /// Checks the options and connects to the database. May be called again after it failed with
  /// ErrorCode::unavailable.
  Result<Done> connect();
  /// Listens first, so that /livez answers, then opens the engine. @return the port once it is
  /// ready. @pre connect succeeded
  Result<std::uint16_t> start();
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstitch::app

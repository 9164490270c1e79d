#pragma once
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include <backstitch/http/egress.hpp>

#include "exchange.hpp"

namespace backstitch::http {

/// What all connections to one service share.
struct Target {
  Url url;
  std::string server_name;  ///< for SNI and the certificate
  std::shared_ptr<boost::asio::ssl::context> tls;
  std::shared_ptr<const EgressPolicy> egress;
  bool cut_after_sending = false;
};

/// One connection, one exchange at a time. Used on the reactor's thread only; kept alive by its own
/// operations. `finished(result, reusable)` is called exactly once an exchange.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Finished = std::function<void(engine::CallResult, bool reusable)>;

  Connection(boost::asio::io_context& context, std::shared_ptr<const Target> target);
  ~Connection();

  /// Whether the peer is still there, as far as can be seen without sending.
  bool is_open();
  /// `exchange` stays valid until `finished`.
  void run(const Exchange& exchange, Finished finished);
  /// The deadline passed: ends the exchange with `timeout`, or `connect` if nothing was sent.
  void expire();
  /// The time for connecting passed; nothing if it is connected.
  void expire_connecting();
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace backstitch::http

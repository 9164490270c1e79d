#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <backstitch/engine/machine/stimulus.hpp>

#include "target.hpp"

namespace backstitch::http {

/// One TCP connection to a target, or to its proxy: the name is looked up, and its addresses are
/// tried in turn. The next one begins when the one before has failed or has been tried for
/// `next_address_after`; the first that connects wins. Each is judged by the egress policy right
/// before it is connected to. Threads: the reactor's. Kept alive by its own operations.
class Dial : public std::enable_shared_from_this<Dial> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Outcome = std::variant<Socket, engine::CallResult>;
  static constexpr Duration next_address_after{250};

  Dial(boost::asio::io_context& context, std::shared_ptr<const Target> target);
  /// Exactly one `done`, never inside this call, unless it is cancelled.
  void start(std::function<void(Outcome)> done);
  void cancel();

 private:
  using Endpoint = boost::asio::ip::tcp::endpoint;

  void look_up();
  void looked_up(const Lookup& lookup);
  void use_last_good();
  void use(const Addresses& addresses);
  void try_next();
  /// Why the address may not be connected to; empty: it may.
  std::string refusal_of(const Endpoint& endpoint) const;
  void connect(const Endpoint& endpoint);
  void connected(const std::shared_ptr<Socket>& socket, const Endpoint& endpoint,
                 const boost::system::error_code& error);
  void none_connected();
  void finish(Outcome outcome);
  void finish_soon(engine::CallResult result);

  boost::asio::io_context& context_;
  std::shared_ptr<const Target> target_;
  std::function<void(Outcome)> done_;
  boost::asio::steady_timer timer_;
  bool has_addresses_ = false;
  std::vector<Endpoint> endpoints_;
  std::size_t next_ = 0;
  std::vector<std::shared_ptr<Socket>> open_;
  // Why those that were tried did not connect.
  std::string refusal_;
  std::optional<std::string> failure_;
  std::optional<engine::NotSent> unsent_;
};

}  // namespace backstitch::http

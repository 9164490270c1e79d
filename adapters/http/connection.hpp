#pragma once
#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "exchange.hpp"
#include "target.hpp"

namespace backstitch::http {

/// One connection, one exchange at a time. Used on the reactor's thread only; kept alive by its own
/// operations. `finished(result, after)` is called exactly once an exchange.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// What is to become of the connection after an exchange.
  enum class After {
    keep,     ///< nothing has been received beyond the answer: it may carry another call
    close,    ///< it is closed
    distrust  ///< it is closed; the participant has sent what no call had asked for
  };
  using Finished = std::function<void(engine::CallResult, After)>;
  /// An idle connection has ended; or was closed because bytes came that no call had asked for.
  using Disturbed = std::function<void(const Connection&, bool unrequested)>;

  Connection(boost::asio::io_context& context, std::shared_ptr<const Target> target,
             Disturbed disturbed);
  ~Connection();

  bool is_connected() const;
  engine::SteadyTime connected_at() const;
  const std::shared_ptr<const Target>& target() const;
  /// If something has been received since the exchange before, nothing is sent: the result is
  /// `reset` and not sent, and may come inside this call. An answer that begins before the request
  /// has been written is the answer to it, and the connection is closed after it.
  void run(std::shared_ptr<const Exchange> exchange, Finished finished);
  /// Looks out for what comes without a call, until the next run(). `disturbed` may be called
  /// inside.
  void watch();
  /// The deadline passed: ends the exchange with `timeout`.
  void expire();
  /// The time for connecting passed; nothing if it is connected.
  void expire_connecting();
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace backstitch::http

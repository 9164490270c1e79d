#pragma once
/// What libpqxx does not offer: the SQLSTATE of a connection that was refused, and a statement that
/// is given up after a time. libpq alone, with its own text for a connection.
#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace backstitch::postgres {

/// Threads: one.
class PlainConnection {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// Waits for the connection as long as the `connect_timeout` in the text allows.
  static PlainConnection open(const std::string& text);
  /// One of the hosts of a text, which libpq would try one after the other.
  struct Host {
    std::string host;  ///< a name, or the directory of a socket
    std::string address;
    std::string port;
    std::string text() const;  ///< for people
  };
  /// In the order of the text, of its service file or of the environment.
  static std::vector<Host> hosts_of(const std::string& text);
  /// To this host, whatever it is.
  static PlainConnection open(const std::string& text, const Host& host);
  bool is_open() const { return ::PQstatus(connection_.get()) == CONNECTION_OK; }
  /// In the words of libpq, which may be translated.
  std::string message() const { return ::PQerrorMessage(connection_.get()); }

  /// Sends a statement without waiting. @return false if the connection is broken
  bool send(const char* sql);
  /// Waits for the answer to it. @return the first value; nothing if there is none by then
  std::optional<std::string> answer(Deadline deadline);
  /// Of the latest statement that the server refused; empty if it refused none.
  const std::string& sqlstate() const { return sqlstate_; }

 private:
  friend struct ConnectFailure;
  struct Finish {
    void operator()(PGconn* connection) const { ::PQfinish(connection); }
  };
  explicit PlainConnection(PGconn* connection) : connection_(connection) {}
  bool wait(short events, Deadline deadline) const;

  std::unique_ptr<PGconn, Finish> connection_;
  std::string sqlstate_;
};

/// Why a connection cannot be opened, told without reading a translated message.
struct ConnectFailure {
  std::string sqlstate;      ///< empty: no server answered, or not all hosts of the text did
  bool is_attempted = true;  ///< false: the text itself is not valid

  /// Tries once more, and asks the server for nothing but its SQLSTATE.
  static ConnectFailure of(const std::string& text);
};

}  // namespace backstitch::postgres

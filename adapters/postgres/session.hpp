#pragma once
/// One connection, and the one place that knows which libpqxx it is built with. Everything in this
/// folder that touches pqxx goes through here, for 6.4 and 7.x.
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pqxx/pqxx>

namespace backstitch::postgres {

struct SessionOptions {
  std::string url;
  std::string application_name;
  /// `set NAME = VALUE` once connected.
  std::vector<std::pair<std::string, std::string>> settings{};
  /// How long data sent may stay unacknowledged before the connection counts as dead.
  int unacknowledged_ms = 5000;
};

/// A server process, told from a later one with the same process id.
struct Backend {
  int pid = 0;
  std::string started_at;  ///< microseconds of Unix time
};

/// Adds libpq options to a connection string of either form, where it does not state them itself.
std::string with_options(std::string url,
                         const std::vector<std::pair<std::string, std::string>>& options);

/// Threads: one at a time. Every function throws what libpqxx throws; see failure.hpp.
/// A session that threw because its connection broke stays broken: it never reconnects by itself,
/// because a statement after a silent reconnect would run as if the one before had.
class Session {
 public:
  explicit Session(const SessionOptions& options);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  bool is_open() const { return connection_.is_open(); }
  const Backend& backend() const { return backend_; }
  int server_version() const { return connection_.server_version(); }
  pqxx::connection& connection() { return connection_; }

  /// SQL without parameters, in its own implicit transaction.
  pqxx::result run(const std::string& sql);
  /// A prepared statement with parameters in text form; a null `const char*` is null. Prepared on
  /// its first use in this session.
  template <class... Arguments>
  pqxx::result run_prepared(std::string_view name, const std::string& sql,
                            const Arguments&... arguments) {
    const std::string statement = prepared(name, sql);
    pqxx::nontransaction tx(connection_);
    return tx.exec_prepared(statement, arguments...);
  }
  /// The same with every parameter in binary form, none null.
  pqxx::result run_binary(std::string_view name, const std::string& sql,
                          const std::vector<std::string_view>& parameters);

 private:
  std::string prepared(std::string_view name, const std::string& sql);

  pqxx::connection connection_;
  std::set<std::string, std::less<>> prepared_;
  Backend backend_;
};

/// The value of a field that may be null.
inline std::string text_or_empty(const pqxx::field& field) {
  return field.is_null() ? std::string() : std::string(field.c_str(), field.size());
}

/// Array literal of texts, for statements that are not worth the binary form.
std::string array_literal(const std::vector<std::string>& values);

}  // namespace backstitch::postgres

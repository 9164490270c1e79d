#pragma once
/// One connection, and the one place that knows which libpqxx it is built with. Everything in this
/// folder that touches pqxx goes through here, for 6.4 and 7.x.
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pqxx/pqxx>

namespace backstitch::postgres {

using Settings = std::vector<std::pair<std::string, std::string>>;

/// A server process, told from a later one with the same process id.
struct Backend {
  int pid = 0;
  std::string started_at;  ///< microseconds of Unix time
  bool operator==(const Backend&) const = default;
};

class Lineage;

/// The open sessions of a store. Threads: any.
class OpenSessions {
 public:
  /// @param socket of the connection; a duplicate of it is kept until the session is removed
  void add(const Backend& backend, int socket);
  void remove(const Backend& backend);
  /// Their server processes.
  std::vector<Backend> all() const;
  /// Breaks the connections of all but one, whatever their threads are about to do: when this
  /// returns, nothing can be sent on them any more.
  void break_all_but(const Backend& kept);

 private:
  struct Entry {
    Backend backend;
    int socket = -1;  ///< libpq closes its own when it likes to
  };
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
};

struct SessionOptions {
  std::string url;
  std::string application_name;
  std::string lane;  ///< whose connection it is, for the log and metrics: `lane 0`, `reader`
  /// Beside those that every session of ours has, or in place of them. Values as
  /// `current_setting` gives them: `30s`, not `30000`.
  Settings settings{};
  /// How long data sent may stay unacknowledged before the connection counts as dead.
  int unacknowledged_ms = 5000;
  /// For sessions that make sagas durable: the settings of the server that may be off though its
  /// crash would lose something. Unset: the session makes nothing durable.
  std::optional<std::set<std::string>> allow_unsafe{};
  std::shared_ptr<OpenSessions> registry{};  ///< knows the session while it exists; or nullptr
  /// Which the session has to belong to, and whose era it has; or nullptr. Needs a registry.
  std::shared_ptr<Lineage> lineage{};
};

/// Adds libpq options to a connection string of either form, where it does not state them itself.
std::string with_options(std::string url, const Settings& options);

/// Which process and which part of it a connection belongs to, as pg_stat_activity shows it. The
/// name of the node comes last, because PostgreSQL keeps 63 bytes. All in printable ASCII.
/// @param incarnation of the process; may be empty
std::string application_name(std::string_view incarnation, std::string_view role,
                             std::string_view node);

/// A connection that says with which SQLSTATE it could not be opened.
class OpenConnection : public pqxx::connection {
 public:
  /// @throws ConnectError
  explicit OpenConnection(const std::string& text);
};

/// Threads: one at a time. Every function throws what libpqxx throws; see failure.hpp.
/// A session that threw because its connection broke stays broken: it never reconnects by itself,
/// because a statement after a silent reconnect would run as if the one before had.
/// Runs under settings of its own, whatever the server, the database or the role has set.
class Session {
 public:
  /// @throws also SessionRefused behind a pooler that gives each transaction another server process
  explicit Session(const SessionOptions& options);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  bool is_open() const { return connection_.is_open(); }
  /// See Lineage. 0: it has none.
  std::uint64_t era() const { return era_; }
  /// False once the database is known to be another one than when the session was opened: what it
  /// has answered may be of the one before.
  bool is_current() const;
  const Backend& backend() const { return backend_; }
  int server_version() const { return connection_.server_version(); }
  pqxx::connection& connection() { return connection_; }
  /// The statement that ran last, by its name; `session` if it has none.
  const std::string& statement() const { return statement_; }

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
  /// Takes the session off the registry, also if its constructor throws.
  struct Registered {
    ~Registered() {
      if (registry) registry->remove(backend);
    }
    std::shared_ptr<OpenSessions> registry{};
    Backend backend{};
  };

  std::string prepared(std::string_view name, const std::string& sql);
  Settings settings_of(const SessionOptions& options);
  void apply(const Settings& settings);

  const std::shared_ptr<Lineage> lineage_;
  std::uint64_t era_ = 0;  ///< until it is admitted: in which it began to connect
  OpenConnection connection_;
  std::string statement_ = "session";
  std::set<std::string, std::less<>> prepared_;
  Backend backend_;
  Registered registered_;
};

/// The value of a field that may be null.
inline std::string text_or_empty(const pqxx::field& field) {
  return field.is_null() ? std::string() : std::string(field.c_str(), field.size());
}

/// Array literal of texts, for statements that are not worth the binary form.
std::string array_literal(const std::vector<std::string>& values);

}  // namespace backstitch::postgres

#pragma once
#include <sys/types.h>
#include <map>
#include <string>
#include <vector>

namespace backstitch::test {

/// The settings of a server that does not wait for the disk, for tests that are not about
/// durability. Its files are in $BACKSTITCH_TEST_MEMORY, if that is set, so they stay few.
inline const std::map<std::string, std::string> unsynced{
    {"fsync", "off"}, {"max_wal_size", "96MB"}, {"min_wal_size", "32MB"}};

/// A PostgreSQL of our own: a fresh cluster in a temporary folder, on a Unix socket that only root
/// and the cluster's user can reach. As root it runs as the user `postgres`, since PostgreSQL
/// refuses root. Databases belong to the role `backstitch`, who is no superuser. Stopped and
/// removed by the destructor, and killed by the kernel if this process dies first. Threads: one;
/// the one that starts it must outlive it.
class PrivatePostgres {
 public:
  /// @param settings of postgresql.conf. Throws std::runtime_error if it does not come up.
  explicit PrivatePostgres(std::map<std::string, std::string> settings = {});
  /// A streaming standby of another one, which must outlive its kill() or promote(). It takes
  /// reads.
  struct StandbyOf {
    const PrivatePostgres& primary;
  };
  explicit PrivatePostgres(StandbyOf of);
  ~PrivatePostgres();
  PrivatePostgres(const PrivatePostgres&) = delete;
  PrivatePostgres& operator=(const PrivatePostgres&) = delete;

  /// Of a database, as the role `backstitch`.
  std::string url(const std::string& database = "backstitch") const;
  /// The path of the server's socket, or of one beside it under another port.
  std::string socket(int port = port_of_server) const;
  /// A new database, a copy of `original`. @return its url
  std::string create_database(const std::string& name, const std::string& original = "template0");
  /// Fails if something is still connected to it after a few seconds.
  void drop_database(const std::string& name);

  /// Without warning: SIGKILL to the server and every process of it.
  void kill();
  /// After kill(); returns once connections are accepted.
  void start();
  /// A standby becomes a primary, on a timeline of its own; returns once it takes writes.
  void promote();
  /// As the superuser.
  void administer(const std::string& statement);
  /// Of one value, as the superuser.
  std::string asked(const std::string& query, const std::string& database = "postgres");

 private:
  static constexpr int port_of_server = 5432;  // a name only: the server has no TCP socket

  void make_folder();
  void init();
  void copy(const PrivatePostgres& primary);
  void run(const std::vector<std::string>& command);
  void await_ready();

  std::map<std::string, std::string> settings_;
  std::string folder_;
  pid_t server_ = 0;
};

/// The same database for the superuser, who may create roles.
std::string as_superuser(std::string url);
/// The same database through another socket of its directory.
std::string with_port(std::string url, int port);

}  // namespace backstitch::test

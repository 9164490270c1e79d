#pragma once
#include <sys/types.h>
#include <map>
#include <string>

namespace backstitch::test {

/// The settings of a server that does not wait for the disk, for tests that are not about
/// durability. Its files are in $BACKSTITCH_TEST_MEMORY, if that is set, so they stay few.
inline const std::map<std::string, std::string> unsynced{
    {"fsync", "off"}, {"max_wal_size", "96MB"}, {"min_wal_size", "32MB"}};

/// A PostgreSQL of our own: a fresh cluster in a temporary folder, on a Unix socket and a free
/// loopback port. As root it runs as the user `postgres`, since PostgreSQL refuses root. Stopped
/// and removed by the destructor, and killed by the kernel if this process dies first. Threads:
/// one; the one that starts it must outlive it.
class PrivatePostgres {
 public:
  /// @param settings of postgresql.conf. Throws std::runtime_error if it does not come up.
  explicit PrivatePostgres(std::map<std::string, std::string> settings = {});
  ~PrivatePostgres();
  PrivatePostgres(const PrivatePostgres&) = delete;
  PrivatePostgres& operator=(const PrivatePostgres&) = delete;

  /// Of a database, `postgres` by default.
  std::string url(const std::string& database = "postgres") const;
  int port() const { return port_; }
  /// A new database, a copy of `original`. @return its url
  std::string create_database(const std::string& name, const std::string& original = "template0");
  /// Fails if something is still connected to it after a few seconds.
  void drop_database(const std::string& name);

  /// Without warning: SIGKILL to the server and every process of it.
  void kill();
  /// After kill(); returns once connections are accepted.
  void start();

 private:
  void init();
  void await_ready();

  std::map<std::string, std::string> settings_;
  std::string folder_;
  int port_ = 0;
  pid_t server_ = 0;
};

}  // namespace backstitch::test

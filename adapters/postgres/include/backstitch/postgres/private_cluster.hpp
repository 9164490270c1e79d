#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <backstitch/base/result.hpp>

namespace backstitch::postgres {

/// A PostgreSQL of our own, durable, in a directory of ours: for `backstitch dev`. Made with initdb
/// if the directory is new. PostgreSQL refuses root, so the `postgres` user of Debian's package
/// runs it then. It listens on a Unix socket in a directory that only the cluster's user can enter,
/// and on loopback only if a port is given. Only root and the cluster's user can connect without a
/// password. The server ends with this object, and with the process even if that is killed.
class PrivateCluster {
 public:
  struct Options {
    std::filesystem::path directory;
    std::uint16_t tcp_port = 0;  ///< 0: none
  };
  /// @return unavailable with the reason and, where there is one, the server's own last words; also
  /// if the directory is a symbolic link, belongs to another user or can be replaced by one
  static Result<PrivateCluster> start(const Options& options);
  PrivateCluster(PrivateCluster&&) noexcept;
  PrivateCluster& operator=(PrivateCluster&&) noexcept;
  ~PrivateCluster();

  /// Of the database `backstitch` over the Unix socket, as its owner, who is no superuser. The same
  /// after a restart.
  const std::string& url() const;
  /// For libpq's PGPASSFILE: the password of the role `backstitch` over TCP. Empty without a port.
  const std::filesystem::path& password_file() const;
  /// @return an error with the server's last words once it has ended by itself
  Result<Done> check();

 private:
  struct Impl;
  explicit PrivateCluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstitch::postgres

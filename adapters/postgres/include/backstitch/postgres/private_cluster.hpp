#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include <backstitch/base/result.hpp>

namespace backstitch::postgres {

/// A PostgreSQL of our own on loopback, durable, in a directory of ours: for `backstitch dev`.
/// Made with initdb if the directory is new. PostgreSQL refuses root, so the `postgres` user of
/// Debian's package runs it then. The server ends with this object, and with the process even if
/// that is killed.
class PrivateCluster {
 public:
  struct Options {
    std::filesystem::path directory;
  };
  /// @return unavailable with the reason and, where there is one, the server's own last words
  static Result<PrivateCluster> start(const Options& options);
  PrivateCluster(PrivateCluster&&) noexcept;
  PrivateCluster& operator=(PrivateCluster&&) noexcept;
  ~PrivateCluster();

  const std::string& url() const;
  int pid() const;

 private:
  struct Impl;
  explicit PrivateCluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstitch::postgres

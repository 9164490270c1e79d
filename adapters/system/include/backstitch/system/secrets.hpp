#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/ports/secrets.hpp>

namespace backstitch::system {

/// Of a file among the secrets.
inline constexpr std::size_t secret_bytes_max = 64 * 1024;

/// One secret in a file anywhere, under the same rules as those of a directory.
/// @return invalid/file-unreadable, which names the file and why
Result<std::string> read_secret(const std::string& path);

/// One file a secret, named like it, as containers mount them. Beside it, the file `NAME.services`
/// has the names of the registered services that may use the secret, one a line; without that file
/// no service may. Only regular files are read, of at most `secret_bytes_max`: a secret that every
/// user can read or write, and a list that another user can write, are refused. Read at every use,
/// so that a rotated secret is picked up. A final line break is not part of the secret.
/// Thread-safe.
class SecretsDirectory : public engine::Secrets {
 public:
  /// Is told the path of a file that is refused, and why; once, until the reason changes. Any
  /// thread; must not call back.
  using OnRefused = std::function<void(const std::string& path, const std::string& why)>;

  /// An empty path: there are no secrets.
  explicit SecretsDirectory(std::filesystem::path directory, OnRefused on_refused = {});
  std::optional<std::string> find(std::string_view name, std::string_view service) const override;

 private:
  std::optional<std::string> read(const std::string& name, unsigned forbidden_mode) const;
  void note(const std::string& path, const std::string& why) const;

  const std::filesystem::path directory_;
  const OnRefused on_refused_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::string> refused_;  ///< reasons by path
};

}  // namespace backstitch::system

#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <backstitch/engine/ports/secrets.hpp>

namespace backstitch::system {

/// One file a secret, named like it, as containers mount them. Read at every use, so that a rotated
/// secret is picked up. A final line break is not part of the secret. Thread-safe.
class SecretsDirectory : public engine::Secrets {
 public:
  /// An empty path: there are no secrets.
  explicit SecretsDirectory(std::filesystem::path directory);
  std::optional<std::string> find(std::string_view name) const override;

 private:
  std::filesystem::path directory_;
};

}  // namespace backstitch::system

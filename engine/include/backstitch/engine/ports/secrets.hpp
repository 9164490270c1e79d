#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace backstitch::engine {

/// Secrets by name, each for the registered services that it names. Looked up when they are used
/// and never stored. Thread-safe.
class Secrets {
 public:
  virtual ~Secrets() = default;
  /// @param service  registered name of the service that is called; empty: it is written in a
  /// definition, and no secret is for it
  /// @return nothing if there is no such secret or it is not for that service; which of the two is
  /// not told
  virtual std::optional<std::string> find(std::string_view name,
                                          std::string_view service) const = 0;
};

}  // namespace backstitch::engine

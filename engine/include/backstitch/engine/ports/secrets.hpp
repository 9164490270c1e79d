#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace backstitch::engine {

/// Secrets by name. Looked up when they are used and never stored. Thread-safe.
class Secrets {
 public:
  virtual ~Secrets() = default;
  virtual std::optional<std::string> find(std::string_view name) const = 0;
};

}  // namespace backstitch::engine

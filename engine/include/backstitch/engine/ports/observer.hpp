#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace backstitch::engine {

enum class Level { debug, info, warning, error };
using Field = std::pair<std::string_view, std::string>;

/// Told what happens. Thread-safe; never blocks; must not call back.
class Observer {
 public:
  virtual ~Observer() = default;
  /// `event` is a stable kebab-case name (`lease-lost`), the fields its facts.
  virtual void note(Level level, std::string_view event, std::initializer_list<Field> fields) = 0;
};

}  // namespace backstitch::engine

#pragma once
/// Which headers a definition may set. Private to dsl/check.
#include <string>
#include <string_view>

#include "walk.hpp"

namespace backstitch::dsl {

/// ASCII letters in lower case, as names of headers and methods compare (RFC 9110, 5.1).
std::string lower(std::string text);

class Headers {
 public:
  /// Of requests to that service; nullptr: not known.
  explicit Headers(const Service* service) : service_(service) {}

  /// @param is_engines the engine is told under which name to send what is its own
  void check_name(const Check& check, const std::string& pointer, const std::string& name,
                  bool is_engines = false) const;
  static void check_value(const Check& check, const std::string& pointer, const std::string& name,
                          std::string_view value);

 private:
  const Service* service_;
};

}  // namespace backstitch::dsl

#include "scene.hpp"

#include <cstdio>

namespace backstitch::simulation {

std::string Trace::stamp() const {
  char text[32];
  const auto now = millis();
  std::snprintf(text, sizeof text, "%6lld.%03lld", static_cast<long long>(now / 1'000),
                static_cast<long long>(now % 1'000));
  return text;
}

std::string Trace::padded(std::string_view who) {
  std::string text(who);
  if (text.size() < 12) text.append(12 - text.size(), ' ');
  return text;
}

}  // namespace backstitch::simulation

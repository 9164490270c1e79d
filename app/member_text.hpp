#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

#include "foreign_text.hpp"

namespace backstitch::app {

/// As it may be shown. Empty: the object has no such member, or it is not a text.
inline std::string text_of(const Json& json, const char* member) {
  const auto found = json.find(member);
  return found != json.end() && found->is_string() ? visible(found->get_ref<const std::string&>())
                                                   : std::string{};
}

}  // namespace backstitch::app

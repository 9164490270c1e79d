#include "limits.hpp"

#include <nlohmann/json.hpp>

namespace backstitch::engine {

std::size_t json_size(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().size() + 2;
  std::size_t size = 8;
  if (value.is_object()) {
    for (const auto& [name, inner] : value.items()) size += name.size() + json_size(inner);
  } else if (value.is_array()) {
    for (const auto& inner : value) size += json_size(inner);
  }
  return size;
}

}  // namespace backstitch::engine

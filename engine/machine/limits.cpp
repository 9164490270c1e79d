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

std::string cut_message(std::string text) {
  if (text.size() <= message_bytes_max) return text;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
  std::size_t end = message_bytes_max;
  while (end > 0 && continues(text[end])) --end;
  text.resize(end);
  return text;
}

}  // namespace backstitch::engine

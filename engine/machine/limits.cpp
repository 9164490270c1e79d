#include "limits.hpp"

#include <utility>

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

std::string cut_text(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
  while (most > 0 && continues(text[most])) --most;
  text.resize(most);
  return text;
}

std::string cut_message(std::string text) {
  return cut_text(std::move(text), message_bytes_max);
}

Json bounded_details(Json details, std::size_t most) {
  if (details.is_null() || json_size(details) <= most) return details;
  std::string text = details.dump();
  Json out{{"truncated", true}, {"bytes", text.size()}};
  if (most >= details_beginning_max)
    out["beginning"] = cut_text(std::move(text), details_beginning_max);
  return out;
}

}  // namespace backstitch::engine

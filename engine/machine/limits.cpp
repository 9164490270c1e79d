#include "limits.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/base/json_text.hpp>

namespace backstitch::engine {

Error flawed(const char* reason, std::string message, std::string pointer) {
  Error error{ErrorCode::invalid, reason, message};
  error.details.push_back({std::move(pointer), reason, std::move(message)});
  return error;
}

std::string at_most_bytes(const char* what, std::size_t most) {
  return std::string(what) + " has at most " + std::to_string(most) + " bytes.";
}

std::optional<Error> business_key_flaw(const std::string& key) {
  if (!key.empty() && key.size() <= start_key_bytes_max) return std::nullopt;
  return flawed("start-invalid",
                "A business key has 1 to " + std::to_string(start_key_bytes_max) + " bytes.",
                "/businessKey");
}

std::optional<Error> label_flaw(const std::map<std::string, std::string>& labels) {
  constexpr const char* reason = "start-invalid";
  if (labels.size() > labels_max) {
    return flawed(reason, "A saga has at most " + std::to_string(labels_max) + " labels.",
                  "/labels");
  }
  for (const auto& [name, value] : labels) {
    if (name.size() > label_name_bytes_max)
      return flawed(reason, at_most_bytes("The name of a label", label_name_bytes_max), "/labels");
    if (value.size() > label_bytes_max)
      return flawed(reason, at_most_bytes("A label", label_bytes_max),
                    "/labels/" + escaped_pointer(name));
  }
  return std::nullopt;
}

std::size_t json_size(const Json& value) {
  return json_text_size(value);
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

std::string cut_repeated_message(std::string text) {
  return cut_text(std::move(text), repeated_message_bytes_max);
}

Json bounded_details(Json details, std::size_t most) {
  if (details.is_null() || json_size(details) <= most) return details;
  std::string text = json_text(details);
  Json out{{"truncated", true}, {"bytes", text.size()}};
  if (most >= details_beginning_max)
    out["beginning"] = cut_text(std::move(text), details_beginning_max);
  return out;
}

}  // namespace backstitch::engine

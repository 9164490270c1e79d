#include "sent_secrets.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <nlohmann/json.hpp>

namespace backstitch::http {

std::string base64(std::string_view text) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += i + j > text.size() ? '=' : digits[group >> (18 - 6 * j) & 0x3FU];
    }
  }
  return out;
}

void SentSecrets::add(dsl::AuthType type, const std::string& secret) {
  add_value(secret);
  // With the scheme before it, a shorter one is no other word either.
  if (type == dsl::AuthType::bearer && secret.size() < replaced_bytes_min)
    add_value("Bearer " + secret);
  if (type == dsl::AuthType::basic) {
    add_value(base64(secret));
    add_value(secret.substr(secret.find(':') + 1));  // the password
  }
  std::sort(values_.begin(), values_.end(),
            [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

void SentSecrets::add_value(std::string value) {
  if (value.size() < replaced_bytes_min) {
    has_short_ = true;
    return;
  }
  may_be_number_ =
      may_be_number_ || value.find_first_not_of("0123456789.eE+-") == std::string::npos;
  values_.push_back(std::move(value));
}

void SentSecrets::replace_in(engine::Response& response) const {
  if (values_.empty()) return;
  for (auto& [name, value] : response.headers) replace_in(value);
  replace_in(response.body);
  replace_in(response.foreign_text);
}

void SentSecrets::replace_in(std::string& text) const {
  constexpr std::string_view mask = "***";
  for (const std::string& value : values_) {
    std::string out;
    std::size_t done = 0;
    for (auto at = text.find(value); at != std::string::npos; at = text.find(value, done)) {
      out.append(text, done, at - done).append(mask);
      done = at + value.size();
    }
    if (done > 0) text = out.append(text, done);
  }
}

void SentSecrets::replace_in(Json& value) const {
  if (value.is_string()) return replace_in(value.get_ref<std::string&>());
  if (value.is_number() && may_be_number_) {
    const std::string text = value.dump();
    std::string replaced = text;
    replace_in(replaced);
    if (replaced != text) value = std::move(replaced);
  } else if (value.is_array()) {
    for (Json& item : value) replace_in(item);
  } else if (value.is_object()) {
    Json::object_t replaced;
    for (auto& [name, member] : value.get_ref<Json::object_t&>()) {
      std::string shown = name;
      replace_in(shown);
      replace_in(member);
      replaced[std::move(shown)] = std::move(member);
    }
    value.get_ref<Json::object_t&>() = std::move(replaced);
  }
}

}  // namespace backstitch::http

#include "callback_seal.hpp"

#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>

#include <backstitch/base/digest.hpp>

namespace backstitch::engine {
namespace {

constexpr std::size_t mac_chars = 32;  ///< 128 bits
constexpr std::size_t handle_chars = 36 + 1 + 32;
constexpr std::size_t token_chars = handle_chars + 1 + mac_chars;

/// std::string::find may take the product of both lengths; this takes their sum.
std::size_t place_of(std::string_view text, std::string_view what, std::size_t from) {
  if (from >= text.size()) return std::string::npos;
  const void* found = ::memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return found == nullptr ? std::string::npos
                          : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  std::size_t at = 0;
  while ((at = place_of(text, what, at)) != std::string::npos) {
    text.replace(at, what.size(), with);
    at += with.size();
  }
}

}  // namespace

std::string CallbackSeal::token(std::string_view handle) const {
  return std::string(handle) + "-" + hex_of(hmac_sha256(key_, handle), mac_chars / 2);
}

std::optional<std::string> CallbackSeal::handle(std::string_view token) const {
  if (token.size() != token_chars) return std::nullopt;
  std::string handle(token.substr(0, handle_chars));
  if (!equal_in_constant_time(this->token(handle), token)) return std::nullopt;
  return handle;
}

void CallbackSeal::put_in(RenderedRequest& request, const std::string& handle) const {
  const std::string sealed = token(handle);
  for (std::string* text : {&request.target, &request.body, &request.callback})
    replace_all(*text, handle, sealed);
  for (auto& [name, value] : request.headers) replace_all(value, handle, sealed);
}

void CallbackSeal::take_out(Response& response, const SagaId& saga) const {
  const std::string id = saga.text();
  for (auto& [name, value] : response.headers) take_out(value, id);
  take_out(response.body, id);
}

void CallbackSeal::take_out(std::string& text, const std::string& saga) const {
  std::size_t at = 0;
  while ((at = place_of(text, saga, at)) != std::string::npos) {
    const auto named = handle(std::string_view(text).substr(at, token_chars));
    if (named) text.erase(at + handle_chars, token_chars - handle_chars);
    at += saga.size();
  }
}

void CallbackSeal::take_out(Json& value, const std::string& saga) const {
  if (value.is_string()) return take_out(value.get_ref<std::string&>(), saga);
  if (!value.is_structured()) return;
  for (Json& inner : value) take_out(inner, saga);
  if (!value.is_object()) return;
  Json renamed = Json::object();
  bool is_renamed = false;
  for (auto& [name, member] : value.items()) {
    std::string key = name;
    take_out(key, saga);
    is_renamed = is_renamed || key != name;
    if (is_renamed) break;
  }
  if (!is_renamed) return;
  for (auto& [name, member] : value.items()) {
    std::string key = name;
    take_out(key, saga);
    renamed[key] = std::move(member);
  }
  value = std::move(renamed);
}

}  // namespace backstitch::engine

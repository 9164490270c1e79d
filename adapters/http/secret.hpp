#pragma once
#include <string>
#include <string_view>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/ports/secrets.hpp>

namespace backstitch::http {

inline constexpr const char* secret_missing = "secret-missing";

/// @param service  see engine::Secrets::find
/// @return invalid/secret-missing: the same for a secret that does not exist and for one that
/// another service may use
inline Result<std::string> find_secret(const engine::Secrets* secrets, const std::string& name,
                                       std::string_view service) {
  if (secrets != nullptr) {
    if (auto secret = secrets->find(name, service)) return std::move(*secret);
  }
  return Error{ErrorCode::invalid, secret_missing,
               "There is no secret `" + name + "` for this service; see --secrets."};
}

}  // namespace backstitch::http

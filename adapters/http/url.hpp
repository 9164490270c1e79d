#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace backstitch::http {

/// The parts of a service's base URL that a connection needs. No user info, query or fragment.
struct Url {
  bool tls = false;
  std::string host;  ///< without the brackets of IPv6
  std::uint16_t port = 0;
  std::string authority;  ///< as sent in Host: the port only if it is not the scheme's
  std::string path;       ///< without a final slash; may be empty
};
/// @return nothing if the text is not an http or https URL of that form
std::optional<Url> parse_url(std::string_view text);

}  // namespace backstitch::http

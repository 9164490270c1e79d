#include "connection_text.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <string_view>

namespace backstitch::postgres {
namespace {

constexpr const char* how_to_encode =
    "; write @ in a user or password as %40, / as %2F, : as %3A, ? as %3F and # as %23";

/// The text after `postgresql://`, up to the parameters; empty for a connection string.
std::string_view place_of(std::string_view text) {
  const auto scheme = text.find("://");
  if (!text.starts_with("postgres") || scheme == std::string_view::npos) return {};
  return text.substr(scheme + 3, text.find('?', scheme) - scheme - 3);
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && rest == end && port != 0;
}

/// One for each host; empty: the default.
bool are_ports(std::string_view list) {
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    if (end > 0 && !is_port(list.substr(0, end))) return false;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return true;
}

/// Then libpq's own words are not repeated: they quote what it could not parse.
bool may_hold_password(std::string_view text) {
  if (text.find("password") != std::string_view::npos) return true;
  const auto scheme = text.find("://");
  const auto sign = text.rfind('@');
  return scheme != std::string_view::npos && sign != std::string_view::npos &&
         text.find(':', scheme + 1) < sign;
}

}  // namespace

std::optional<std::string> flaw_of_connection_text(const std::string& text) {
  const std::string_view place = place_of(text);
  const std::string_view authority = place.substr(0, place.find('/'));
  const auto signs = std::count(place.begin(), place.end(), '@');
  if (signs > 1 || (signs == 1 && authority.find('@') == std::string_view::npos))
    return std::string("it has an @ too many") + how_to_encode;
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&::PQconninfoFree)> options(
      ::PQconninfoParse(text.c_str(), &message), &::PQconninfoFree);
  const std::unique_ptr<char, decltype(&::PQfreemem)> owner(message, &::PQfreemem);
  if (!options && (message == nullptr || may_hold_password(text)))
    return std::string("it cannot be parsed") + how_to_encode;
  if (!options) return message;
  for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
    if (one->val == nullptr || std::string_view(one->keyword) != "port") continue;
    if (!are_ports(one->val))
      return std::string("its port is not a number from 1 to 65535") +
             (may_hold_password(text) ? how_to_encode : "");
  }
  return std::nullopt;
}

}  // namespace backstitch::postgres

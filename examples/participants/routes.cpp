#include "routes.hpp"

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace backstitch::examples {

namespace {

/// Takes the first segment, with its slash, off `path`; empty at the end.
std::string_view next_segment(std::string_view& path) {
  const std::string_view segment = path.substr(0, path.find('/', 1));
  path.remove_prefix(segment.size());
  return segment;
}

bool fits(std::string_view pattern, std::string_view path, PathParts& parts) {
  std::size_t open = 0;
  while (!pattern.empty() && !path.empty()) {
    const std::string_view wanted = next_segment(pattern);
    const std::string_view given = next_segment(path);
    if (wanted == "/*" && given.size() > 1) {
      parts.at(open++) = given.substr(1);
    } else if (wanted != given) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

Found Call::find(const std::string& name) const {
  const auto found = things.find(name);
  if (found == things.end()) return Found::never;
  const bool stands = guard.look_up(found->second).standing == KeyGuard::Standing::done;
  return stands ? Found::stands : Found::gone;
}

const ServiceInfo* find_service(std::span<const ServiceInfo> services, std::string_view name) {
  for (const ServiceInfo& service : services) {
    if (service.name == name) return &service;
  }
  return nullptr;
}

const Route* find_route(std::span<const Route> routes, std::string_view service,
                        const Request& request, PathParts& parts) {
  for (const Route& route : routes) {
    if (route.service == service && route.verb == request.verb &&
        fits(route.pattern, request.path(), parts)) {
      return &route;
    }
  }
  return nullptr;
}

std::string subject_of(const Route& route, const Request& request) {
  std::string subject = percent_decoded(request.path().substr(1));
  if (route.id != nullptr) subject += '/' + route.id(request.idempotency_key);
  return subject;
}

std::string number(std::string_view prefix, std::string_view key) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  std::array<char, 17> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return std::string(prefix) + '-' + digits.data();
}

Answer ok(const nlohmann::json& body) {
  return {200, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

nlohmann::json body_of(const Request& request) {
  auto body = nlohmann::json::parse(request.body, nullptr, false);
  return body.is_discarded() ? nlohmann::json() : body;
}

}  // namespace backstitch::examples

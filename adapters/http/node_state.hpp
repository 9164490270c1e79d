#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "resolver.hpp"
#include "service_trust.hpp"

namespace backstitch::http {

/// What the carriers of a node have in common. Threads: any.
struct NodeState {
  NodeState() = default;
  explicit NodeState(Resolver::Options options) : resolver(std::move(options)) {}

  /// @param place  where a service is, and how it is reached
  std::shared_ptr<ServiceTrust> trust_of(const std::string& place) {
    const std::lock_guard lock(mutex);
    auto& trust = trusts[place];
    if (!trust) trust = std::make_shared<ServiceTrust>();
    return trust;
  }

  /// @return whether this is the first time for that service
  bool is_first_short_secret(const std::string& service) {
    const std::lock_guard lock(mutex);
    return with_short_secrets.insert(service).second;
  }

  Resolver resolver;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<ServiceTrust>> trusts;
  std::set<std::string> with_short_secrets;  ///< services that operators were warned of
};

}  // namespace backstitch::http

#pragma once
#include <array>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "guard.hpp"
#include "http.hpp"
#include "ledger.hpp"
#include "ledger_check.hpp"

namespace backstitch::examples {

/// The parts of a path that a pattern left open, still percent-encoded.
using PathParts = std::array<std::string_view, 2>;

/// The things that a service made and may take back, by name (`holds/17`), each with the
/// idempotency key it was made under.
using Things = std::unordered_map<std::string, std::string>;

/// How a thing stands.
enum class Found { never, gone, stands };

/// What an action's business rule may look at.
struct Call {
  const Request& request;
  const PathParts& parts;
  const KeyGuard& guard;
  const Things& things;

  /// The open part of the path, decoded. @pre index < 2
  std::string part(std::size_t index) const { return percent_decoded(parts.at(index)); }
  Found find(const std::string& name) const;
};

enum class RouteKind {
  action,  ///< has an effect, guarded by the idempotency key
  undo,    ///< of the action whose key is in `Saga-Compensates`
  probe,   ///< what became of the key in the path
  query    ///< has no effect and leaves no record
};

/// A refusal as constants can hold it.
struct Refusal {
  unsigned status = 409;
  std::string_view body = R"({"error":"refused"})";
};

/// One endpoint. Later members belong to the kinds they name.
struct Route {
  std::string_view service;
  Verb verb = Verb::other;
  std::string_view pattern;  ///< `*` stands for one segment
  RouteKind kind = RouteKind::action;

  /// action and query: the business rule; any status but 2xx is a refusal.
  Answer (*work)(const Call&) = nullptr;
  Effect effect = Effect::done;  ///< action
  bool undoable = false;         ///< action
  /// action, where the service names what it makes: the id, derived from the idempotency key.
  std::string (*id)(std::string_view key) = nullptr;
  /// action decided later, at most one a service: what is answered at once. `work` is then asked at
  /// once, too, and its answer given when the decision falls, unless a fault makes that
  /// `late_refusal`.
  Answer (*accept)(const Call&) = nullptr;
  Refusal late_refusal;
  /// probe: whether "not seen" closes the key, and how it is said.
  bool sealed = false;
  std::string_view not_seen = R"({"error":"NOT_SEEN"})";
};

struct ServiceInfo {
  std::string_view name;
  Refusal refusal;  ///< what it says when a fault makes it refuse and names no answer
};

/// One example: its services, and what they do.
struct Business {
  std::string_view program;
  std::string_view saga;                  ///< for the usage text
  std::span<const ServiceInfo> services;  ///< in the order of their ports
  std::span<const Route> routes;
  int port_base = 0;
  CheckRules check;
};

/// Null if there is no such service.
const ServiceInfo* find_service(std::span<const ServiceInfo> services, std::string_view name);

/// Null if the service has no such endpoint. Fills `parts`.
const Route* find_route(std::span<const Route> routes, std::string_view service,
                        const Request& request, PathParts& parts);

/// What an action is about: its path without the first slash, decoded, and the id if the service
/// gives one.
std::string subject_of(const Route& route, const Request& request);

/// An id, such as `au-…`, derived from `key`, so that a restarted participant gives it again.
std::string number(std::string_view prefix, std::string_view key);

/// 200 with this body.
Answer ok(const nlohmann::json& body);

/// The body of a request; null if it is not JSON.
nlohmann::json body_of(const Request& request);

}  // namespace backstitch::examples

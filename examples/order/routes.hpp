#pragma once
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>

#include "guard.hpp"
#include "http.hpp"
#include "ledger.hpp"

namespace backstitch::examples {

/// In the order of their ports.
inline constexpr std::array<std::string_view, 5> service_names{"orders", "inventory", "payments",
                                                               "shipping", "mail"};

/// The authorisations that payments ever gave: id to idempotency key.
using Authorisations = std::unordered_map<std::string, std::string>;

/// The parts of a path that a pattern left open, still percent-encoded.
using PathParts = std::array<std::string_view, 2>;

/// What an action's business rule may look at.
struct Call {
  const Request& request;
  const PathParts& parts;
  const KeyGuard& guard;
  Authorisations& authorisations;
};

enum class RouteKind { action, undo, probe };

/// One endpoint of the order saga.
struct Route {
  std::string_view service;
  Verb verb;
  std::string_view pattern;  ///< `*` stands for one segment
  RouteKind kind;
  Effect effect = Effect::done;           ///< of an action
  bool undoable = false;                  ///< of an action
  Answer (*work)(const Call&) = nullptr;  ///< of an action; any status but 2xx is a refusal
};

/// Null if the service has no such endpoint. Fills `parts`.
const Route* find_route(std::string_view service, const Request& request, PathParts& parts);

/// What a service says when a fault makes it refuse and names no answer itself.
const Answer& refusal_of(std::string_view service);

/// The id that payments gives to the authorisation with this key.
std::string authorisation_id(std::string_view key);

}  // namespace backstitch::examples

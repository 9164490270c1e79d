#pragma once
#include <map>
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::contract_check {

enum class Area { main, on_failure, on_suspended };

/// How a saga is led to a step that it does not come to while everything succeeds.
struct Route {
  bool cancel = false;  ///< the saga is cancelled as soon as it has started
  /// Actions, by step, that are answered with a refusal instead of being sent.
  std::map<std::string, engine::CallResult> refusals;
  std::string obstacle;  ///< why there is no route; empty: there is one
};

/// A step that makes requests, and the way to it.
struct Place {
  const dsl::Step* step = nullptr;
  Area area = Area::main;
  Route route;

  const std::string& name() const { return step->name; }
  bool is_action() const { return std::holds_alternative<dsl::Action>(step->body); }
  /// Whether its undo is a request of the definition.
  bool has_undo() const { return std::holds_alternative<dsl::Compensation>(step->undo); }
};

/// Every step of the definition that makes requests, in the order in which they are written;
/// handlers last.
std::vector<Place> places_of(const engine::Program& program);

}  // namespace backstitch::contract_check

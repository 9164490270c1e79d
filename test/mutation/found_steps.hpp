#pragma once
/// The steps of a document with where they are, for faults to be seeded in.
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::test {

struct FoundStep {
  Json::json_pointer at;    ///< of the step
  Json::json_pointer list;  ///< of the list it is in
  std::size_t index = 0;    ///< in the list
  const Json* step = nullptr;
  bool is_last = false;  ///< in the list
  bool after_pivot = false;
  bool in_handler = false;
  std::string
      block;  ///< the innermost block that matters: parallel, forEach, try, switch; or empty
  /// Inside none of parallel, forEach and try, so that a pivot could be here.
  bool on_main_line = true;

  bool is_action() const { return step->contains("action"); }
  std::string name() const { return step->at("name"); }
};
/// In document order, outer before inner, handlers last.
std::vector<FoundStep> steps_of(const Json& definition);

/// What a play may reach, as Play::reached has it.
std::set<std::string> places_of(const Json& definition);

/// What an action step does about its effect: kind, else what follows from the rest.
std::string kind_of_step(const Json& step);
}  // namespace backstitch::test

#pragma once
/// A catalogue of faults that authors of definitions make, each seeded by one function.
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

#include "../support/reference_player.hpp"

namespace backstitch::test {

struct Mutant {
  Json definition;
  std::string what;  ///< where the fault was seeded
  /// It has a call that the original has not, so that their ends in one world cannot be compared.
  bool calls_more = false;
};

struct FaultKind {
  const char* name;
  const char* fault;  ///< a sentence for the table of docs/mutation.md
  /// Finding codes and promises of `verify`, any of which must report it.
  std::vector<std::string> reported_by;
  std::vector<Mutant> (*seed)(const Json& definition);
};

/// Every kind, in the order of the table.
const std::vector<FaultKind>& catalogue();

/// The definitions that sub-sagas of subjects and mutants run.
const PlayedChildren& known_children();

}  // namespace backstitch::test

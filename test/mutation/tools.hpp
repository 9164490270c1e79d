#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::test {

/// What `validate` says of a definition.
struct Checked {
  std::map<std::string, int> codes;  ///< how often each finding code was given
  bool has_errors = false;
};
Checked check(const Json& definition);

/// What `verify` says of a definition without errors.
struct Verified {
  bool complete = false;
  bool has_violations = false;
  /// By the word that a fault kind names: a promise with what breaks it, assumed violations
  /// included; `unreached` with steps, cases and catches; `assumed` with conditions.
  std::map<std::string, std::set<std::string>> said;
  std::vector<std::string> notes;
  std::set<std::string> endings;  ///< the statuses a saga can end with
  bool is_clean() const { return complete && !has_violations; }
};
Verified verify(const Json& definition, std::uint64_t states_max);

}  // namespace backstitch::test

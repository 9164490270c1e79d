#pragma once
/// Plays a definition in direct style: a recursive walk over the document with participants that
/// keep the contract, in virtual time. It is written from docs/language.md, shares no code with the
/// machine or the checker but the evaluation of expressions and payload schemas, and so plays
/// definitions that the checker refuses, too.
#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::test {

/// The definitions that sub-sagas run, by name.
using PlayedChildren = std::map<std::string, Json>;

/// How one saga went.
struct Play {
  std::string status;  ///< COMPLETED, FAILED, FAILED_INCOMPLETE or SUSPENDED
  std::string code;    ///< of the failure, or why it is suspended
  /// What is wrong with the end, as sentences about steps without iterations: an effect that is
  /// left over, was made twice, is missing; a pivot in a failed saga; an expression that failed; a
  /// suspension that needs a person.
  std::set<std::string> wrong;
  /// Steps that began, by name; `catch 1 of NAME` and `case 1 of NAME`, the last for `otherwise`.
  /// Notices, which are not played, where the saga was suspended.
  std::set<std::string> reached;
};

/// @param seed of the world: see ReferenceParticipants
Play play(const Json& definition, const Json& input, std::uint64_t seed,
          const PlayedChildren& children = {});

}  // namespace backstitch::test

#pragma once
/// The one definition of a wrong end. It knows definitions and the reference player only.
#include <set>
#include <string>
#include <vector>

#include "../support/reference_player.hpp"
#include "fault_kind.hpp"
#include "subjects.hpp"

namespace backstitch::test {

/// How the sagas of a subject go without a fault, in every world that mutants are played in.
class RightEnds {
 public:
  explicit RightEnds(const Subject& subject);

  /// Why a mutant ends wrong in some world; empty: it never does. An end is wrong when
  /// - the play finds something wrong with it (Play::wrong) that no play of the original has, or
  /// - it is neither COMPLETED nor cancelled where the original completes in the same world;
  /// and all ends together are when no play reaches what plays of the original reach.
  std::string wrong_end_of(const Mutant& mutant) const;
  /// With which the original ends.
  std::set<std::string> statuses() const;

 private:
  const Subject& subject_;
  std::vector<Play> plays_;      ///< by input, then by world
  std::set<std::string> wrong_;  ///< what is wrong with ends of the original
  std::set<std::string> reached_;
};

}  // namespace backstitch::test

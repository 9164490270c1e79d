#pragma once
/// Seeds every fault of the catalogue in subjects, lets the reference player say which mutants end
/// wrong, and counts what `validate` and `verify` say of those.
#include <map>
#include <string>
#include <vector>

#include "fault_kind.hpp"
#include "subjects.hpp"
#include "tools.hpp"

namespace backstitch::test {

/// The counts of one kind, or of all.
struct Tally {
  std::size_t made = 0;
  std::size_t counted = 0;       ///< the reference player shows a wrong end
  std::size_t reported = 0;      ///< by a code or promise that the kind names
  std::size_t not_complete = 0;  ///< not reported so, and not called complete and clean either
  std::size_t missed = 0;        ///< not reported, and called complete and clean
  std::map<std::string, std::size_t> by_code;

  void add(const Tally& other);
};

class Campaign {
 public:
  void run(const Subject& subject);

  /// Markdown: a row for each kind, and one for all.
  std::string table() const;
  Tally total() const;
  /// What is counted as missed or not complete, with the definition.
  const std::vector<std::string>& unreported() const { return unreported_; }
  /// The subjects that have errors, violations, or are not followed to the end, and why.
  const std::vector<std::string>& unclean() const { return unclean_; }
  std::size_t originals() const { return originals_; }
  std::size_t originals_complete() const { return originals_complete_; }
  std::size_t originals_with_errors() const { return originals_with_errors_; }
  /// Those of which a play ends as `verify` says that they cannot.
  std::size_t originals_with_other_ends() const { return originals_with_other_ends_; }

 private:
  struct Original;
  void examine(const Original& original);
  void judge(const FaultKind& kind, const Mutant& mutant, const Original& original);
  void note_unreported(const FaultKind& kind, const Mutant& mutant, const Original& original,
                       const std::string& why);

  std::map<std::string, Tally> tallies_;  ///< by kind
  std::vector<std::string> unreported_;
  std::vector<std::string> unclean_;
  std::size_t originals_ = 0;
  std::size_t originals_complete_ = 0;
  std::size_t originals_with_errors_ = 0;
  std::size_t originals_with_other_ends_ = 0;
};

}  // namespace backstitch::test

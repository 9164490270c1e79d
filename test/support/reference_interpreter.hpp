#pragma once
#include <memory>
#include <string>
#include <vector>

#include <backstitch/dsl/definition.hpp>

#include "observed.hpp"

namespace backstitch::test {

class Reference;

/// The meaning of a definition's blocks, written down a second time and from the other side: it
/// decides nothing, it only says whether what was seen of a saga was allowed at that moment, and at
/// the end whether everything that had to happen has happened. It shares no code with the machine.
///
/// What a participant answered is taken as given: whether attempts add up to `done`, `refused` or
/// `unknown` is not its business, nor are requests, keys and times.
class ReferenceInterpreter {
 public:
  ReferenceInterpreter(const dsl::Definition& definition, const Json& input);
  ~ReferenceInterpreter();

  /// Why this must not happen now; empty: it may.
  std::string observe(const Observed& seen);
  /// What should have happened and has not; empty: the saga came to its end.
  std::string finish();
  /// The language leaves open what had to follow something that was seen, or an expression failed.
  /// From then on everything is let pass.
  bool is_undecided() const;

 private:
  std::unique_ptr<Reference> reference_;
};

/// The first thing wrong with a whole saga, with what was seen up to it; empty: nothing.
std::string judge(const dsl::Definition& definition, const Json& input,
                  const std::vector<Observed>& all);

}  // namespace backstitch::test

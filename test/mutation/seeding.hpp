#pragma once
/// How faults are seeded. Private to the catalogue.
#include <functional>
#include <string>
#include <vector>

#include "fault_kind.hpp"
#include "found_steps.hpp"

namespace backstitch::test {

using Fits = std::function<bool(const FoundStep&)>;
using Change = std::function<void(Json& step)>;

/// A mutant for the first and one for the last step that fits.
std::vector<Mutant> change_each(const Json& definition, const Fits& fits, const Change& change);
/// One mutant only: for faults that take `verify`, and so time, to be seen.
std::vector<Mutant> change_first(const Json& definition, const Fits& fits, const Change& change);
/// Like change_each, with access to the whole document.
std::vector<Mutant> change_around(const Json& definition, const Fits& fits,
                                  const std::function<void(Json&, const FoundStep&)>& change);
/// One mutant with another step right after each step that fits.
std::vector<Mutant> insert_after(const Json& definition, const Fits& fits, const Json& step);
/// One mutant for each text with a match of the pattern, replaced once.
std::vector<Mutant> rewrite_texts(const Json& definition, const std::string& pattern,
                                  const std::string& by);

/// An action that can be undone, with an undo of its own.
bool is_undoable(const FoundStep& found);
/// Not in a handler, and with this member.
Fits having(const char* member);
bool is_pivot(const FoundStep& found);
bool is_retryable_after_pivot(const FoundStep& found);
/// Makes an action one that calls `kind` and has no undo.
void make_kind(Json& step, const std::string& kind);
/// It has a step that fails or can be undone, so that it may go back.
bool may_go_back(const Json& definition);
Json undo_for(const Json& step);
/// A condition whose value follows from the saga's id alone, which is never empty.
inline const char* always = "${len(saga.id) > 0}";
inline const char* never = "${len(saga.id) > 1000}";

// The kinds by what they are about; catalogue() joins them.
std::vector<FaultKind> kind_faults();
std::vector<FaultKind> time_faults();
std::vector<FaultKind> service_faults();
std::vector<FaultKind> data_faults();
std::vector<FaultKind> block_faults();

}  // namespace backstitch::test

// Faults about effects and how they are undone: kinds, compensations, the pivot.
#include "seeding.hpp"

namespace backstitch::test {
namespace {

Fits undoable_in(const char* block) {
  return [block](const FoundStep& found) { return is_undoable(found) && found.block == block; };
}

Fits pivot_in_switch() {
  return [](const FoundStep& found) { return is_pivot(found) && found.block == "switch"; };
}

/// The pivot where something that can fail, or another pivot, follows in the same list.
std::vector<Mutant> too_early(const Json& definition) {
  const auto is_before_failure = [&](const FoundStep& found) {
    if (!is_undoable(found) || !found.on_main_line) return false;
    const Json& list = definition[found.list];
    std::string rest;
    for (std::size_t i = found.index + 1; i < list.size(); ++i) rest += list[i].dump();
    return rest.find("\"compensation\"") != std::string::npos ||
           rest.find("\"fail\"") != std::string::npos ||
           rest.find("\"pivot\"") != std::string::npos;
  };
  return change_each(definition, is_before_failure, [](Json& step) { make_kind(step, "pivot"); });
}

void make_undoable(Json& step) {
  make_kind(step, "compensatable");
  step.erase("retry");
  step["compensation"] = undo_for(step);
}

Change made(const char* kind) {
  return [kind](Json& step) { make_kind(step, kind); };
}

void without_compensation(Json& step) {
  step.erase("compensation");
  step.erase("kind");
  step.erase("capture");
}

}  // namespace

std::vector<FaultKind> kind_faults() {
  return {
      {"compensation-missing",
       "A step with an effect has no compensation",
       {"E201", "E217"},
       [](const Json& d) { return change_each(d, is_undoable, without_compensation); }},
      {"compensation-waived",
       "A compensation is waived where one is needed",
       {"W231"},
       [](const Json& d) {
         return change_each(d, is_undoable, [](Json& step) {
           step["compensation"] = "none";
           step.erase("capture");
         });
       }},
      {"compensation-only-reads",
       "A compensation is a GET",
       {"E220"},
       [](const Json& d) {
         return change_each(d, is_undoable,
                            [](Json& step) { step["compensation"]["http"] = "GET /undo"; });
       }},
      {"effect-declared-readonly",
       "A step with an effect is declared readonly",
       {"W235"},
       [](const Json& d) { return change_each(d, is_undoable, made("readonly")); }},
      {"retryable-before-pivot",
       "A retryable step is before the pivot, or there is no pivot",
       {"E203", "E209"},
       [](const Json& d) { return change_each(d, is_undoable, made("retryable")); }},
      {"pivot-too-early",
       "The pivot is before steps that can fail",
       {"E202", "E205", "E213", "E214", "E215", "E216", "E204"},
       too_early},
      {"pivot-in-parallel",
       "A pivot is inside a branch",
       {"E204"},
       [](const Json& d) { return change_each(d, undoable_in("parallel"), made("pivot")); }},
      {"pivot-in-loop",
       "A pivot is inside a forEach",
       {"E204"},
       [](const Json& d) { return change_each(d, undoable_in("forEach"), made("pivot")); }},
      {"pivot-in-try",
       "A catch hides the failure of a pivot, or what follows it",
       {"E204", "E216"},
       [](const Json& d) { return change_each(d, undoable_in("try"), made("pivot")); }},
      {"pivot-twice",
       "Two pivots are on one path",
       {"E205"},
       [](const Json& d) {
         return change_each(
             d,
             [](const FoundStep& found) {
               return is_retryable_after_pivot(found) && found.on_main_line;
             },
             made("pivot"));
       }},
      {"pivot-conditional",
       "A pivot may be skipped",
       {"E206"},
       [](const Json& d) {
         return change_each(d, is_pivot, [](Json& step) { step["when"] = never; });
       }},
      {"pivot-in-some-arms",
       "A pivot is in some arms of a switch only",
       {"E215", "E203"},
       [](const Json& d) { return change_each(d, pivot_in_switch(), make_undoable); }},
      {"undoable-after-pivot",
       "A compensatable step is after the pivot",
       {"E202"},
       [](const Json& d) { return change_each(d, is_retryable_after_pivot, make_undoable); }},
      {"fail-after-pivot",
       "The saga fails on purpose after the pivot",
       {"E214"},
       [](const Json& d) {
         return insert_after(d, is_pivot,
                             {{"name", "tooLate"}, {"when", always}, {"fail", {{"code", "LATE"}}}});
       }},
      {"wait-fails-after-pivot",
       "A wait after the pivot fails when its time is up",
       {"E213"},
       [](const Json& d) {
         return insert_after(
             d, is_pivot,
             {{"name", "lateWait"}, {"wait", {{"signal", "late_signal"}, {"timeout", "20s"}}}});
       }},
      {"handler-can-fail",
       "A handler has a step that a participant may refuse",
       {"E219"},
       [](const Json& d) {
         Json changed = d;
         const auto steps = steps_of(d);
         std::vector<Mutant> mutants;
         for (const auto& found : steps) {
           if (!is_undoable(found) || !mutants.empty()) continue;
           Json step = *found.step;
           make_kind(step, "compensatable");
           step["name"] = "handled";
           step["action"] = {{"service", step["action"]["service"]}, {"http", "PUT /handled"}};
           for (const char* member : {"when", "output", "probe", "completion", "outcomes"})
             step.erase(member);
           step["compensation"] = undo_for(step);
           changed["onFailure"].push_back(step);
           mutants.push_back({changed, "/onFailure"});
         }
         return mutants;
       }},
      {"forward-only-can-fail",
       "A saga that only recovers forward has a step that can fail",
       {"E217"},
       [](const Json& d) {
         std::vector<Mutant> mutants;
         if (d.value("recovery", "backward") == "forward" || !may_go_back(d)) return mutants;
         Json changed = d;
         changed["recovery"] = "forward";
         mutants.push_back({std::move(changed), "/recovery"});
         return mutants;
       }},
  };
}

}  // namespace backstitch::test

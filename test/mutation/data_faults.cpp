// Faults about values: what is read where it is not, or is not what is expected.
#include <algorithm>

#include "seeding.hpp"

namespace backstitch::test {
namespace {

bool is_call(const FoundStep& found) {
  return found.is_action() && !found.in_handler && !found.step->contains("completion");
}

std::vector<Mutant> with_body(const Json& definition, const Json& body) {
  return change_each(definition, is_call, [&](Json& step) { step["action"]["body"] = body; });
}

std::vector<Mutant> undo_with(const Json& definition, const Json& body) {
  return change_each(definition, is_undoable, [&](Json& step) {
    step["compensation"].erase("when");
    step["compensation"]["body"] = body;
    if (step.contains("probe")) step["probe"].erase("sealed");
  });
}

bool follows_action(const Json& definition, const FoundStep& found) {
  if (found.index == 0) return false;
  const Json& previous = definition[found.list][found.index - 1];
  return previous.contains("action");
}

/// A text of the input that may be empty, or absent.
std::vector<Mutant> with_empty_segment(const Json& definition) {
  for (const auto& [name, schema] : definition["input"]["properties"].items()) {
    if (schema["type"] != "string" || schema.contains("minLength")) continue;
    const Json required = definition["input"].value("required", Json::array());
    const bool always_there = std::find(required.begin(), required.end(), name) != required.end();
    const std::string segment =
        always_there ? "/${input." + name + "}" : "/${input?." + name + " ?? ''}";
    return change_each(definition, is_call, [&](Json& step) {
      step["action"]["http"] = step["action"]["http"].get<std::string>() + segment;
    });
  }
  return {};
}

/// Changes a value step where the input has what the expression reads.
std::vector<Mutant> with_value(const Json& definition, const std::string& member,
                               const std::string& expression) {
  const Json& known = definition["input"]["properties"];
  if (!known.contains(member) || !known.contains("n")) return {};
  return change_each(definition, having("value"), [&](Json& step) {
    step["value"] = {{"n", expression}, {"cents", 0}, {"of", "v"}};
  });
}

/// A step that always fails, behind a condition on a sum.
std::vector<Mutant> fails_behind_computed(const Json& definition) {
  if (!definition["input"]["properties"].contains("n")) return {};
  auto mutants =
      insert_after(definition, [](const FoundStep& found) { return is_undoable(found); },
                   {{"name", "computed"},
                    {"when", "${input.n * 3 + len(input.items) > 5}"},
                    {"value", {{"n", "${div(7, len(input.items) - len(input.items))}"}}}});
  if (mutants.size() > 1) mutants.pop_back();
  return mutants;
}

/// Two neighbours change places where the second reads the first.
std::vector<Mutant> swapped(const Json& definition) {
  const auto reads_previous = [&](const FoundStep& found) {
    if (found.index == 0) return false;
    const Json& previous = definition[found.list][found.index - 1];
    return found.step->dump().find("steps." + previous["name"].get<std::string>() + ".") !=
           std::string::npos;
  };
  return change_around(definition, reads_previous, [](Json& changed, const FoundStep& found) {
    std::swap(changed[found.list][found.index], changed[found.list][found.index - 1]);
  });
}

/// The undo of each step reads the step that follows it.
std::vector<Mutant> undo_reads_later(const Json& definition) {
  const auto has_successor = [&](const FoundStep& found) {
    if (!is_undoable(found)) return false;
    const Json& list = definition[found.list];
    return found.index + 1 < list.size() && list[found.index + 1].contains("action");
  };
  return change_around(definition, has_successor, [](Json& changed, const FoundStep& found) {
    const std::string next = changed[found.list][found.index + 1]["name"];
    changed[found.at]["compensation"]["body"] = "${steps." + next + ".output.n}";
  });
}

/// The saga's output reads a step that is inside a loop.
std::vector<Mutant> output_reads_loop(const Json& definition) {
  return change_around(
      definition, [](const FoundStep& found) { return found.block == "forEach" && is_call(found); },
      [](Json& changed, const FoundStep& found) {
        changed["output"] = "${steps." + found.name() + ".output.n}";
      });
}

}  // namespace

std::vector<FaultKind> data_faults() {
  return {
      {"reads-what-may-be-absent",
       "The output of a step that may not have run is read as if it had",
       {"E405", "E406"},
       [](const Json& d) {
         return rewrite_texts(d, R"(steps\.(\w+)\?\.output\?\.(\w+)( \?\? [^)}]+)?)",
                              "steps.$1.output.$2");
       }},
      {"reads-optional-input",
       "An optional member of the input is read as if it were there",
       {"E409"},
       [](const Json& d) {
         return rewrite_texts(d, R"(input\?\.(\w+)(\?\.\w+)*( \?\? '[^']*')?)", "input.$1");
       }},
      {"steps-in-wrong-order",
       "A step is before the one whose output it reads",
       {"E405", "E406", "E414"},
       swapped},
      {"undo-reads-lost-output",
       "An undo needs an output that a lost answer contained",
       {"E411"},
       [](const Json& d) {
         return undo_with(d, {{"n", "${self.output.n}"}});
       }},
      {"undo-reads-lost-capture",
       "An undo needs a capture of a lost answer",
       {"E411"},
       [](const Json& d) {
         auto mutants = undo_with(d, {{"n", "${self.captured.n}"}});
         return mutants;
       }},
      {"undo-reads-later-step",
       "An undo reads a step that comes after its own",
       {"E414", "E405"},
       undo_reads_later},
      {"undo-reads-failure-details",
       "An undo needs details that not every failure has",
       {"E416"},
       [](const Json& d) {
         return undo_with(d, {{"why", "${failure.details.reason}"}});
       }},
      {"output-reads-loop",
       "The saga's output reads a step inside a loop",
       {"E405"},
       output_reads_loop},
      {"unknown-step",
       "A step that does not exist is read",
       {"E404"},
       [](const Json& d) { return with_body(d, "${steps.noSuchStep.output}"); }},
      {"unknown-member",
       "A member of a step that no step has is read",
       {"E407"},
       [](const Json& d) {
         return change_around(
             d, [&](const FoundStep& found) { return is_call(found) && follows_action(d, found); },
             [](Json& changed, const FoundStep& found) {
               const std::string previous = changed[found.list][found.index - 1]["name"];
               changed[found.at]["action"]["body"] = "${steps." + previous + "?.result.n}";
             });
       }},
      {"unknown-input",
       "A member that the input does not have is read",
       {"E408", "E409"},
       [](const Json& d) { return with_body(d, "${input.noSuchMember}"); }},
      {"text-in-arithmetic",
       "A number is added to a text",
       {"E412"},
       [](const Json& d) { return with_body(d, "${saga.id + 1}"); }},
      {"list-in-text",
       "A list is put into a text",
       {"E413"},
       [](const Json& d) { return with_body(d, "all of ${keys(input)}"); }},
      {"path-may-be-empty", "A segment of a path may be empty", {"W424"}, with_empty_segment},
      {"output-needs-body",
       "A step that cannot be taken back needs a body in its answer",
       {"W425"},
       [](const Json& d) {
         return change_each(
             d,
             [](const FoundStep& found) {
               return is_call(found) && !found.step->contains("output") &&
                      (is_pivot(found) || is_retryable_after_pivot(found));
             },
             [](Json& step) {
               step["output"] = {{"n", "${response.body.n}"}};
             });
       }},
      {"divides-by-input",
       "A number of the input that may be zero divides",
       {"expression"},
       [](const Json& d) { return with_value(d, "n", "${div(7, input.n)}"); }},
      {"overflows",
       "A product is larger than an integer for some input",
       {"expression"},
       [](const Json& d) { return with_value(d, "n", "${input.n * 9223372036854775807}"); }},
      {"fails-behind-computed",
       "An expression fails behind a condition on computed values",
       {"expression"},
       fails_behind_computed},
      {"first-of-empty-list",
       "The first item of a list that may be empty is read",
       {"expression"},
       [](const Json& d) { return with_value(d, "items", "${input.items[0].n}"); }},
      {"found-nothing",
       "What a search found is read as if it always found something",
       {"E407", "expression"},
       [](const Json& d) { return with_value(d, "items", "${input.items.find(i, i.n == 3).n}"); }},
  };
}

}  // namespace backstitch::test

// Faults about control flow: loops, tries, waits, sub-sagas, names.
#include <regex>

#include "seeding.hpp"

namespace backstitch::test {
namespace {

constexpr const char* contradiction = "${len(saga.id) > 4 && len(saga.id) < 2}";

/// Wraps a retryable step after the pivot in a try that fails after it.
void wrap_in_failing_try(Json& step) {
  const std::string name = step["name"];
  const Json inner = step;
  Json failing{{"name", name + "Fails"}, {"when", always}, {"fail", {{"code", "LATE"}}}};
  step = {{"name", name + "Try"},
          {"try",
           {{"steps", Json::array({inner, failing})},
            {"catch", Json::array({{{"steps", Json::array()}}})}}}};
}

std::vector<Mutant> renamed(const Json& definition, const std::string& one,
                            const std::string& other) {
  std::vector<std::string> names;
  for (const auto& found : steps_of(definition))
    if (is_undoable(found)) names.push_back(found.name());
  if (names.size() < 2) return {};
  std::string text = definition.dump();
  text = std::regex_replace(text, std::regex("\\b" + names[0] + "\\b"), one);
  text = std::regex_replace(text, std::regex("\\b" + names[1] + "\\b"), other);
  return {{Json::parse(text), names[0] + " and " + names[1]}};
}

Json child_step(const std::string& name, const std::string& saga) {
  return {{"name", name}, {"saga", {{"name", saga}, {"input", {{"n", 1}}}}}};
}

/// One more step before everything else.
std::vector<Mutant> begin_with(const Json& definition, const Json& step) {
  if (definition.value("recovery", "backward") == "forward") return {};
  Json changed = definition;
  changed["steps"].insert(changed["steps"].begin(), step);
  return {{std::move(changed), "/steps/0", true}};
}

bool over_input(const FoundStep& found) {
  return found.step->contains("forEach") &&
         found.step->at("forEach")["in"].get<std::string>().starts_with("${input.") &&
         found.step->at("forEach")["in"].get<std::string>().find('(') == std::string::npos;
}

/// Eight thousand items with a dozen steps each.
std::vector<Mutant> endless(const Json& definition) {
  return change_each(definition, having("forEach"), [](Json& step) {
    Json& loop = step["forEach"];
    const std::string ten = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]";
    const std::string item = "{id: 'i', n: c}";
    std::string eight = item;
    for (int i = 1; i < 8; ++i) eight += ", " + item;
    loop["in"] = "${" + ten + ".flatMap(a, " + ten + ".flatMap(b, " + ten + ".flatMap(c, [" +
                 eight + "])))}";
    loop["maxItems"] = 10'000;
    loop.erase("key");
    for (int i = 0; i < 12; ++i) {
      const std::string name = "noted" + std::to_string(i);
      loop["steps"].push_back({{"name", name}, {"value", {{"at", "${saga.id}"}}}});
    }
  });
}

Json looped(const Json& step) {
  return {{"name", "loopOfChild"},
          {"forEach", {{"in", "${[1, 2]}"}, {"as", "one"}, {"steps", Json::array({step})}}}};
}

}  // namespace

const PlayedChildren& known_children() {
  static const PlayedChildren children = [] {
    const auto definition = [](const std::string& name, const Json& steps) {
      return Json{{"dsl", 1},
                  {"name", name},
                  {"version", 1},
                  {"input",
                   {{"type", "object"},
                    {"required", Json::array({"n"})},
                    {"properties", {{"n", {{"type", "integer"}}}}}}},
                  {"services", {{"s", {{"baseUrl", "https://s.example"}}}}},
                  {"steps", steps}};
    };
    const auto call = [](const std::string& name) {
      return Json{{"name", name}, {"action", {{"service", "s"}, {"http", "PUT /" + name}}}};
    };
    Json undoable = call("childHold");
    undoable["compensation"] = {{"http", "DELETE /childHold"}};
    Json pivot = call("childPay");
    pivot["kind"] = "pivot";
    pivot["outcomes"] =
        Json::array({{{"status", 409}, {"is", "failure"}, {"code", "CHILD_PAY_REFUSED"}}});
    Json retryable = call("childShip");
    retryable["kind"] = "retryable";
    PlayedChildren made;
    made["child.undoable"] = definition("child.undoable", Json::array({undoable}));
    made["child.pivot"] = definition("child.pivot", Json::array({undoable, pivot}));
    made["child.retryable"] = definition("child.retryable", Json::array({retryable}));
    made["child.retryable"]["recovery"] = "forward";
    return made;
  }();
  return children;
}

std::vector<FaultKind> block_faults() {
  return {
      {"try-after-pivot",
       "A try after the pivot gives up a step that cannot be undone",
       {"E216", "E214"},
       [](const Json& d) { return change_each(d, is_retryable_after_pivot, wrap_in_failing_try); }},
      {"catch-never-matches",
       "A catch names a code that nothing raises",
       {"E104", "unreached"},
       [](const Json& d) {
         return change_each(d, having("try"), [](Json& step) {
           Json one{{"codes", Json::array({"NEVER_RAISED"})}, {"steps", Json::array()}};
           if (step["try"].contains("output")) one["output"] = {{"n", 1}};
           step["try"]["catch"] = Json::array({one});
         });
       }},
      {"steps-after-failure",
       "Steps follow one that always fails",
       {"E103"},
       [](const Json& d) {
         return insert_after(
             d, [](const FoundStep& found) { return is_undoable(found) && !found.is_last; },
             {{"name", "alwaysFails"}, {"fail", {{"code", "ALWAYS"}}}});
       }},
      {"loop-key-constant",
       "Every iteration of a loop has the same idempotency key",
       {"E222"},
       [](const Json& d) {
         return change_each(d, having("forEach"),
                            [](Json& step) { step["forEach"]["key"] = "${saga.id}"; });
       }},
      {"loop-without-bound",
       "A loop may have more items than a saga's log has room for",
       {"W109"},
       endless},
      {"loop-shorter-than-list",
       "A loop admits fewer items than its list may have",
       {"W110"},
       [](const Json& d) {
         return change_each(d, over_input, [](Json& step) { step["forEach"]["maxItems"] = 1; });
       }},
      {"step-never-runs",
       "The condition of a step contradicts itself",
       {"unreached", "assumed", "E406"},
       [](const Json& d) {
         return change_first(d, is_undoable, [](Json& step) { step["when"] = contradiction; });
       }},
      {"case-never-taken",
       "The condition of a case contradicts itself",
       {"unreached", "assumed"},
       [](const Json& d) {
         return change_first(d, having("switch"), [](Json& step) {
           step["switch"]["cases"][0]["when"] = contradiction;
         });
       }},
      {"arm-without-output",
       "A case gives no output, and what follows reads one",
       {"E405", "E406", "E407", "expression"},
       [](const Json& d) {
         return change_each(d, having("switch"),
                            [](Json& step) { step["switch"]["cases"][0].erase("output"); });
       }},
      {"names-differ-in-case",
       "Two steps share a key for participants that ignore case",
       {"E108"},
       [](const Json& d) { return renamed(d, "holdSeat", "holdseat"); }},
      {"name-twice",
       "Two steps have one name, and so one key",
       {"E102"},
       [](const Json& d) { return renamed(d, "holdSeat", "holdSeat"); }},
      {"signal-never-accepted",
       "A wait accepts no signal whatever it says",
       {"unreached", "assumed"},
       [](const Json& d) {
         return change_each(d, having("wait"), [](Json& step) {
           const bool has_other = step["wait"].dump().find("approved") != std::string::npos;
           step["wait"]["accept"] = has_other
                                        ? "${signal.payload.approved && !signal.payload.approved}"
                                        : "${signal.payload.n > 5 && signal.payload.n < 3}";
         });
       }},
      {"signal-schema-empty",
       "A wait's schema admits nothing",
       {"E501"},
       [](const Json& d) {
         return change_each(d, having("wait"), [](Json& step) {
           step["wait"]["schema"] = {
               {"type", "object"},
               {"required", Json::array({"n"})},
               {"properties", {{"n", {{"type", "integer"}, {"minimum", 9}, {"maximum", 1}}}}}};
         });
       }},
      {"child-not-undone",
       "The compensation of a sub-saga is waived",
       {"W231"},
       [](const Json& d) {
         auto mutants = change_each(
             d,
             [](const FoundStep& found) {
               return found.step->contains("saga") && !found.after_pivot;
             },
             [](Json& step) { step["compensation"] = "none"; });
         return mutants;
       }},
      {"child-pivot-in-loop",
       "A sub-saga with a pivot is inside a loop",
       {"E204"},
       [](const Json& d) {
         return begin_with(d, looped(child_step("childInLoop", "child.pivot")));
       }},
      {"child-pivot-too-early",
       "A sub-saga with a pivot is before steps that can fail",
       {"E202", "E205", "E213", "E214", "E215", "E216", "E204"},
       [](const Json& d) {
         return may_go_back(d) ? begin_with(d, child_step("childFirst", "child.pivot"))
                               : std::vector<Mutant>();
       }},
      {"child-retryable-before-pivot",
       "A sub-saga that cannot be undone is before the pivot",
       {"E203"},
       [](const Json& d) { return begin_with(d, child_step("childFirst", "child.retryable")); }},
      {"child-input-wrong",
       "A sub-saga gets an input that its schema refuses",
       {"E415"},
       [](const Json& d) {
         Json step = child_step("childFirst", "child.undoable");
         step["saga"]["input"] = {{"n", "one"}};
         return begin_with(d, step);
       }},
  };
}

}  // namespace backstitch::test

#include <backstitch/contract_check/contract_check.hpp>

#include <algorithm>

#include "scenarios.hpp"

// Which steps are examined in which ways, and in which order their findings are told.

namespace backstitch::contract_check {
namespace {

void add_actions(const dsl::Steps& steps, std::vector<const dsl::Step*>& to) {
  for (const dsl::Step& step : steps) {
    // A read promises nothing but an answer.
    if (std::holds_alternative<dsl::Action>(step.body) && step.kind != dsl::StepKind::readonly)
      to.push_back(&step);
    if (const auto* parallel = std::get_if<dsl::Parallel>(&step.body)) {
      for (const auto& branch : parallel->branches) add_actions(branch.steps, to);
    } else if (const auto* choice = std::get_if<dsl::Switch>(&step.body)) {
      for (const auto& one : choice->cases) add_actions(one.steps, to);
      if (choice->otherwise) add_actions(choice->otherwise->steps, to);
    } else if (const auto* loop = std::get_if<dsl::ForEach>(&step.body)) {
      add_actions(loop->steps, to);
    } else if (const auto* attempt = std::get_if<dsl::Try>(&step.body)) {
      add_actions(attempt->steps, to);
      for (const auto& one : attempt->catches) add_actions(one.steps, to);
    }
  }
}

/// Every action of the definition that has an effect, in the order it is written; handlers last.
std::vector<const dsl::Step*> actions_of(const dsl::Definition& definition) {
  std::vector<const dsl::Step*> all;
  add_actions(definition.steps, all);
  add_actions(definition.on_failure, all);
  add_actions(definition.on_suspended, all);
  return all;
}

constexpr Promise pair_promises[] = {
    Promise::repeat,       Promise::cut_off,         Promise::undo,       Promise::undo_again,
    Promise::action_after, Promise::undo_of_nothing, Promise::late_action};

bool has_undo(const dsl::Step& step) {
  return std::holds_alternative<dsl::Compensation>(step.undo);
}

class Check {
 public:
  Check(World& world, const Options& options)
      : world_(world),
        options_(options),
        findings_{report_, {}},
        scenarios_(world, options, findings_) {}

  Result<Report> run() {
    const auto& definition = *world_.program().definition;
    report_.definition = definition.name;
    report_.services = world_.services();
    for (const dsl::Step* step : actions_of(definition)) {
      if (options_.steps.empty() || is_wanted(step->name)) steps_.push_back(step);
    }
    for (const std::string& name : options_.steps) {
      const bool known = std::any_of(steps_.begin(), steps_.end(),
                                     [&](const dsl::Step* step) { return step->name == name; });
      if (!known) {
        return Error{ErrorCode::invalid, "step-unknown",
                     "The definition " + definition.name + " has no action with an effect called " +
                         name + "."};
      }
    }
    for (const dsl::Step* step : steps_) {
      if (!has_undo(*step)) continue;
      if (auto done = examine(*step); !done) return std::move(done).error();
    }
    if (auto done = examine_forward_only(); !done) return std::move(done).error();
    for (const dsl::Step* step : steps_) judge_pace(step->name);
    sort_findings();
    report_.calls = world_.examiner().sent();
    return std::move(report_);
  }

 private:
  bool is_wanted(const std::string& step) const {
    return std::find(options_.steps.begin(), options_.steps.end(), step) != options_.steps.end();
  }

  Result<Done> examine(const dsl::Step& step) {
    const auto& probe = std::get<dsl::Action>(step.body).probe;
    options_.progress(step.name + ": the action and its undo");
    if (auto done = scenarios_.done_and_undone(step.name); !done) return done;
    if (const std::string& why = scenarios_.why_unreached(); !why.empty()) {
      for (const Promise promise : pair_promises) findings_.not_checkable(step.name, promise, why);
      return Done{};
    }
    options_.progress(step.name + ": the connection is cut");
    if (auto done = scenarios_.cut_off(step.name); !done) return done;
    if (probe) {
      options_.progress(step.name + ": the probe");
      if (auto done = scenarios_.probed(step.name); !done) return done;
    }
    if (probe && probe->sealed) {
      const char* const why = "its probe is sealed: the engine never undoes what it has not seen";
      findings_.not_checkable(step.name, Promise::undo_of_nothing, why);
      findings_.not_checkable(step.name, Promise::late_action, why);
      options_.progress(step.name + ": the action after the probe");
      return scenarios_.sealed(step.name);
    }
    options_.progress(step.name + ": the undo before the action");
    return scenarios_.undone_first(step.name);
  }

  Result<Done> examine_forward_only() {
    std::set<std::string> names;
    for (const dsl::Step* step : steps_) {
      if (!has_undo(*step)) names.insert(step->name);
    }
    if (names.empty()) return Done{};
    if (options_.pairs_only) {
      std::erase_if(steps_, [](const dsl::Step* step) { return !has_undo(*step); });
      return Done{};
    }
    for (const Promise promise : {Promise::repeat, Promise::cut_off}) {
      options_.progress(promise == Promise::repeat ? "a whole saga, every action twice"
                                                   : "a whole saga, every connection cut");
      if (auto done = scenarios_.forward_only(names, promise); !done) return done;
    }
    return Done{};
  }

  void judge_pace(const std::string& step) {
    const auto found = findings_.paces.find(step);
    if (found == findings_.paces.end() || found->second.calls == 0)
      return findings_.not_checkable(step, Promise::in_time, "it was never called");
    const Pace& pace = found->second;
    const Duration slowest = std::max(pace.slowest, Duration{1});
    const std::string allowed = backstitch::to_text(pace.allowed);
    if (pace.late == 0)
      return findings_.holds(step, Promise::in_time,
                             "at most " + backstitch::to_text(slowest) + " of " + allowed);
    findings_.broken(
        step, Promise::in_time, "an answer within " + allowed,
        std::to_string(pace.late) + " of " + std::to_string(pace.calls) + " calls had none");
  }

  /// Step by step in the order of the definition, promises in the order of their list.
  void sort_findings() {
    const auto position = [&](const Finding& finding) {
      return std::find_if(steps_.begin(), steps_.end(),
                          [&](const dsl::Step* step) { return step->name == finding.step; });
    };
    std::stable_sort(report_.findings.begin(), report_.findings.end(),
                     [&](const Finding& a, const Finding& b) {
                       const auto one = position(a);
                       const auto other = position(b);
                       return one == other ? a.promise < b.promise : one < other;
                     });
  }

  World& world_;
  const Options& options_;
  Report report_;
  Findings findings_;
  Scenarios scenarios_;
  std::vector<const dsl::Step*> steps_;
};

}  // namespace

Result<Report> check(std::vector<std::string> definitions, const Options& options) {
  if (definitions.empty())
    return Error{ErrorCode::invalid, "definition-invalid", "There is no definition to check."};
  World world(options);
  if (auto opened = world.open(definitions); !opened) return std::move(opened).error();
  return Check(world, options).run();
}

}  // namespace backstitch::contract_check

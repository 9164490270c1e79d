/// Save-points: what failed behind one is undone up to it, then a catch may go another way.
#include <algorithm>

#include "reference_tree.hpp"

namespace backstitch::test {

void Reference::advance_try(Run& run, const dsl::Try& block) {
  Lane& body = *run.lanes[0];
  if (run.lanes.size() == 1 && body.progress == Progress::waiting) {
    advance_switch(run);
    if (run.stand != Stand::failed) return;
    // Stopped before it failed it is no failure of its own: what stopped it undoes it, too.
    run.stand = is_stopped(*run.lane) ? Stand::stopped : Stand::running;
    if (run.stand == Stand::running) tries_.push_back(&run);
  }
  if (run.stand == Stand::running && run.lanes.size() == 1) {
    // Back to the save-point first, whether or not there is a catch for it, and even if what
    // stands beside it has failed since.
    if (!undo(body, *run.fault)) return;
    if (is_stopped(*run.lane))
      run.stand = Stand::stopped;
    else
      begin_catch(run, block);
  }
  if (run.stand != Stand::running || run.lanes.size() == 1) return;
  Lane& caught = *run.lanes[1];
  advance(caught);
  if (caught.progress == Progress::done) settle(run, render(caught.output, caught));
  if (caught.progress == Progress::stopped) run.stand = Stand::stopped;
  if (caught.progress != Progress::failed) return;
  run.fault = caught.fault;
  run.stand = Stand::failed;
}

void Reference::begin_catch(Run& run, const dsl::Try& block) {
  const auto chosen = matching_catch(run, block, *run.fault);
  for (const auto& other : run.fault->also) {
    if (matching_catch(run, block, other) != chosen) undecided_ = true;
  }
  look_for_readers(*run.fault, run.step->pointer);
  if (!chosen) {
    run.stand = Stand::failed;
    return;
  }
  const dsl::Catch& one = block.catches[*chosen];
  run.lanes.push_back(make_lane(one.steps, run.path + "/", &run, run.lane->frame));
  run.lanes[1]->failure = failure_of(*run.fault);
  run.lanes[1]->output = pointer_to(one.output);
}

/// Whoever reads a failure that may be another one cannot be judged.
void Reference::look_for_readers(const Fault& fault, const std::string& pointer) {
  if (fault.also.empty()) return;
  const Json& part = definition_.document.at(Json::json_pointer(pointer));
  if (part.dump().find("failure.") != std::string::npos) undecided_ = true;
}

std::optional<std::size_t> Reference::matching_catch(const Run& run, const dsl::Try& block,
                                                     const Fault& fault) {
  const Json failure = failure_of(fault);
  const auto is_named = [](const std::vector<std::string>& names, const std::string& name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  for (std::size_t i = 0; i < block.catches.size(); ++i) {
    const dsl::Catch& one = block.catches[i];
    const bool matches = is_named(one.codes, fault.code) &&
                         is_named(one.classes, fault.failure_class) &&
                         (!one.when || certainly_holds(*one.when, *run.lane, failure));
    if (matches) return i;
  }
  return std::nullopt;
}

}  // namespace backstitch::test

#include <algorithm>

#include <backstitch/base/match.hpp>

#include "reference_tree.hpp"

namespace backstitch::test {
namespace {

/// Every run below, blocks included, in no order.
void collect(const Run& block, std::vector<Run*>& out) {
  for (const auto& lane : block.lanes) {
    for (const auto& run : lane->runs) {
      out.push_back(run.get());
      collect(*run, out);
    }
  }
}

}  // namespace

void Reference::forget_what_is_allowed() {
  for (const auto& [path, run] : runs_) {
    if (run->undo == UndoStand::allowed) run->undo = UndoStand::none;
  }
}

bool Reference::undo(Lane& lane, const Fault& why) {
  for (auto run = lane.runs.rbegin(); run != lane.runs.rend(); ++run) {
    if (!undo(**run, why)) return false;
  }
  return true;
}

bool Reference::undo(Run& run, const Fault& why) {
  return std::visit(
      Match{[&](const dsl::Parallel& block) {
              if (block.compensation_order == dsl::CompensationOrder::serial)
                return undo_in_turn(run, why);
              bool all = true;
              for (const auto& lane : run.lanes) all = undo(*lane, why) && all;
              return all;
            },
            [&](const dsl::ForEach& block) {
              const bool serial = block.compensation_order == dsl::CompensationOrder::serial;
              return undo_iterations(run, serial ? 1 : block.concurrency_max, why);
            },
            [&](const dsl::Switch&) { return run.lanes.empty() || undo(*run.lanes[0], why); },
            // Of a try the last there is: where a catch has run, the body is undone already.
            [&](const dsl::Try&) { return run.lanes.empty() || undo(*run.lanes.back(), why); },
            [&](const dsl::Action&) { return undo_leaf(run, why); },
            [](const dsl::SubSaga&) { return true; }, [](const dsl::Wait&) { return true; },
            [](const dsl::Sleep&) { return true; }, [](const dsl::Value&) { return true; },
            [](const dsl::Fail&) { return true; }},
      run.step->body);
}

bool Reference::undo_leaf(Run& run, const Fault& why) {
  if (!needs_undo(run, why)) return true;
  if (run.undo == UndoStand::none) run.undo = UndoStand::allowed;
  return false;
}

/// One step at a time, the one that was done last first, across branches and blocks in them.
bool Reference::undo_in_turn(Run& block, const Fault& why) {
  std::vector<Run*> all;
  collect(block, all);
  Run* last = nullptr;
  for (Run* run : all) {
    if (run->undo == UndoStand::running) return false;
    if (!needs_undo(*run, why)) continue;
    if (last == nullptr || run->settled_at > last->settled_at) last = run;
  }
  if (last == nullptr) return true;
  last->undo = UndoStand::allowed;
  return false;
}

/// The iterations that began last first, so many at once.
bool Reference::undo_iterations(Run& block, std::size_t at_once, const Fault& why) {
  std::size_t room = at_once;
  for (auto lane = block.lanes.rbegin(); lane != block.lanes.rend() && room > 0; ++lane) {
    if (!undo(**lane, why)) --room;
  }
  return room == at_once;
}

/// Whether an effect may be there that has not been undone; a condition of the undo that does not
/// hold settles it.
bool Reference::needs_undo(Run& run, const Fault& why) {
  const auto* undo = std::get_if<dsl::Compensation>(&run.step->undo);
  const bool perhaps_done = run.stand == Stand::done || run.stand == Stand::unknown;
  if (undo == nullptr || !perhaps_done || run.undo == UndoStand::done) return false;
  if (run.undo != UndoStand::none || !undo->when) return true;
  const bool known = run.stand == Stand::done;
  const Json self{{"key", ""},
                  {"outcome", known ? "succeeded" : "unknown"},
                  {"output", known ? run.view->at("output") : Json()},
                  {"captured", nullptr}};
  const Json failure = failure_of(why);
  const bool wanted = holds(*undo->when, *run.lane, &failure, &self);
  for (const auto& other : why.also) {
    const Json meant = failure_of(other);
    if (holds(*undo->when, *run.lane, &meant, &self) != wanted) undecided_ = true;
  }
  if (!wanted) run.undo = UndoStand::done;
  return wanted;
}

}  // namespace backstitch::test

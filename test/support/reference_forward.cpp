#include <algorithm>
#include <type_traits>

#include <backstitch/base/match.hpp>

#include "reference_tree.hpp"

namespace backstitch::test {
namespace {

bool is_settled(const Run& run) {
  return run.stand != Stand::ahead && run.stand != Stand::ready && run.stand != Stand::running;
}

std::size_t at_once(const Run& block) {
  if (const auto* parallel = std::get_if<dsl::Parallel>(&block.step->body))
    return parallel->concurrency_max.value_or(block.lanes.size());
  if (const auto* loop = std::get_if<dsl::ForEach>(&block.step->body)) return loop->concurrency_max;
  return 1;
}

bool pauses(const Run& run) {
  return std::holds_alternative<dsl::Wait>(run.step->body) ||
         std::holds_alternative<dsl::Sleep>(run.step->body);
}

/// Whether a list may have begun without a sign: nobody sees a sleep or a wait begin.
bool may_have_begun(const Lane& lane) {
  if (lane.begun) return true;
  for (const auto& run : lane.runs) {
    if (run->stand == Stand::done || run->stand == Stand::skipped) continue;
    if (run->stand == Stand::ready) return pauses(*run);
    return run->stand == Stand::running &&
           std::any_of(run->lanes.begin(), run->lanes.end(),
                       [](const auto& inner) { return may_have_begun(*inner); });
  }
  return false;
}

/// Steps without a sign were over at the moment of the failure beside them, and nothing else of the
/// lane was seen: which of the two came first the language does not say.
bool has_passed_unseen(const Lane& lane, const Fault& beside) {
  return !lane.begun && std::any_of(lane.runs.begin(), lane.runs.end(), [&](const auto& run) {
    return run->stand == Stand::done && run->settled_at + 1 >= beside.at;
  });
}

/// The earliest by when its own step failed; what the language calls first in time may also be the
/// first branch to fail, and the two differ where a block in a branch fails late.
void note_earlier(Fault& first, const Fault& other) {
  std::vector<Fault> candidates = other.also;
  candidates.push_back(other);
  for (auto& candidate : candidates) {
    if (candidate.at < first.at) first.also.push_back(std::move(candidate));
  }
}

}  // namespace

std::unique_ptr<Lane> Reference::make_lane(const dsl::Steps& steps, const std::string& prefix,
                                           Run* block, Frame* frame) {
  auto lane = std::make_unique<Lane>();
  lane->block = block;
  lane->frame = frame;
  for (const auto& step : steps) {
    auto run = std::make_unique<Run>();
    run->step = &step;
    run->path = prefix + step.name;
    run->lane = lane.get();
    runs_[run->path] = run.get();
    frame->steps[step.name] = run.get();
    lane->runs.push_back(std::move(run));
  }
  return lane;
}

bool Reference::is_stopped(const Lane& lane) {
  return lane.stopped || (lane.block != nullptr && is_stopped(*lane.block->lane));
}

bool Reference::may_begin(const Run& run) {
  for (const Lane* lane = run.lane; lane->block != nullptr; lane = lane->block->lane) {
    if (lane->begun) continue;
    const Run& block = *lane->block;
    const auto active = std::count_if(
        block.lanes.begin(), block.lanes.end(),
        [](const auto& other) { return other->begun && other->progress == Progress::waiting; });
    const bool several = std::holds_alternative<dsl::Parallel>(block.step->body) ||
                         std::holds_alternative<dsl::ForEach>(block.step->body);
    if (several && static_cast<std::size_t>(active) >= at_once(block)) return false;
    if (!std::holds_alternative<dsl::ForEach>(block.step->body)) continue;
    for (const auto& earlier : block.lanes) {
      if (earlier.get() == lane) break;
      if (earlier->progress == Progress::waiting && !may_have_begun(*earlier)) return false;
    }
  }
  return true;
}

/// The lanes around a run have begun, and with an item those before it.
void Reference::mark_begun(const Run& run) {
  for (Lane* lane = run.lane; lane != nullptr;
       lane = lane->block == nullptr ? nullptr : lane->block->lane) {
    lane->begun = true;
    if (lane->block == nullptr || !std::holds_alternative<dsl::ForEach>(lane->block->step->body))
      continue;
    for (const auto& earlier : lane->block->lanes) {
      if (earlier.get() == lane) break;
      earlier->begun = true;
    }
  }
}

void Reference::advance(Lane& lane) {
  for (const auto& run : lane.runs) {
    advance(*run);
    switch (run->stand) {
      case Stand::done:
      case Stand::skipped:
        continue;
      case Stand::failed:
      case Stand::unknown:
        lane.progress = Progress::failed;
        lane.fault = run->fault;
        return;
      case Stand::stopped:
        lane.progress = Progress::stopped;
        return;
      case Stand::ahead:
      case Stand::ready:
      case Stand::running:
        lane.progress = Progress::waiting;
        return;
    }
  }
  lane.progress = Progress::done;
}

void Reference::advance(Run& run) {
  if (is_settled(run)) return;
  const bool stopped = is_stopped(*run.lane);
  if (run.stand != Stand::running && stopped) {
    run.stand = Stand::stopped;
    return;
  }
  if (run.stand == Stand::ahead) enter(run);
  if (run.stand != Stand::running) return;
  std::visit(Match{[&](const dsl::Parallel& block) { advance_lanes(run, block.on_failure); },
                   [&](const dsl::ForEach& block) { advance_lanes(run, block.on_failure); },
                   [&](const dsl::Switch&) { advance_switch(run); },
                   [&](const dsl::Try& block) { advance_try(run, block); },
                   // Calls are awaited; the others end with what is seen of them.
                   [](const dsl::Action&) {}, [](const dsl::SubSaga&) {}, [](const dsl::Wait&) {},
                   [](const dsl::Sleep&) {}, [](const dsl::Value&) {}, [](const dsl::Fail&) {}},
             run.step->body);
}

/// From ahead to skipped, ready (a step that has to be seen) or running (a block).
void Reference::enter(Run& run) {
  if (run.step->when && !holds(*run.step->when, *run.lane)) {
    run.stand = Stand::skipped;
    return;
  }
  run.stand = Stand::running;
  std::visit(
      Match{[&](const dsl::Parallel& block) {
              for (const auto& branch : block.branches)
                run.lanes.push_back(make_lane(branch.steps, run.path + "/" + branch.name + "/",
                                              &run, run.lane->frame));
            },
            [&](const dsl::ForEach& block) { enter_for_each(run, block); },
            [&](const dsl::Switch& block) { enter_switch(run, block); },
            [&](const dsl::Try& block) {
              run.lanes.push_back(make_lane(block.steps, run.path + "/", &run, run.lane->frame));
              run.lanes[0]->output = pointer_to(block.output);
            },
            [&](const dsl::SubSaga&) { undecided_ = true; },
            [&](const dsl::Action&) { run.stand = Stand::ready; },
            [&](const dsl::Wait&) { run.stand = Stand::ready; },
            [&](const dsl::Sleep&) { run.stand = Stand::ready; },
            [&](const dsl::Value&) { run.stand = Stand::ready; },
            [&](const dsl::Fail&) { run.stand = Stand::ready; }},
      run.step->body);
}

void Reference::enter_for_each(Run& run, const dsl::ForEach& block) {
  const Json items = evaluate(block.in, *run.lane);
  if (!items.is_array() || items.size() > block.items_max) {
    undecided_ = true;
    return;
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto frame = std::make_unique<Frame>();
    frame->outer = run.lane->frame;
    frame->variables[block.as] = items[i];
    if (!block.index_as.empty()) frame->variables[block.index_as] = i;
    auto lane =
        make_lane(block.steps, run.path + "[" + std::to_string(i) + "]/", &run, frame.get());
    lane->own_frame = std::move(frame);
    lane->output = pointer_to(block.yield);
    run.lanes.push_back(std::move(lane));
  }
}

void Reference::enter_switch(Run& run, const dsl::Switch& block) {
  const dsl::Case* taken = block.otherwise.get();
  for (const auto& one : block.cases) {
    if (!holds(*one.when, *run.lane)) continue;
    taken = &one;
    break;
  }
  run.lanes.push_back(make_lane(taken->steps, run.path + "/", &run, run.lane->frame));
  run.lanes[0]->output = pointer_to(taken->output);
}

void Reference::advance_lanes(Run& run, dsl::OnBranchFailure on_failure) {
  while (true) {
    for (const auto& lane : run.lanes) {
      if (lane->progress != Progress::waiting) continue;
      advance(*lane);
      if (lane->progress != Progress::failed) continue;
      if (run.fault)
        note_earlier(*run.fault, *lane->fault);
      else
        run.fault = lane->fault;
    }
    const bool stops = run.fault && on_failure == dsl::OnBranchFailure::cancel && !together_ &&
                       !run.lanes[0]->stopped;
    if (!stops) break;
    // No new step starts in the others; what has not begun will not.
    for (const auto& lane : run.lanes) {
      undecided_ = undecided_ || has_passed_unseen(*lane, *run.fault);
      lane->stopped = true;
    }
  }
  const auto in = [&](Progress progress) {
    return std::any_of(run.lanes.begin(), run.lanes.end(),
                       [&](const auto& lane) { return lane->progress == progress; });
  };
  if (in(Progress::waiting)) return;
  if (run.fault) {
    run.stand = Stand::failed;
  } else if (in(Progress::stopped)) {
    run.stand = Stand::stopped;
  } else {
    Json yields = Json::array();
    for (const auto& lane : run.lanes) yields.push_back(render(lane->output, *lane));
    settle(run, yields);
  }
}

void Reference::advance_switch(Run& run) {
  Lane& lane = *run.lanes[0];
  advance(lane);
  if (lane.progress == Progress::done) settle(run, render(lane.output, lane));
  if (lane.progress == Progress::stopped) run.stand = Stand::stopped;
  if (lane.progress != Progress::failed) return;
  run.fault = lane.fault;
  run.stand = Stand::failed;
}

void Reference::settle(Run& run, const Json& output) {
  run.stand = Stand::done;
  run.settled_at = clock_;
  run.view = Json{{"output", output}, {"status", "succeeded"}};
}

}  // namespace backstitch::test

/// parallel: branches beside each other.
#include "../decider.hpp"

namespace backstitch::engine {

Progress Decider::begin_parallel(const Located& at) {
  emit(BlockStarted{at.path, 0, nullptr, {}});
  return run_open(at);
}

/// A branch that has begun is carried on; one that has not begins if there is room.
Progress Decider::run_branch(const ListPlace& list, std::size_t& open, std::size_t most) {
  if (list.steps->empty()) return Progress::done;
  const bool begun = state().steps.count(list.prefix + list.steps->front().name) > 0;
  if (!begun && stopping(list)) return Progress::failed;
  if (!begun && (open >= most || (open > 0 && !room_for_branch()))) return Progress::waiting;
  const Progress progress = run_steps(list);
  if (progress == Progress::waiting) ++open;
  return progress;
}

Progress Decider::run_parallel(const Located& at, const dsl::Parallel& block) {
  const std::size_t most = block.concurrency_max.value_or(UINT32_MAX);
  bool waiting = false;
  bool failed = false;
  std::size_t failures = 0;
  // A failure stops the branches that were looked at before it, too.
  do {
    failures = block_state(at.path).failures.size();
    waiting = failed = false;
    std::size_t open = 0;
    for (std::uint32_t i = 0; i < block.branches.size(); ++i) {
      const auto progress = run_branch(inside(at, block.branches[i].steps, i), open, most);
      waiting = waiting || progress == Progress::waiting;
      failed = failed || progress == Progress::failed;
    }
  } while (block_state(at.path).failures.size() != failures);
  if (waiting) return Progress::waiting;
  return failed ? fail_block(at) : finish_step(at, nullptr);
}

}  // namespace backstitch::engine

#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace backstitch::simulation {

/// Paths that have to be reached now and then: a run of many seeds that never came along one of
/// them has not tested it.
enum class Rare : std::uint8_t {
  append_answer_late,
  append_stuck,
  append_fenced,
  append_lacked,
  fenced_after_pause,
  conflict,
  batch_of_the_dead_written,
  batch_of_the_dead_lost,
  batch_of_the_dead_fenced,
  killed_with_calls,
  restarted_under_name,
  died_for_good,
  stopped_orderly,
  paused_past_lease,
  shards_taken_over,
  shards_handed_over,
  command_by_inbox,
  lease_not_renewed,
  transition_cut,
  struck,
  renewal_answer_lost,
  load_failed,
  database_unreachable,
  clock_forward,
  clock_backward,
  request_lost,
  answer_lost,
  request_twice,
  answer_after_timeout,
  answer_garbled,
  late_action_refused,
  undo_of_unseen,
  undo_repeated,
  business_refusal,
  sealed_probe_closed,
  stray_answer,
  refusal_not_believed,
  accepted_then_called_back,
  callback_repeated,
  settled_by_poll,
  unknown_step_undone,
  saga_completed,
  saga_failed,
  saga_failed_incomplete,
  pivot_passed,
  try_caught,
  iterations_undone,
  branches_undone,
  handlers_ran,
  cancelled,
  deadline_passed,
  signal_before_wait,
  signal_consumed,
  wait_timed_out,
  resumed,
  suspended,
  suspended_by_take_overs,
  operator_retry,
  operator_suspend,
  completion_given_up,
  callback_refused,
  undone_beside_a_stuck_chain,
  operator_skip,
  operator_resolve,
  child_completed,
  child_undone,
  start_repeated,
  start_reused_key,
  start_answer_lost,
  start_by_sql,
  start_key_held,
  signal_repeated,
  spoke_for_action,
  spoke_for_question,
  spoke_for_undo,
  start_forgotten,
  tail_forgotten,
  set_back_noticed,
  forgotten_start_repeated,
  key_with_other_request,
  effect_left_behind,
  count
};

/// How often each was reached.
class Coverage {
 public:
  static constexpr std::size_t size = static_cast<std::size_t>(Rare::count);
  void reached(Rare path, std::uint64_t times = 1) {
    counts_[static_cast<std::size_t>(path)] += times;
  }
  std::uint64_t of(Rare path) const { return counts_[static_cast<std::size_t>(path)]; }
  void add(const Coverage& other) {
    for (std::size_t i = 0; i < size; ++i) counts_[i] += other.counts_[i];
  }

 private:
  std::array<std::uint64_t, size> counts_{};
};

/// What the path is, in words: `an append was fenced after a pause`.
std::string_view name_of(Rare path);

}  // namespace backstitch::simulation

#pragma once
/// Where a saga and its participants stand together, and every such position seen so far.
///
/// Time is symbolic: in a position it is always `present`, and every timer that runs stands at
/// `sometime`. Letting one of them pass means to put it to `present` and to tick. So timers fire in
/// any order, whatever their lengths, and positions do not differ by times. Attempts count as none
/// or one; sequence numbers are kept only where the order of an undo depends on them.
///
/// The parts of a position (a step with its block and its participant's memory; what the saga is as
/// a whole) are numbered: the same part has the same number. A position is the list of these
/// numbers, kept exactly, so no position is taken for another. One saga state is kept at hand;
/// going from one position to another replaces only the parts that differ.
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/machine.hpp>

#include "arms.hpp"

namespace backstitch::engine::explore {

inline constexpr TimePoint present{Duration{1'767'225'600'000}};  // 2026-01-01
inline constexpr TimePoint sometime = present + std::chrono::days(100'000);
/// An answer that comes then ends every budget of time; timers that run are still later.
inline constexpr TimePoint beyond_budgets = present + std::chrono::days(50'000);

/// What has become of a step's effect at a participant that keeps its contract. `maybe`: nobody
/// knows yet; it is decided when somebody asks.
enum class Deed : std::uint8_t { unseen, maybe, done, refused, undone };

/// Why an effect may stay: the definition leaves its undo out here, or lets it go when it fails.
enum class Excuse : std::uint8_t { none, left_out, given_up };

struct Ledger {
  Deed deed = Deed::unseen;
  bool undo_begun = false;
  Excuse excuse = Excuse::none;
  std::uint16_t number = 0;  ///< in a serial block: the n-th step there to be done
  std::string key{};         ///< of its call, as the participant saw it
  std::string undo_key{};
  bool operator==(const Ledger&) const = default;
};

using Slot = std::uint32_t;
using Ids = std::vector<std::uint32_t>;  ///< by slot; 0: nothing there. [0] is the saga as a whole

class Positions {
 public:
  Positions(const Program& program, bool failure_matters, bool details_matter);

  SagaState& state() { return state_; }
  const SagaState& state() const { return state_; }
  Ledger& ledger(Slot slot) { return ledgers_[slot]; }
  bool in_serial_block(const StepPath& path) const;
  const Ledger& ledger(Slot slot) const { return ledgers_[slot]; }
  Slot slot_of(const StepPath& path);
  const StepPath& path_of(Slot slot) const { return paths_[slot]; }
  Slot slots() const { return static_cast<Slot>(paths_.size()); }
  std::uint32_t root = 0;      ///< which input
  bool odd_body_seen = false;  ///< an answer with an unusual body came on this way
  Decided decided;             ///< of conditions, on this way

  /// The state at hand becomes that of a new saga with this input. `decided` stays.
  void begin(std::uint32_t root, const SagaState& started);
  /// The state at hand becomes that of `ids`.
  void go_to(const Ids& ids);
  /// The part at `slot` was changed, or may have been.
  void touch(Slot slot);
  /// Brings what was touched into its symbolic form. @return the position at hand
  const Ids& settle();
  /// The notices of a suspension that is over do not matter any more, nor how often there was one.
  void forget_notices();
  /// Nothing at hand can be trusted: a decision was broken off.
  void lose();
  /// The step of the part `id` at `slot`; nullptr: none.
  const StepState* step_of(Slot slot, std::uint32_t id) const;

 private:
  struct Part {
    bool has_step = false, has_block = false, open = false;
    StepState step;
    BlockState block;
    Ledger ledger;
  };
  struct Whole {
    std::uint32_t root = 0;
    bool odd_body_seen = false;
    Decided decided;
    SagaStatus status = SagaStatus::running;
    Json output;
    std::optional<Failure> failure;
    std::vector<Suspension> suspensions;
    std::vector<QueuedSignal> signals;
    bool pivot_sent = false, pivot_passed = false, cancel_requested = false,
         deadline_passed = false, handlers_started = false;
    std::uint32_t suspended_times = 0;
    std::optional<TimePoint> deadline;
  };
  template <class T>
  struct Table {
    std::unordered_map<std::string, std::uint32_t> ids;
    std::deque<T> parts;  ///< id - 1
  };

  std::uint32_t settle_part(Slot slot);
  std::uint32_t settle_whole();
  void restore(Slot slot, std::uint32_t id);
  void restore_whole(std::uint32_t id);
  void touch_what_failure_settles();
  bool failures_are_settled() const;
  void normalise(StepState& step, const StepPath& path) const;
  void normalise(BlockState& block) const;
  void normalise(std::vector<Suspension>& suspensions) const;
  void normalise(Ledger& ledger, const StepPath& path) const;
  void normalise(std::optional<Failure>& failure) const;
  void normalise(Failure& failure) const;
  void forget_walks();

  bool failure_matters_;  ///< something reads `failure`
  bool details_matter_;   ///< something reads its message or details
  std::vector<std::string> serial_prefixes_;
  SagaState state_;
  std::vector<SagaState> roots_;
  std::uint32_t root_at_hand_ = UINT32_MAX;
  std::vector<StepPath> paths_;
  std::unordered_map<StepPath, Slot> slots_;
  std::vector<Ledger> ledgers_;
  std::vector<Table<Part>> tables_;
  Table<Whole> wholes_;
  Ids at_hand_;
  std::vector<Slot> touched_;
  std::string bytes_;
};

/// Every position seen, in the order in which it was: the shortest way to it first.
class Seen {
 public:
  /// @return its number, and whether it is new
  std::pair<std::uint32_t, bool> insert(const Ids& ids);
  Ids at(std::uint32_t number) const;
  std::uint32_t size() const { return static_cast<std::uint32_t>(ends_.size()); }

 private:
  std::string_view bytes_of(std::uint32_t number) const;
  void grow();

  std::vector<char> bytes_;
  std::vector<std::uint64_t> ends_;
  std::vector<std::uint32_t> table_;  ///< number + 1; 0: free
  std::string scratch_;
};

}  // namespace backstitch::engine::explore

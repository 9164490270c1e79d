#pragma once
/// The inside of the reference interpreter: the tree of a definition as it runs. A Run is a step, a
/// Lane a list of steps: the main line, a branch, an iteration, the case taken, a body, a catch.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/definition.hpp>

#include "observed.hpp"

namespace backstitch::test {

struct Lane;
struct Run;

struct Fault {
  std::string code;
  std::string failure_class;
  std::string step;
  std::uint64_t at = 0;
  /// Others that may be meant: the language does not say which of two comes first.
  std::vector<Fault> also;
};

enum class Stand { ahead, ready, running, done, skipped, failed, unknown, stopped };
const char* to_text(Stand stand);  ///< `running`, for sentences
enum class UndoStand { none, allowed, running, done };
enum class Progress { waiting, done, failed, stopped };

/// The names that are seen from a place: those of an iteration, then those around the loop.
struct Frame {
  const Frame* outer = nullptr;
  std::map<std::string, Run*, std::less<>> steps;
  std::map<std::string, Json, std::less<>> variables;
};

struct Run {
  const dsl::Step* step = nullptr;
  std::string path;
  Lane* lane = nullptr;
  Stand stand = Stand::ahead;
  std::optional<Fault> fault;
  std::uint64_t settled_at = 0;  ///< when it was done or unknown
  std::optional<Json> view;      ///< `steps.<name>`, once it succeeded
  UndoStand undo = UndoStand::none;
  std::vector<std::unique_ptr<Lane>> lanes;  ///< of a block; of a try the body, then the catch
};

struct Lane {
  Run* block = nullptr;  ///< none: the main line, handlers
  std::vector<std::unique_ptr<Run>> runs;
  Frame* frame = nullptr;
  std::unique_ptr<Frame> own_frame;       ///< of an iteration
  std::optional<Json> failure;            ///< of a catch and of handlers: `failure`
  const dsl::Template* output = nullptr;  ///< what the lane gives at its end
  bool begun = false;                     ///< something of it was seen
  bool stopped = false;                   ///< nothing of it may start any more
  Progress progress = Progress::waiting;
  std::optional<Fault> fault;
};

inline const dsl::Template* pointer_to(const std::optional<dsl::Template>& source) {
  return source ? &*source : nullptr;
}

class Reference {
 public:
  Reference(const dsl::Definition& definition, Json input);
  std::string observe(const Observed& seen);
  std::string finish();
  bool is_undecided() const { return undecided_; }

 private:
  friend class ReferenceScope;

  // reference_steps.cpp: what is seen of steps
  std::string step_seen(Run& run, const Observed& seen);
  std::string call_seen(Run& run);
  std::string retry_seen(const Run& run);
  std::string done_seen(Run& run, const Observed& seen);
  std::string refused_seen(Run& run, const Observed& seen);
  std::string unknown_seen(Run& run);
  std::string undo_seen(Run& run, const Observed& seen);
  std::string suspended_seen(const Run& run, const std::string& word);
  std::string resumed_seen(const Run& run);
  void note_failed(Run& run, Fault fault);
  bool order_matters() const;
  void note_given_up();
  static std::string not_ready(const Run& run);
  bool may_fail(const Run& run) const;

  // reference_interpreter.cpp: what is seen of the saga
  std::string one_seen(const Observed& seen);
  std::string stop_seen(const Observed& seen);
  std::string end_seen(const Observed& seen);
  std::string left_to_do() const;
  std::string left_to_undo() const;
  /// Everything that follows from what was seen, up to what has to be seen next.
  void follow();

  // reference_forward.cpp: what may start
  std::unique_ptr<Lane> make_lane(const dsl::Steps& steps, const std::string& prefix, Run* block,
                                  Frame* frame);
  void advance(Lane& lane);
  void advance(Run& run);
  void enter(Run& run);
  void enter_for_each(Run& run, const dsl::ForEach& block);
  void enter_switch(Run& run, const dsl::Switch& block);
  void advance_lanes(Run& run, dsl::OnBranchFailure on_failure);
  void advance_switch(Run& run);
  void settle(Run& run, const Json& output);
  static bool is_stopped(const Lane& lane);
  /// Whether the lanes around a run may begin, if they have not: there is room, and it is their
  /// turn.
  static bool may_begin(const Run& run);
  static void mark_begun(const Run& run);

  // reference_try.cpp
  void advance_try(Run& run, const dsl::Try& block);
  void begin_catch(Run& run, const dsl::Try& block);
  std::optional<std::size_t> matching_catch(const Run& run, const dsl::Try& block,
                                            const Fault& fault);
  void look_for_readers(const Fault& fault, const std::string& pointer);

  // reference_undo.cpp: what may be undone. True: nothing is left to undo.
  bool undo(Lane& lane, const Fault& why);
  bool undo(Run& run, const Fault& why);
  bool undo_leaf(Run& run, const Fault& why);
  bool undo_in_turn(Run& block, const Fault& why);
  bool undo_iterations(Run& block, std::size_t at_once, const Fault& why);
  bool needs_undo(Run& run, const Fault& why);
  void forget_what_is_allowed();

  // reference_scope.cpp: what expressions give
  Json render(const dsl::Template* source, const Lane& lane);
  Json evaluate(const dsl::Expression& source, const Lane& lane, const Json* failure = nullptr,
                const Json* self = nullptr);
  bool holds(const dsl::Expression& source, const Lane& lane, const Json* failure = nullptr,
             const Json* self = nullptr);
  /// The same of a catch: a condition that cannot be evaluated does not hold.
  bool certainly_holds(const dsl::Expression& source, const Lane& lane, const Json& failure);
  /// Whether the request of the action can be rendered, and its undo if the outcome were unknown.
  bool can_be_sent(const Run& run);
  static Json failure_of(const Fault& fault);

  const dsl::Definition& definition_;
  Json input_;
  Json saga_;
  Frame names_;
  std::map<std::string, Run*, std::less<>> runs_;
  std::unique_ptr<Lane> main_;
  std::unique_ptr<Lane> handlers_;
  std::vector<Run*> tries_;      ///< whose body has failed
  std::optional<Fault> fault_;   ///< the saga goes back
  std::optional<Fault> stop_;    ///< a cancel, or the deadline
  bool deadline_waits_ = false;  ///< for the pivot, which is in flight
  bool pivot_sent_ = false;
  bool pivot_passed_ = false;
  bool incomplete_ = false;
  std::set<std::string> suspended_at_;
  bool may_notify_ = false;  ///< a person was needed, not only asked for by another
  bool ended_ = false;
  bool undecided_ = false;
  /// What is seen has no order: no failure stops what stands beside it yet.
  bool together_ = false;
  std::vector<const Run*> failed_together_;
  bool undone_ = false;  ///< all that had to be undone is, handlers included
  std::uint64_t clock_ = 0;
};

}  // namespace backstitch::test

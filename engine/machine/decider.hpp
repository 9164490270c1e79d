#pragma once
/// One decision being made. Private to the machine. decide.cpp opens it; forward.cpp runs lists of
/// steps, blocks/ one kind of block each, attempts.cpp and settling.cpp what calls add up to,
/// recovery.cpp the way back, commands.cpp what operators may do.
///
/// Lists and blocks are walked anew at every stimulus: a walk passes over what has ended, looks at
/// what is open, begins what can begin, and says how far the list has come. So nothing has to be
/// remembered about where a saga stands but the state of its steps.
#include <string>

#include <backstitch/engine/machine/machine.hpp>

#include "backoff.hpp"
#include "blocks/listeners.hpp"
#include "keys.hpp"
#include "locate.hpp"
#include "outcome.hpp"
#include "render.hpp"
#include "scope.hpp"

namespace backstitch::engine {

/// How far a list of steps has come. `failed`: it will not go on, and nothing in it is on its way.
enum class Progress { done, waiting, failed };

/// An attempt that waits for its time.
struct WaitingAttempt {
  StepPath path;
  Phase phase = Phase::forward;
};

/// A step's failure, and a suspension: its child could not undo all of what it had done.
inline constexpr const char* child_incomplete = "CHILD_INCOMPLETE";
/// @pre the step is an action
inline const dsl::Action& action_of(const Located& at) {
  return std::get<dsl::Action>(at.step->body);
}
/// Whether something of the step stays that should have been undone.
bool is_left_over(const StepState& step);

/// The state of a step after this event, as far as its compensation reads it.
StepState state_after(const StepSucceeded& succeeded);

class Decider {
 public:
  Decider(const Program& program, Transition& out, const Stimulus& stimulus)
      : program_(program), out_(out), stimulus_(stimulus) {}

  // decide.cpp
  void start(const Start& start);
  void tick();
  void content_refused(const ContentRefused& refused);
  void quarantine(const Quarantine& quarantine);
  void taken_over(const TakenOver& taken_over);
  /// Carries the saga on as far as it goes without an answer from outside.
  void advance();

  // attempts.cpp
  void call_ended(const CallEnded& ended);
  // blocks/
  void signal(const Signal& signal);
  void callback(const Callback& callback);
  void child_changed(const ChildChanged& changed);
  void undone_by_parent(const UndoneByParent& undone);

  // commands.cpp
  /// Whether the command was carried out before, or its key belongs to another one; else what it
  /// does is noted under its key.
  bool is_repeated();
  void cancel(const Cancel& cancel);
  void retry(const Retry& retry);
  void suspend_waiting(const Suspend& suspend);
  void skip(const Skip& skip);
  void resolve_step(const Resolve& resolve);
  /// Why the command is not possible in this state. Nothing: the command is accepted.
  std::optional<Error> refusal(const Cancel& cancel) const;
  std::optional<Error> refusal(const Retry& retry) const;
  std::optional<Error> refusal(const Suspend& suspend) const;
  std::optional<Error> refusal(const Skip& skip) const;
  std::optional<Error> refusal(const Resolve& resolve) const;
  /// The saga goes back, or will as soon as the calls in flight have ended: a cancellation is
  /// accepted and changes nothing.
  bool goes_back() const { return state().cancel_requested || state().failure.has_value(); }
  /// The steps that Suspend without a step suspends.
  std::vector<WaitingAttempt> attempts_to_suspend(const Suspend& suspend) const;

  // attempts.cpp
  Result<RetryPolicy> policy_of(const Located& at, Phase phase, bool unknown) const;

 private:
  // decide.cpp: the only way to change anything
  void emit(EventBody body);
  /// Whether the transition has room for whatever the next event costs, which then has a budget of
  /// its own: what becomes of it does not depend on what was decided before. Asked where a walk can
  /// be taken up again. Without room the transition is cut, and nothing more begins in it.
  bool has_room();
  /// Of the details of a failure that the saga keeps.
  std::size_t details_room() const;
  /// Whether the beginning of what an answer says may be kept.
  bool may_quote_answers() const;
  /// The next event of that step ends an attempt of which this is worth a note.
  void note_attempt(const StepPath& path, AttemptNote note) {
    noted_.emplace(path, std::move(note));
  }
  void call(const StepPath& path, Phase phase);
  void suspend(std::string reason, std::string message, const StepPath& path, Phase phase);
  void suspend(Suspension suspension);
  Failure failure(std::string code, std::string failure_class, std::string message,
                  const StepPath& path) const;
  SagaState& state() { return out_.next; }
  const SagaState& state() const { return out_.next; }
  StepState& step_state(const StepPath& path) { return out_.next.steps[path]; }
  BlockState& block_state(const StepPath& path) { return out_.next.blocks[path]; }
  const dsl::Definition& definition() const { return *program_.definition; }
  TimePoint now() const { return stimulus_.now; }
  void tick_step(const Located& at);
  void end_quiet_periods();
  /// The open steps that a Tick may move, in the order of their paths.
  std::vector<Located> open_steps() const;
  void end(SagaStatus status, Json output = nullptr);
  void refuse(std::string reason, std::string message, ErrorCode code = ErrorCode::conflict);

  // forward.cpp
  /// `because`: why the saga goes back, whatever else there is to say.
  void run_main_line(const Failure* because = nullptr);
  /// What failed while the saga stood still stops what is beside it before anything begins.
  void see_what_failed();
  void run_suspension_handlers();
  Progress run_steps(const ListPlace& list);
  Progress run_step(const Located& at);
  Progress run_open(const Located& at);
  Progress begin(const Located& at);
  Progress begin_action(const Located& at, const dsl::Action& action);
  Progress begin_value(const Located& at, const dsl::Value& value);
  Progress begin_fail(const Located& at, const dsl::Fail& fail);
  Progress fail_expression(const Located& at, const Error& error);
  /// The step or block ends with this output, if it is not too large.
  Progress finish_step(const Located& at, Json output);
  /// The block ends, because what is inside failed, or was stopped.
  Progress fail_block(const Located& at);
  /// `seen`: what the output of a catch sees as `failure`.
  Progress render_output(const Located& at, const std::optional<dsl::Template>& output,
                         const Failure* seen = nullptr);
  std::optional<Error> over_limit(const Json& output) const;
  Result<std::optional<TimePoint>> timeout_of(const Located& at, const SagaScope& scope) const;
  void complete();
  /// Before the pivot a failure leads back; after it, in handlers and under forward recovery only
  /// on.
  bool may_fail(const Located& at) const;
  /// The same of a call that took effect, or may have: a pivot's cannot be taken back.
  bool may_fail_once_done(const Located& at) const;
  /// A cancellation or the saga's timeout that has to be followed before the pivot.
  bool stop_wanted() const;
  Failure stop_failure() const;
  /// Nothing new may begin here: the saga is to stop, or a neighbour in a block has failed.
  bool stopping(const Located& at) const;
  bool stopping(const ListPlace& list) const;
  bool stopped_by(const Frame& frame) const;
  Failure stopped_failure(const StepPath& path) const;
  bool room_for_branch() const;

  // blocks/parallel.cpp, for_each.cpp, switch.cpp, try.cpp
  Progress begin_parallel(const Located& at);
  Progress run_parallel(const Located& at, const dsl::Parallel& block);
  Progress run_branch(const ListPlace& list, std::size_t& open, std::size_t most);
  Progress begin_for_each(const Located& at, const dsl::ForEach& block);
  std::optional<Error> does_not_fit(const dsl::ForEach& block, const Json& items) const;
  Result<BlockStarted> evaluate_list(const Located& at, const dsl::ForEach& block) const;
  Progress run_for_each(const Located& at, const dsl::ForEach& block);
  void run_iteration(const Located& at, const dsl::ForEach& block, std::uint32_t index);
  void end_iteration(const Located& at, const dsl::ForEach& block, std::uint32_t index);
  Progress begin_switch(const Located& at, const dsl::Switch& block);
  Progress run_switch(const Located& at, const dsl::Switch& block);
  Progress begin_try(const Located& at, const dsl::Try& block);
  Progress run_try(const Located& at, const dsl::Try& block);
  Progress choose_catch(const Located& at, const dsl::Try& block);

  // blocks/wait.cpp
  Progress begin_sleep(const Located& at, const dsl::Sleep& sleep);
  Progress begin_wait(const Located& at, const dsl::Wait& wait);
  bool take_signal(const Located& at, const dsl::Wait& wait);
  void drop_refused(const Located& at, const dsl::Wait& wait);
  std::optional<Error> refused_by_all(const std::vector<Listener>& waits,
                                      const QueuedSignal& signal) const;
  bool has_room_for(const QueuedSignal& signal) const;
  std::optional<Error> refuses_signal(const Located* at, const dsl::Wait& wait,
                                      const QueuedSignal& signal) const;
  void wait_ended(const Located& at);

  // blocks/completion.cpp
  void wait_for_completion(const Located& at, const dsl::Completion& completion,
                           const Verdict& verdict);
  void await_poll(const StepPath& path, const std::optional<Duration>& asked_for);
  void ask(const Located& at);
  bool is_worth_a_note(const StepState& step, const Failure& answer) const;
  void poll_ended(const Located& at, const Verdict& verdict);
  void completion_timed_out(const Located& at);
  void settle_completion(const Located& at);

  // blocks/child.cpp
  Progress begin_child(const Located& at, const dsl::SubSaga& saga);
  void stop_child(const Located& at);
  void child_ended(const Located& at, const ChildChanged& changed);
  void child_undone(const Located& at, const ChildChanged& changed);
  bool undoes_child(const Located& at) const;

  // attempts.cpp
  bool is_queued(const StepPath& path, Phase phase) const;
  /// The pivot's first attempt has not left the node's queue.
  bool pivot_is_queued() const;
  /// The call in flight was never sent, and is not going to be unless `again` says when.
  void not_sent(const Located& at, Phase phase, Failure why, std::optional<TimePoint> again,
                bool needs_person = false);
  void could_not_be_sent(const Located& at, Phase phase, const NotSent& why);
  /// Of a step that is to stop: its call leaves the queue unsent, if it is still there.
  void withdraw(const Located& at, const Failure& why);
  void attempt_ended(const Located& at, Phase phase, const Verdict& verdict);
  void forward_ended(const Located& at, const Verdict& verdict);
  void not_settled(const Located& at, Phase phase, const Verdict& verdict);
  void give_up(const Located& at, Phase phase, const Verdict& last);
  void give_up_forward(const Located& at, const Verdict& last);
  void give_up_undo(const Located& at, const Verdict& last);
  void probe_undecided(const Located& at, const Failure& why);
  void probe_ended(const Located& at, const Verdict& verdict);
  void not_seen(const Located& at);
  void undo_ended(const Located& at, const Verdict& verdict);
  void send_again(const Located& at, Phase phase);
  void step_timed_out(const Located& at);
  dsl::Idempotency idempotency_of(const Located& at) const;
  Verdict judge(const Located& at, Question question, const CallResult& result,
                SagaScope& scope) const;

  // settling.cpp
  /// The idempotency key of the step's action: the stored one, or the one that it will get.
  std::string action_key(const Located& at) const;
  SagaScope scope_without_self(const Located& at, Phase phase) const;
  SagaScope scope_of(const Located& at, Phase phase) const;
  void succeed_with(const Located& at, const std::optional<dsl::Template>& output,
                    const SagaScope& scope, std::string note);
  /// Why the step's compensation could not be rendered if this were the step's state. `why`: what
  /// the saga goes back for, if that is known.
  std::optional<Error> trial_of_undo(const Located& at, const StepState& then,
                                     const std::optional<Failure>& why) const;
  /// @param scope  of the step; its `self` and `failure` become those of the compensation
  std::optional<Error> trial_of_undo(const Located& at, const StepState& then,
                                     const std::optional<Failure>& why, const std::string& key,
                                     SagaScope& scope) const;
  /// The same before the action is sent, for an unknown outcome.
  std::optional<Error> trial_before_sending(const Located& at, const std::string& key,
                                            SagaScope& scope) const;
  void probe_or_unknown(const Located& at, const Verdict& last);
  void nothing_read(const Located& at, const Verdict& last);
  void retries_exhausted(const Located& at, const Verdict& last);
  void stays_unknown(const Located& at, const Failure& why);
  /// Whether the step's compensation, as that of an unknown outcome, reads neither output nor
  /// captured data.
  bool undo_needs_only_the_key(const Located& at) const;
  std::optional<Error> trial_render(const Located& at, const dsl::Compensation& undo,
                                    const std::string& key, const SagaScope& scope) const;
  void known_not_done(const Located& at, Failure why);

  // commands.cpp
  const Suspension* suspension_at(const StepPath& path) const;
  /// The suspension that an operator means.
  Result<Suspension> suspension_named(const std::string& step) const;
  template <class Command>
  bool is_refused(const Command& command) {
    out_.refused = refusal(command);
    return out_.refused.has_value();
  }
  void retry_suspended(const Retry& retry);
  bool lacks_output(const Suspension& suspension) const;
  void retry_waiting(const Retry& retry);
  bool is_sealed_probe(const Suspension& suspension) const;
  void begin_again(const Suspension& suspension);
  void fail_incomplete(const Suspension& suspension);
  void act(OperatorActed acted);
  std::optional<Error> impossible(const Resolve& resolve, const Suspension& suspension) const;
  std::optional<Error> impossible_as_done(const Resolve& resolve, const Suspension& suspension,
                                          const Located& at) const;
  std::optional<Error> impossible_as_not_done(const Suspension& suspension,
                                              const Located& at) const;
  StepSucceeded as_resolved(const Resolve& resolve, const Located& at) const;
  void resolved_not_done(const Located& at);

  // recovery.cpp
  void go_back(const Failure& why);
  void recover();
  void go_on_undoing();
  Progress undo_steps(const ListPlace& list);
  Progress undo_step(const Located& at);
  Progress undo_block(const Located& at);
  Progress undo_parallel(const Located& at, const dsl::Parallel& block);
  Progress undo_serially(const Located& at);
  Progress undo_for_each(const Located& at, const dsl::ForEach& block);
  Progress undo_leaf(const Located& at);
  Progress begin_undo(const Located& at, const dsl::Compensation& undo);
  Progress begin_undo_of_child(const Located& at);
  void finish_recovery();

  const Program& program_;
  Transition& out_;
  const Stimulus& stimulus_;
  std::optional<std::pair<StepPath, AttemptNote>> noted_;
  CommandNote command_;          ///< for the next event
  bool resumed_ = false;         ///< the saga stood still until this decision
  bool begins_nothing_ = false;  ///< only what is open is looked at
  mutable dsl::Meter meter_{dsl::event_steps_max, 0};
  std::optional<TimePoint> sent_at_;  ///< of the call that has ended, if it waited in the queue
};

}  // namespace backstitch::engine

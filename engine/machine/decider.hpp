#pragma once
/// One decision being made. Private to the machine: decide.cpp opens it, forward.cpp and
/// attempts.cpp hold the way forward, recovery.cpp the way back, commands.cpp what operators may
/// do.
#include <string>

#include <backstitch/engine/machine/machine.hpp>

#include "backoff.hpp"
#include "outcome.hpp"
#include "render.hpp"
#include "scope.hpp"

namespace backstitch::engine {

/// How far a list of steps has come.
enum class Progress { done, waiting, failed };

/// A step with its place in the tree and what is known of the list it stands in.
struct Located {
  const dsl::Step* step = nullptr;
  StepPath path;
  bool handler = false;
};

class Decider {
 public:
  Decider(const Program& program, Transition& out, const Stimulus& stimulus)
      : program_(program), out_(out), stimulus_(stimulus) {}

  // decide.cpp
  void start(const Start& start);
  void tick();
  void taken_over(const TakenOver& taken_over);
  /// Carries the saga on as far as it goes without an answer from outside.
  void advance();

  // attempts.cpp
  void call_ended(const CallEnded& ended);

  // commands.cpp
  void cancel(const Cancel& cancel);
  void retry(const Retry& retry);
  void skip(const Skip& skip);
  void resolve_step(const Resolve& resolve);

 private:
  // decide.cpp: the only way to change anything
  void emit(EventBody body);
  void call(const StepPath& path, Phase phase);
  void suspend(std::string reason, std::string message, const StepPath& path, Phase phase);
  Failure failure(std::string code, std::string failure_class, std::string message,
                  const StepPath& path) const;
  SagaState& state() { return out_.next; }
  const SagaState& state() const { return out_.next; }
  StepState& step_state(const StepPath& path) { return out_.next.steps[path]; }
  const dsl::Definition& definition() const { return *program_.definition; }
  TimePoint now() const { return stimulus_.now; }
  std::optional<Located> locate(const StepPath& path) const;
  bool is_open() const;
  void end(SagaStatus status);
  void refuse(std::string reason, std::string message);

  // forward.cpp
  void run_main_line();
  Progress run_steps(const dsl::Steps& steps, const std::string& prefix, bool handlers);
  Progress run_step(const Located& at);
  Progress begin(const Located& at);
  Progress begin_action(const Located& at, const dsl::Action& action);
  Progress begin_value(const Located& at, const dsl::Value& value);
  Progress begin_fail(const Located& at, const dsl::Fail& fail);
  Progress fail_expression(const Located& at, const Error& error);
  void complete();
  bool may_go_back(const Located& at) const;
  /// A cancellation or the saga's timeout that has to be followed before the pivot.
  bool stop_wanted() const;
  Failure stop_failure() const;

  // attempts.cpp
  void attempt_ended(const Located& at, Phase phase, const Verdict& verdict);
  void forward_ended(const Located& at, const Verdict& verdict);
  void succeed_with(const Located& at, const dsl::Action& action,
                    const std::optional<dsl::Template>& output, const SagaScope& scope);
  static std::size_t output_size(const Json& value);
  std::optional<Error> trial_of_undo(const Located& at) const;
  void not_settled(const Located& at, Phase phase, const Verdict& verdict);
  void give_up(const Located& at, Phase phase, const Verdict& last);
  void probe_or_unknown(const Located& at, const Verdict& last);
  void probe_ended(const Located& at, const Verdict& verdict);
  void stays_unknown(const Located& at, const Failure& why);
  void known_not_done(const Located& at, Failure why);
  void send_again(const Located& at, Phase phase);
  void step_timed_out(const Located& at);
  void undo_ended(const Located& at, const Verdict& verdict);
  Result<RetryPolicy> policy_of(const Located& at, Phase phase, bool unknown) const;
  dsl::Idempotency idempotency_of(const Located& at) const;
  SagaScope scope_of(const Located& at, Phase phase) const;
  std::vector<const std::vector<dsl::OutcomeRule>*> rules_of(const Located& at, Phase phase) const;

  // commands.cpp
  void tick_for_stop();
  bool refuses_action(const std::string* step);

  // recovery.cpp
  void go_back(const Failure& why);
  void recover();
  Progress undo_steps(const dsl::Steps& steps, const std::string& prefix);
  Progress undo_step(const Located& at);
  Progress begin_undo(const Located& at, const dsl::Compensation& undo);
  void finish_recovery();

  const Program& program_;
  Transition& out_;
  const Stimulus& stimulus_;
};

}  // namespace backstitch::engine

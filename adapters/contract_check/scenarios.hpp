#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trial.hpp"

namespace backstitch::contract_check {

/// What is tried at one step. Each scenario runs a saga of its own up to the step, examines it
/// there, and has the engine take everything back where the step has an undo.
class Scenarios {
 public:
  Scenarios(World& world, const Options& options, Log& log);

  /// Runs the scenarios for the promises of the step that are in the inventory and not judged yet.
  /// @return an error if no saga could be started
  Result<Done> examine(const Place& place);

 private:
  struct Scenario {
    const char* words;
    std::vector<Promise> promises;
    Setup setup;
    /// @pre `forward` is the first call of the step's action
    void (Scenarios::*run)(Trial& trial, HeldCall forward);
  };
  static const std::vector<Scenario>& all();

  Result<Done> run(const Place& place, const Scenario& scenario);
  bool is_wanted(const Trial& trial, Promise promise) const;
  void settle(const Trial& trial, Promise promise, Judgement judgement);
  /// The step is examined: the saga goes back where that is possible, else to its end.
  void wind_up(Trial& trial, HeldCall forward, const Reply& reply);

  // The action.
  void done_and_undone(Trial& trial, HeldCall forward);
  void cut_off(Trial& trial, HeldCall forward);
  void at_once(Trial& trial, HeldCall forward);
  void overtaken(Trial& trial, HeldCall forward);
  /// Both copies are on their way: judges their answers and ends the trial.
  void finish_copies(Trial& trial, HeldCall forward, Flight& one, Flight& two, Promise promise);
  void key_case(Trial& trial, HeldCall forward);
  Judgement judge_cut_off(Trial& trial, const HeldCall& forward, Reply& again);
  Judgement key_case_by_undo(Trial& trial, HeldCall forward);
  Judgement key_case_by_probe(Trial& trial, HeldCall forward);
  Judgement key_case_by_answer(Trial& trial, HeldCall forward);

  // The undo.
  void judge_undo(Trial& trial, const HeldCall& forward, const Reply& first);
  void undone_first(Trial& trial, HeldCall forward);
  void undo_overtakes(Trial& trial, HeldCall forward);
  void undo_during(Trial& trial, HeldCall forward);
  Judgement judge_late_action(Trial& trial, const HeldCall& forward, const HeldCall& undo);
  Reply after_crossing(Trial& trial, const HeldCall& forward, const Reply& action);
  void give_crossing(Trial& trial, HeldCall undo, const Reply& undone);
  /// The undo of an action that the engine believes to be in flight.
  std::optional<HeldCall> undo_unseen(Trial& trial, HeldCall forward);
  /// The undo that the engine asks for, if need be after a probe that does not decide.
  std::optional<HeldCall> undo_of(Trial& trial);
  /// Answers an undo so that the saga can go on, whatever the participant said.
  void give_undo(Trial& trial, HeldCall undo, const Reply& reply);
  Result<Done> child_undone(const Place& place);

  // The probe, and the answers of an accepted action.
  void probed(Trial& trial, HeldCall forward);
  void sealed(Trial& trial, HeldCall forward);
  void sealed_during(Trial& trial, HeldCall forward);
  void polled(Trial& trial, HeldCall forward);
  void called_back(Trial& trial, HeldCall forward);
  /// The action was answered: if it was accepted, what follows is judged; then the trial ends.
  void judge_accepted(Trial& trial, HeldCall forward, const Reply& accepted, Promise promise,
                      Judgement (Scenarios::*judge)(Trial&));
  Judgement judge_polls(Trial& trial);
  Judgement judge_callback(Trial& trial);
  std::optional<HeldCall> probe_of(Trial& trial, HeldCall forward);
  void give_seal(Trial& trial, HeldCall probe, const Reply& seen, const Reply& action);
  void end_accepted(Trial& trial);

  World& world_;
  const Options& options_;
  Log& log_;
  std::map<std::string, engine::CallResult> done_;  ///< by step: an answer of success
};

/// Why there is no answer.
std::string silence(const Reply& reply);
/// Why nothing can be said about what follows a call like that; empty: something can.
std::string obstacle(const Reply& reply, const std::string& what);
/// Whether a repetition was answered as the first call was. What is accepted may be decided in
/// between.
bool same_answer(const Reply& first, const Reply& again);
/// Lets what was sent but for its last byte arrive at the participant.
void let_arrive(Flight& flight);
/// How long a call is left alone with another one whose last byte is held.
std::chrono::milliseconds grace(const HeldCall& held);
/// The same call under a key that differs in case only.
HeldCall in_other_case(const HeldCall& held);
/// The method, path and service, for people.
std::string request_of(const HeldCall& held);

}  // namespace backstitch::contract_check

#pragma once
#include <set>
#include <string>

#include "trial.hpp"

namespace backstitch::contract_check {

/// What is tried at one place of a saga. Each runs a saga of its own up to the step, examines it
/// there, has the engine take everything back, and notes what it found. @return an error if no saga
/// could be started
class Scenarios {
 public:
  Scenarios(World& world, const Options& options, Findings& findings)
      : world_(world), options_(options), findings_(findings) {}

  /// The action twice, its undo twice, the action once more. To be tried first: see
  /// why_unreached().
  Result<Done> done_and_undone(const std::string& step);
  /// The undo before its action.
  Result<Done> undone_first(const std::string& step);
  /// The connection cut behind the request of the action.
  Result<Done> cut_off(const std::string& step);
  /// A probe of what was done.
  Result<Done> probed(const std::string& step);
  /// A sealed probe before the action.
  Result<Done> sealed(const std::string& step);
  /// Steps without an undo, in one saga that is not taken back: each action twice, or cut off
  /// first.
  Result<Done> forward_only(const std::set<std::string>& steps, Promise promise);

  /// Why no saga came to the step; empty: one did. Then the other scenarios cannot, either.
  const std::string& why_unreached() const { return why_unreached_; }

 private:
  void judge_repetition(Trial& trial, const HeldCall& forward, const Reply& first);
  Reply judge_cut_off(Trial& trial, const HeldCall& forward);
  void judge_undo(Trial& trial, const HeldCall& forward, const Reply& first);
  void judge_late_action(Trial& trial, const HeldCall& forward, const HeldCall& undo);
  /// The undo that the engine asks for, if need be behind a probe that is told: not seen.
  std::optional<HeldCall> undo_of(Trial& trial);
  /// Answers an undo so that the saga can go on, whatever the participant said.
  void give_undo(Trial& trial, HeldCall undo, const Reply& reply);

  World& world_;
  const Options& options_;
  Findings& findings_;
  std::string why_unreached_;
};

}  // namespace backstitch::contract_check

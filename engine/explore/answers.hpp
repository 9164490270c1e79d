#pragma once
/// What the outside can say to a step: the fewest answers that stand for all others.
#include <map>
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>

#include "arms.hpp"
#include "reading.hpp"

namespace backstitch::engine::explore {

/// What an answer means by the rules of the definition and the table.
enum class Meaning { success, refused, transient, unknown, pending };
Meaning meaning_of(dsl::OutcomeClass outcome);

struct Answer {
  CallResult result;
  Meaning meaning = Meaning::success;  ///< before any unknown attempt, as far as data matters not
  bool last = false;                   ///< the budget of attempts and time ends with it
  bool odd = false;  ///< a success with an empty body or a page in place of what is read of it
  /// Unset: what it means depends on the saga's data, or on a condition that is decided on the way.
  bool sure = true;
  std::string said{};  ///< for stories: `refused, OUT_OF_STOCK`
};
struct SignalAnswer {
  Signal signal;
  bool admitted = true;  ///< by the wait's schema
  std::string said;
};
struct ChildAnswer {
  SagaStatus status = SagaStatus::completed;
  Json output;
  std::optional<Failure> failure;
  std::string said;
};

/// Of one step of the definition.
struct StepAnswers {
  std::vector<Answer> forward, probe, poll, undo, callback;
  std::vector<SignalAnswer> signals;
  std::vector<ChildAnswer> child;

  const std::vector<Answer>& of(Phase phase) const;
};

struct Answers {
  std::vector<Json> inputs;  ///< of the start
  bool inputs_admitted =
      true;          ///< false: none was found that the schema admits; one stands for all
  bool cut = false;  ///< the data has more shapes than were tried together
  std::map<const dsl::Step*, StepAnswers> steps;
  bool failure_read = false;
  bool details_read = false;
  std::vector<std::string> notes;  ///< what was left out
};

/// @param inputs  admitted ones, to be tried beside those that are made up
/// @param coverage  notes which arms of the rules' conditions the answers reach
/// @param free    conditions of which an arm is assumed: an answer that they judge may mean either
Answers answers_of(const Program& program, const std::vector<Json>& inputs = {},
                   const FreeConditions& free = {}, Coverage* coverage = nullptr);

}  // namespace backstitch::engine::explore

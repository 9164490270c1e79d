#pragma once
/// What the outside can say to a step: the fewest answers that stand for all others.
#include <map>
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>

#include "reading.hpp"

namespace backstitch::engine::explore {

/// What an answer means by the rules of the definition and the table.
enum class Meaning { success, refused, transient, unknown, pending };
Meaning meaning_of(dsl::OutcomeClass outcome);

struct Answer {
  CallResult result;
  Meaning meaning = Meaning::success;  ///< before any unknown attempt, as far as data matters not
  bool last = false;                   ///< the budget of attempts and time ends with it
  bool odd = false;    ///< a success with an empty body or a page in place of what is read of it
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
  std::vector<Json> inputs;  ///< of the start; empty: none was found that the schema admits
  std::map<const dsl::Step*, StepAnswers> steps;
  bool failure_read = false;
  bool details_read = false;
  std::vector<std::string> notes;  ///< what was left out
};

Answers answers_of(const Program& program);

}  // namespace backstitch::engine::explore

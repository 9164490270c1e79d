#pragma once
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/ports/observer.hpp>

namespace backstitch::engine {

/// A line of the log about something that needs a person.
struct Notice {
  Level level = Level::error;
  /// `saga-suspended`, `saga-failed-incomplete`, `compensation-failing`, `saga-held-up`
  const char* event = "";
  std::string definition{};
  StepPath step{};
  std::string phase{};
  std::string reason{};   ///< a code
  std::string message{};  ///< what is sensitive in it is masked

  void tell(Observer& observer, SagaId saga) const;
};

/// What a transition has to tell, once it is committed: each suspension, the end of a saga that
/// left something behind, a compensation that has failed for the third time, and a call that the
/// node has been unable to send for too long. An event is
/// decided once, so whoever tells of a transition after its commit tells once, also when the saga
/// is taken over or loaded again.
std::vector<Notice> notices_of(const dsl::Definition& definition, const Transition& transition);

}  // namespace backstitch::engine

#pragma once
#include <string_view>

namespace backstitch::engine {

enum class EndCause {
  broken,       ///< something in this process is stuck: another start may go well
  must_not_run  ///< another start would be as wrong: an operator has to look at it
};

/// Ends the process where the engine itself cannot go on: a library reports, the program acts.
/// Thread-safe.
class Supervisor {
 public:
  virtual ~Supervisor() = default;
  /// @param event  as the observer was told: `reactor-stalled`
  /// @param what   a sentence for the operator
  virtual void end_process(EndCause cause, std::string_view event, std::string_view what) = 0;
};

}  // namespace backstitch::engine

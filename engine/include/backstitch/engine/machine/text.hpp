#pragma once
#include <string>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine {

/// A transition as a sentence, for tests and timelines:
/// `StepSucceeded a, StepScheduled b | call b forward #1`.
std::string to_text(const Transition& transition);

}  // namespace backstitch::engine

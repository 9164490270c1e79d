#pragma once
#include <string>

#include <backstitch/rehearsal/report.hpp>

#include "terminal.hpp"

namespace backstitch::app {

/// A rehearsal as a person reads it: the timeline with times since the start, then how it ended and
/// what every participant was left with.
std::string rehearsal_text(const rehearsal::Report& report, const Terminal& terminal);

}  // namespace backstitch::app

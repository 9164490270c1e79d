#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

#include "terminal.hpp"

namespace backstitch::app {

/// A saga as a person reads it: head, one line a step with attempts and times, undo beneath.
std::string timeline(const Json& saga, const Terminal& terminal);
/// One line for a list.
std::string summary_line(const Json& saga, const Terminal& terminal);
/// One line for an event of the log.
std::string event_line(const Json& event, const Terminal& terminal);
Style style_of_status(const std::string& status);

}  // namespace backstitch::app

#pragma once
#include <string>

#include <backstitch/base/json.hpp>

#include "terminal.hpp"

namespace backstitch::app {

/// Of a saga as the API shows it: why it has not ended, whom to ask about it, who has acted on it,
/// and the commands that apply now, ready to be copied. Empty: there is nothing to tell.
std::string situation_text(const Json& saga, const Terminal& terminal);

}  // namespace backstitch::app

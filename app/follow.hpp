#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "global.hpp"
#include "interrupt.hpp"

namespace backstitch::app {

/// 0 for a saga that is COMPLETED, 1 for one that ended otherwise or is SUSPENDED, 4 for one that
/// goes on.
int exit_code_of_saga(const Json& saga);

/// Reads a saga until it has ended or is suspended, `duration` is over (unset: never), or Ctrl-C.
/// `on_read` is called with each reading; its error ends the following.
/// @return the saga as it was last read
Result<Json> follow_saga(const Global& global, client::Client& client, const std::string& id,
                         std::optional<Duration> duration, const InterruptWatch& interrupt,
                         const std::function<Result<Done>(const Json& saga)>& on_read);

/// Says how to go on with a saga that has not ended, to standard error.
void print_how_to_go_on(const Global& global, const Json& saga, const InterruptWatch& interrupt);

}  // namespace backstitch::app

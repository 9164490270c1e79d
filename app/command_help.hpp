#pragma once
#include <string>

#include <CLI/CLI.hpp>

namespace backstitch::app {

/// Ends the help of the program and of each command with an example and the exit codes. Call it
/// once every command has been added.
void add_help_footers(CLI::App& app);

/// An example of a command, by its name without the program's; empty if there is no such command.
std::string example_of(const std::string& command);

}  // namespace backstitch::app

#pragma once
#include <string>

#include <CLI/CLI.hpp>

namespace backstitch::app {

/// Ends the parsing: the command line is wrong in a way that the parser does not know of.
[[noreturn]] void throw_usage(const std::string& message);
/// The same for an option that the command does not have.
[[noreturn]] void throw_unknown_option(const CLI::App& command, const std::string& option);

/// Whatever is given ends in JSON, in a URL or on a terminal, so all of it has to be UTF-8.
void refuse_foreign_bytes(const CLI::App& app);
/// Whether an option may stand in a configuration file.
bool is_config_key(const std::string& name);
/// Says that the command has no option for the key of a configuration file, with the nearest one.
std::string unknown_key(const CLI::App& command, const std::string& key);

/// Prints the help that was asked for, or what is wrong with the command line, with the nearest
/// known command or option and two lines of help. @return the exit code
int report_usage(const CLI::App& app, const CLI::ParseError& error);

}  // namespace backstitch::app

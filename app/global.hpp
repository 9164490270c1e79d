#pragma once
#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include <backstitch/base/result.hpp>
#include <backstitch/client/client.hpp>

#include "terminal.hpp"

namespace backstitch::app {

/// Exit codes, the same for every command.
inline constexpr int exit_done = 0;
inline constexpr int exit_bad = 1;  ///< the thing asked about is bad
inline constexpr int exit_usage = 2;
inline constexpr int exit_unreachable = 3;  ///< server or database

/// What all commands share.
struct Global {
  /// Server and token come from the environment until the command line says otherwise. Not CLI11's
  /// own way: commands share these fields, and one that was not chosen would set them last.
  Global();

  std::string server;
  std::string token;
  bool json = false;
  Terminal terminal;
  /// Set by the command that was chosen; main runs it.
  std::function<int()> run;

  client::Client client() const { return client::Client({.server = server, .token = token}); }
};

/// Adds --server, --token and --json.
void add_client_options(CLI::App& command, Global& global);
void add_json_option(CLI::App& command, Global& global);
/// The value of an option cannot be used.
Error invalid_option(const std::string& message);
/// Says what went wrong, to standard error or as JSON. @return the exit code
int report(const Global& global, const Error& error);
void print_json(const Json& json);
/// The content of a file, or of standard input for `-`.
Result<std::string> read_text(const std::string& file);
/// The same as JSON.
Result<Json> read_json(const std::string& file);

}  // namespace backstitch::app

#pragma once
#include <functional>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include <backstitch/base/result.hpp>
#include <backstitch/client/client.hpp>

#include "exit_code.hpp"
#include "terminal.hpp"

namespace backstitch::app {

/// What all commands share.
struct Global {
  /// Server and token come from the environment until the command line says otherwise. Not CLI11's
  /// own way: commands share these fields, and one that was not chosen would set them last.
  Global();

  std::string usual_server;  ///< of a command without --server
  std::string server;
  std::string token;
  bool json = false;
  Terminal terminal;
  /// Set by the command that was chosen; main runs it.
  std::function<int()> run;

  client::Client client() const { return client::Client({.server = server, .token = token}); }
  /// The command line of another command to the same server, for people to copy.
  std::string command_line(const std::string& command) const;
};

/// Adds --server, --token and --json.
void add_client_options(CLI::App& command, Global& global);
void add_json_option(CLI::App& command, Global& global);
/// The value of an option cannot be used: nothing was done, and the exit code is exit_usage.
Error invalid_option(const std::string& message);
int exit_code_of(const Error& error);
/// {"error": {"code", "message", "details"}}
Json error_json(const Error& error);
/// Says what went wrong, to standard error or as JSON. @return the exit code
int report(const Global& global, const Error& error);
void print_json(const Json& json);
/// The content of a file, or of standard input for `-`.
Result<std::string> read_text(const std::string& file);
/// A JSON document as every command takes it: a file, `-`, or the document itself, which begins
/// with `{`, `[` or `"`.
Result<std::string> read_document(const std::string& given);
/// The same, parsed.
Result<Json> read_json(const std::string& given);
/// NAME=VALUE. @return an error that names the option
Result<std::pair<std::string, std::string>> split_named(const std::string& option,
                                                        const std::string& given);

}  // namespace backstitch::app

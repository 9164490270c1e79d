#include "global.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include <backstitch/dsl/json_gate.hpp>

#include "foreign_text.hpp"

namespace backstitch::app {
namespace {

std::string environment(const char* name, std::string otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

}  // namespace

Global::Global()
    : usual_server(environment("BACKSTITCH_SERVER", "http://127.0.0.1:7420")),
      server(usual_server),
      token(environment("BACKSTITCH_TOKEN", "")) {}

std::string Global::command_line(const std::string& command) const {
  return "backstitch " + command + (server == usual_server ? "" : " --server " + server);
}

void add_json_option(CLI::App& command, Global& global) {
  command.add_flag("--json", global.json, "Print JSON for machines");
}

void add_client_options(CLI::App& command, Global& global) {
  command.add_option("--server", global.server, "URL of the server (or BACKSTITCH_SERVER)")
      ->capture_default_str();
  command.add_option("--token", global.token, "Token sent as a bearer (or BACKSTITCH_TOKEN)");
  add_json_option(command, global);
}

Error invalid_option(const std::string& message) {
  return {ErrorCode::invalid, "option-invalid", message};
}

int exit_code_of(const Error& error) {
  // Reasons that only this program gives, before anything is done.
  static const std::set<std::string> misuse{"option-invalid",     "file-unreadable",
                                            "server-url-invalid", "database-url-invalid",
                                            "fault-invalid",      "step-unknown"};
  if (misuse.contains(error.reason)) return exit_usage;
  static const std::set<ErrorCode> unanswered{ErrorCode::unavailable, ErrorCode::overloaded,
                                              ErrorCode::outcome_unknown};
  return unanswered.contains(error.code) ? exit_unreachable : exit_bad;
}

Json error_json(const Error& error) {
  Json details = Json::array();
  for (const auto& detail : error.details) {
    details.push_back(
        {{"pointer", detail.pointer}, {"code", detail.code}, {"message", detail.message}});
  }
  return {{"error",
           {{"code", error.reason}, {"message", error.message}, {"details", std::move(details)}}}};
}

namespace {

std::string with_indented_lines(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!out.empty() && out.back() == '\n' && c != ' ' && c != '\n') out += "  ";
    out += c;
  }
  return out;
}

}  // namespace

int report(const Global& global, const Error& error) {
  const int code = exit_code_of(error);
  if (global.json) {
    print_json(error_json(error));
    return code;
  }
  // A message may end with a list, a line for each. No line of it can pass for another message.
  const std::string message = with_indented_lines(error.message);
  const auto line_end = std::min(message.find('\n'), message.size());
  print(stderr, "%s %s [%s]%s\n", global.terminal.paint(Style::bad, "error:").c_str(),
        message.substr(0, line_end).c_str(), error.reason.c_str(),
        message.substr(line_end).c_str());
  for (const auto& detail : error.details) {
    print(stderr, "  %s %s %s\n", detail.pointer.empty() ? "/" : visible(detail.pointer).c_str(),
          visible(detail.code).c_str(), visible(detail.message).c_str());
  }
  return code;
}

void print_json(const Json& json) {
  print(stdout, "%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

namespace {

Result<std::string> read_standard_input() {
  static bool was_read = false;
  if (std::exchange(was_read, true))
    return invalid_option("Standard input can be read only once; give the other one as a file.");
  if (::isatty(STDIN_FILENO) == 1)
    print(stderr, "Reading from the terminal; Ctrl-D on a line of its own ends it.\n");
  return std::string((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
}

bool is_inline_json(const std::string& given) {
  return !given.empty() && (given[0] == '{' || given[0] == '[' || given[0] == '"');
}

}  // namespace

Result<std::string> read_text(const std::string& file) {
  if (file == "-") return read_standard_input();
  std::ifstream stream(file, std::ios::binary);
  std::error_code ignored;
  // A directory can be opened, and the stream throws when it is read.
  if (!stream || std::filesystem::is_directory(file, ignored)) {
    return Error{ErrorCode::invalid, "file-unreadable",
                 "Cannot read " + file + ". Give the path of a file, or - for standard input."};
  }
  return std::string((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
}

Result<std::string> read_document(const std::string& given) {
  if (is_inline_json(given)) return given;
  auto text = read_text(given);
  if (text || text.error().reason != "file-unreadable") return text;
  Error error = std::move(text).error();
  error.message =
      "Cannot read " + given +
      ". Give the path of a file, - for standard input, or JSON that begins with {, [ or \".";
  return error;
}

Result<Json> read_json(const std::string& given) {
  const auto text = read_document(given);
  if (!text) return text.error();
  auto json = dsl::parse_json(*text, {.bytes_max = 16 * 1024 * 1024});
  if (json) return json;
  const std::string named = is_inline_json(given) ? "`" + shortened(given, 100) + "`" : given;
  return invalid_option(named + " is not JSON: " + json.error().message);
}

Result<std::pair<std::string, std::string>> split_named(const std::string& option,
                                                        const std::string& given) {
  const auto equals = given.find('=');
  if (equals == 0 || equals == std::string::npos)
    return invalid_option(option + " takes NAME=VALUE; `" + given + "` has no " +
                          (equals == 0 ? "name." : "`=`."));
  return std::pair{given.substr(0, equals), given.substr(equals + 1)};
}

}  // namespace backstitch::app

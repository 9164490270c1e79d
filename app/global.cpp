#include "global.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include <backstitch/dsl/json_gate.hpp>

namespace backstitch::app {
namespace {

std::string environment(const char* name, std::string otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

}  // namespace

Global::Global()
    : server(environment("BACKSTITCH_SERVER", "http://127.0.0.1:7420")),
      token(environment("BACKSTITCH_TOKEN", "")) {}

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

int report(const Global& global, const Error& error) {
  const int code = error.code == ErrorCode::unavailable || error.code == ErrorCode::overloaded
                       ? exit_unreachable
                       : exit_bad;
  if (global.json) {
    Json json{{"code", error.reason}, {"message", error.message}};
    for (const auto& detail : error.details) {
      json["details"].push_back(
          {{"pointer", detail.pointer}, {"code", detail.code}, {"message", detail.message}});
    }
    print_json({{"error", std::move(json)}});
    return code;
  }
  std::fprintf(stderr, "%s %s [%s]\n", global.terminal.paint(Style::bad, "error:").c_str(),
               error.message.c_str(), error.reason.c_str());
  for (const auto& detail : error.details) {
    std::fprintf(stderr, "  %s %s %s\n", detail.pointer.empty() ? "/" : detail.pointer.c_str(),
                 detail.code.c_str(), detail.message.c_str());
  }
  return code;
}

void print_json(const Json& json) {
  std::printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

Result<std::string> read_text(const std::string& file) {
  if (file == "-") {
    return std::string((std::istreambuf_iterator<char>(std::cin)),
                       std::istreambuf_iterator<char>());
  }
  std::ifstream stream(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream) {
    return Error{ErrorCode::invalid, "file-unreadable",
                 "Cannot read " + file + ". Give the path of a file, or - for standard input."};
  }
  return text;
}

Result<Json> read_json(const std::string& file) {
  auto text = read_text(file);
  if (!text) return std::move(text).error();
  auto json = dsl::parse_json(*text, {.bytes_max = 16 * 1024 * 1024});
  if (!json) {
    Error error = std::move(json).error();
    error.message = file + ": " + error.message;
    return error;
  }
  return json;
}

}  // namespace backstitch::app

#pragma once
#include <CLI/CLI.hpp>

#include "global.hpp"
#include "wiring.hpp"

namespace backstitch::app {

struct ServeOptions {
  ServerConfig server;
  std::string listen = "127.0.0.1:7420";
  std::string lease;
  std::string log_level = "info";
  std::string log_format = "auto";
};

/// The options of `serve` but for the database.
void add_serve_options(CLI::App& command, ServeOptions& options);
/// Runs a server until it is told to stop. @pre block_signals was called
int serve(const Global& global, ServeOptions options);
/// `HOST:PORT` into config.host and config.port.
Result<Done> set_listen(ServerConfig& config, const std::string& listen);

}  // namespace backstitch::app

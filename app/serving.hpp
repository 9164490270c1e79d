#pragma once
#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "global.hpp"
#include "wiring.hpp"

namespace backstitch::app {

/// What a server needs as long as it runs: the database of `dev`.
class Companion {
 public:
  virtual ~Companion() = default;
  /// @return an error once the server cannot go on
  virtual Result<Done> check() = 0;
};

struct ServeOptions {
  ServerConfig server;
  std::string listen = "127.0.0.1:7420";
  /// For a database that cannot be reached when the server starts.
  Duration database_wait = std::chrono::seconds(30);
  /// What to do if the address cannot be listened on.
  std::string address_hint = "Choose another address with --listen HOST:PORT.";
  /// Called first, if there is one: makes what the server needs, and completes the options.
  std::function<Result<std::unique_ptr<Companion>>(ServeOptions&)> prepare{};
  /// Called once the server is ready.
  std::function<void()> greet = [] {};
  /// Whether SIGHUP, which a terminal that is closed sends, stops the server; else it is ignored.
  bool stops_on_hangup = false;
  std::string log_level = "info";
  std::string log_format = "auto";
  bool core_dumps = false;
};

/// What may be asked of the process of any server.
void add_process_options(CLI::App& command, ServeOptions& options);
/// Which hosts and pages requests may come from.
void add_access_options(CLI::App& command, ServerConfig& config);
void add_reactors(CLI::App& command, ServerConfig& config);
/// The options of `serve` but for the database.
void add_serve_options(CLI::App& command, ServeOptions& options);
/// Runs a server until it is told to stop.
int serve(const Global& global, ServeOptions options);
/// `HOST:PORT` into config.host and config.port.
Result<Done> set_listen(ServerConfig& config, const std::string& listen);

}  // namespace backstitch::app

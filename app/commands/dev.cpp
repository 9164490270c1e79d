/// dev: private PostgreSQL, migrations, server, in one command.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <backstitch/postgres/migrator.hpp>
#include <backstitch/postgres/private_cluster.hpp>

#include "../serving.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

struct DevOptions {
  ServeOptions serve;
  std::uint16_t port = 7420;
  std::string data;
};

std::string default_data() {
  const char* home = std::getenv("HOME");
  // PostgreSQL runs as another user then, who cannot look into the home of root.
  if (::getuid() == 0) return "/var/lib/backstitch/dev";
  return std::string(home != nullptr && *home != '\0' ? home : "/tmp") +
         "/.local/share/backstitch/dev";
}

int run_dev(const Global& global, DevOptions options) {
  if (options.data.empty()) options.data = default_data();
  block_signals();
  auto cluster = postgres::PrivateCluster::start({.directory = options.data});
  if (!cluster) return report(global, cluster.error());
  options.serve.server.database = cluster->url();
  options.serve.server.allow_loopback = true;
  options.serve.listen = "127.0.0.1:" + std::to_string(options.port);
  if (const auto migrated = postgres::migrate(options.serve.server.database, false); !migrated) {
    return report(global, migrated.error());
  }
  std::printf("%s http://127.0.0.1:%u   database %s\n",
              global.terminal.paint(Style::bold, "Backstitch dev").c_str(), options.port,
              cluster->url().c_str());
  std::printf(
      "  backstitch services put NAME FILE · backstitch register FILE · backstitch start NAME "
      "--input FILE\n");
  std::fflush(stdout);
  return serve(global, options.serve);
}

}  // namespace

void add_dev(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand(
      "dev", "Private PostgreSQL, migrations and server in one: for trying things out");
  auto options = std::make_shared<DevOptions>();
  command->add_option("--port", options->port, "Port of the server, on loopback")
      ->capture_default_str();
  command->add_option("--data", options->data,
                      "Directory of the database; default: ~/.local/share/backstitch/dev");
  command->add_option("--secrets", options->serve.server.secrets,
                      "Directory with one file a secret");
  command->add_option("--reactors", options->serve.server.reactors,
                      "Threads that run sagas; default: one a core");
  command->callback([&global, options] {
    global.run = [&global, options] { return run_dev(global, *options); };
  });
}

}  // namespace backstitch::app

/// dev: private PostgreSQL, migrations, server, in one command.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/postgres/migrator.hpp>
#include <backstitch/postgres/private_cluster.hpp>

#include "../serving.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

struct DevOptions {
  ServeOptions serve;
  std::uint16_t port = 7420;
  std::uint16_t postgres_port = 0;
  std::string data;
};

Result<std::string> default_data() {
  // PostgreSQL runs as another user then, who cannot look into the home of root.
  if (::geteuid() == 0) return std::string("/var/lib/backstitch/dev");
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/')
    return invalid_option("HOME is not set; name a directory for the database with --data DIR.");
  return std::string(home) + "/.local/share/backstitch/dev";
}

void greet(const Global& global, const DevOptions& options,
           const postgres::PrivateCluster& cluster) {
  print(stdout, "%s http://127.0.0.1:%u   database %s\n",
        global.terminal.paint(Style::bold, "Backstitch dev").c_str(), options.port,
        cluster.url().c_str());
  if (options.postgres_port != 0) {
    print(stdout, "  PGPASSFILE=%s psql postgresql://backstitch@127.0.0.1:%u/backstitch\n",
          cluster.password_file().c_str(), options.postgres_port);
  }
  print(stdout,
        "  backstitch services put NAME FILE · backstitch register FILE · backstitch start NAME "
        "--input FILE\n");
  std::fflush(stdout);
}

/// PostgreSQL of its own, migrated.
class PrivateDatabase final : public Companion {
 public:
  static Result<std::unique_ptr<PrivateDatabase>> start(const std::string& directory,
                                                        std::uint16_t port) {
    auto cluster = postgres::PrivateCluster::start({.directory = directory, .tcp_port = port});
    if (!cluster) return std::move(cluster).error();
    if (const auto migrated = postgres::migrate(cluster->url(), false); !migrated)
      return migrated.error();
    return std::unique_ptr<PrivateDatabase>(new PrivateDatabase(std::move(*cluster)));
  }
  Result<Done> check() override { return cluster_.check(); }
  const postgres::PrivateCluster& cluster() const { return cluster_; }

 private:
  explicit PrivateDatabase(postgres::PrivateCluster cluster) : cluster_(std::move(cluster)) {}
  postgres::PrivateCluster cluster_;
};

/// libpq reads them: what the shell says about other databases is not about the private one.
/// @pre no other thread runs
void clear_postgres_environment() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    if (variable.starts_with("PG")) names.emplace_back(variable.substr(0, variable.find('=')));
  }
  for (const auto& name : names) ::unsetenv(name.c_str());
}

int run_dev(const Global& global, const DevOptions& options) {
  clear_postgres_environment();
  const auto data = options.data.empty() ? default_data() : Result<std::string>(options.data);
  if (!data) return report(global, data.error());
  ServeOptions serving = options.serve;
  serving.server.allow_loopback = true;
  serving.address_hint = "Choose another port with --port PORT.";
  serving.listen = "127.0.0.1:" + std::to_string(options.port);
  serving.stops_on_hangup = true;
  serving.prepare = [&](ServeOptions& completed) -> Result<std::unique_ptr<Companion>> {
    auto database = PrivateDatabase::start(*data, options.postgres_port);
    if (!database) return std::move(database).error();
    completed.server.database = (*database)->cluster().url();
    completed.greet = [&, own = database->get()] { greet(global, options, own->cluster()); };
    return std::unique_ptr<Companion>(std::move(*database));
  };
  return serve(global, std::move(serving));
}

}  // namespace

void add_dev(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand(
      "dev", "Private PostgreSQL, migrations and server in one: for trying things out");
  auto options = std::make_shared<DevOptions>();
  command->add_option("--port", options->port, "Port of the server, on loopback")
      ->capture_default_str();
  command->add_option("--data", options->data,
                      "Directory of the database; default: ~/.local/share/backstitch/dev, for root "
                      "/var/lib/backstitch/dev");
  command
      ->add_option("--postgres-port", options->postgres_port,
                   "Port of the database on loopback, for programs that cannot use its Unix "
                   "socket; default: none")
      ->check(CLI::Range(1, 65535));
  add_access_options(*command, options->serve.server);
  add_process_options(*command, options->serve);
  command->add_option("--secrets", options->serve.server.secrets,
                      "Directory with one file a secret");
  add_reactors(*command, options->serve.server);
  command->callback([&global, options] {
    global.run = [&global, options] { return run_dev(global, *options); };
  });
}

}  // namespace backstitch::app

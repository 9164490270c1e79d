/// serve and migrate.
#include <chrono>
#include <cstdio>
#include <memory>

#include <backstitch/postgres/migrator.hpp>
#include <backstitch/telemetry/log.hpp>

#include "../serving.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

int migrate(const Global& global, const std::string& database, bool dry_run) {
  const auto steps = postgres::migrate(database, dry_run);
  if (!steps) return report(global, steps.error());
  Json applied = Json::array();
  for (const auto& step : *steps) {
    if (step.state == postgres::MigrationState::applied_before) continue;
    applied.push_back({{"version", step.version}, {"name", step.name}});
    if (!global.json) {
      std::printf("%s %04d %s\n", dry_run ? "would apply" : "applied", step.version,
                  step.name.c_str());
    }
  }
  if (global.json)
    print_json({{"dryRun", dry_run}, {"migrations", std::move(applied)}});
  else if (applied.empty())
    std::printf("The schema is up to date.\n");
  return exit_done;
}

CLI::Option* add_database(CLI::App& command, std::string& database) {
  return command
      .add_option("--database", database, "PostgreSQL URL, e.g. postgresql://user@host/name")
      ->envname("BACKSTITCH_DATABASE")
      ->required();
}

}  // namespace

void add_serve(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("serve", "Run the server on an existing database");
  auto options = std::make_shared<ServeOptions>();
  add_database(*command, options->server.database);
  add_serve_options(*command, *options);
  command->set_config("--config", "", "Options as a TOML or INI file");
  command->callback(
      [&global, options] { global.run = [&global, options] { return serve(global, *options); }; });
}

void add_migrate(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("migrate", "Bring the database schema up to date");
  struct Options {
    std::string database;
    bool dry_run = false;
  };
  auto options = std::make_shared<Options>();
  add_database(*command, options->database);
  command->add_flag("--dry-run", options->dry_run, "Only say what would be applied");
  add_json_option(*command, global);
  command->callback([&global, options] {
    global.run = [&global, options] {
      return migrate(global, options->database, options->dry_run);
    };
  });
}

}  // namespace backstitch::app

/// serve and migrate.
#include <chrono>
#include <cstdio>
#include <memory>

#include <backstitch/postgres/migrator.hpp>
#include <backstitch/telemetry/log.hpp>

#include "../server_options.hpp"
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
    Json& entry = applied.emplace_back(Json{{"version", step.version}, {"name", step.name}});
    if (dry_run) entry["sql"] = step.sql;
    if (global.json) continue;
    // A dry run is a script for psql.
    print(stdout, dry_run ? "-- would apply %04d %s\n" : "applied %04d %s\n", step.version,
          step.name.c_str());
    if (dry_run) print(stdout, "%s", step.sql.c_str());
  }
  if (global.json)
    print_json({{"dryRun", dry_run}, {"migrations", std::move(applied)}});
  else if (applied.empty())
    print(stdout, "%sThe schema is up to date.\n", dry_run ? "-- " : "");
  return exit_done;
}

}  // namespace

void add_serve(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("serve", "Run the server on an existing database");
  auto options = std::make_shared<ServeOptions>();
  add_config_file(*command);
  add_database(*command, options->server.database);
  add_serve_options(*command, *options);
  command->callback([&global, options] {
    require_database(options->server.database);
    global.run = [&global, options] { return serve(global, *options); };
  });
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
    require_database(options->database);
    global.run = [&global, options] {
      return migrate(global, options->database, options->dry_run);
    };
  });
}

}  // namespace backstitch::app

/// guard-sql: what a participant's own database needs to keep the participant contract.
#include <cstdio>

#include <backstitch/migrations/migrations.hpp>

#include "commands.hpp"

namespace backstitch::app {

void add_guard_sql(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand(
      "guard-sql", "Print the SQL of backstitch.guard, for a participant's own database");
  command->callback([&global] {
    global.run = [] {
      const std::string script = migrations::guard_script();
      print(stdout, "%s", script.c_str());
      return exit_done;
    };
  });
}

}  // namespace backstitch::app

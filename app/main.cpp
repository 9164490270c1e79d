#include <clocale>
#include <csignal>
#include <cstdio>
#include <exception>

#include "commands/commands.hpp"
#include "version.hpp"

namespace {

void add_commands(CLI::App& app, backstitch::app::Global& global) {
  using namespace backstitch::app;
  add_dev(app, global);
  add_serve(app, global);
  add_migrate(app, global);
  add_check_participant(app, global);
  add_guard_sql(app, global);
  add_validate(app, global);
  add_verify(app, global);
  add_graph(app, global);
  add_rehearse(app, global);
  add_register(app, global);
  add_definitions(app, global);
  add_services(app, global);
  add_nodes(app, global);
  add_start(app, global);
  add_list(app, global);
  add_show(app, global);
  add_history(app, global);
  add_watch(app, global);
  add_operator(app, global);
  add_bench(app, global);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace backstitch::app;
  // A peer that closes early is an error code, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app{
      "Backstitch: durable sagas on PostgreSQL.\n"
      "Start with `backstitch dev`, then `backstitch register` and `backstitch start`.",
      "backstitch"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("backstitch ") + version);
  app.set_help_all_flag("--help-all", "Help of every command");
  app.failure_message(CLI::FailureMessage::help);
  Global global;
  add_commands(app, global);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_done : exit_usage;
  }
  try {
    return global.run();
  } catch (const std::exception& error) {
    return report(global, {backstitch::ErrorCode::internal, "internal", error.what()});
  }
}

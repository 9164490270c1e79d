#include <clocale>
#include <csignal>
#include <cstdio>
#include <exception>
#include <system_error>

#include "command_help.hpp"
#include "commands/commands.hpp"
#include "process.hpp"
#include "stop_signals.hpp"
#include "usage.hpp"
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

backstitch::Error error_of(const std::system_error& error) {
  // What std::thread throws.
  if (error.code() != std::errc::resource_unavailable_try_again)
    return {backstitch::ErrorCode::internal, "internal", error.what()};
  return {backstitch::ErrorCode::unavailable, "thread-failed",
          "A thread cannot be made; raise the limit of processes (ulimit -u) or of tasks "
          "(TasksMax, pids.max), or use fewer with --reactors."};
}

int run(int argc, char** argv) {
  using namespace backstitch::app;
  CLI::App app{
      "Backstitch: durable sagas on PostgreSQL.\n"
      "Start with `backstitch dev`, then `backstitch register` and `backstitch start`.",
      "backstitch"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("backstitch ") + version);
  app.set_help_all_flag("--help-all", "Help of every command");
  Global global;
  add_commands(app, global);
  add_help_footers(app);
  try {
    app.parse(argc, argv);
    refuse_foreign_bytes(app);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error);
  }
  try {
    return global.run();
  } catch (const std::system_error& error) {
    return report(global, error_of(error));
  } catch (const std::exception& error) {
    return report(global, {backstitch::ErrorCode::internal, "internal", error.what()});
  }
}

}  // namespace

int main(int argc, char** argv) {
  using namespace backstitch::app;
  open_standard_descriptors();
  forbid_core_dumps();
  // A peer that closes early is an error code, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  // So is a file that has reached its largest size.
  std::signal(SIGXFSZ, SIG_IGN);
  end_on_signals_as_init();
  return with_output_written(run(argc, argv));
}

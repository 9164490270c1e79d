#pragma once
/// One function a command: adds its subcommand and sets Global::run when it was chosen.
#include "../global.hpp"

namespace backstitch::app {

void add_dev(CLI::App& app, Global& global);
void add_serve(CLI::App& app, Global& global);
void add_migrate(CLI::App& app, Global& global);
void add_check_participant(CLI::App& app, Global& global);
void add_guard_sql(CLI::App& app, Global& global);
void add_validate(CLI::App& app, Global& global);
void add_verify(CLI::App& app, Global& global);
void add_graph(CLI::App& app, Global& global);
void add_rehearse(CLI::App& app, Global& global);
void add_register(CLI::App& app, Global& global);
void add_definitions(CLI::App& app, Global& global);
void add_services(CLI::App& app, Global& global);
void add_nodes(CLI::App& app, Global& global);
void add_start(CLI::App& app, Global& global);
void add_list(CLI::App& app, Global& global);
void add_show(CLI::App& app, Global& global);
void add_history(CLI::App& app, Global& global);
void add_watch(CLI::App& app, Global& global);
void add_operator(CLI::App& app, Global& global);  ///< cancel, retry, suspend, skip, resolve
void add_bench(CLI::App& app, Global& global);

}  // namespace backstitch::app

/// nodes: who runs sagas on this database.
#include <cstdio>

#include <backstitch/base/time.hpp>

#include "../member_text.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

int list_nodes(const Global& global) {
  const auto answer = global.client().nodes();
  if (!answer) return report(global, answer.error());
  if (global.json) {
    print_json(*answer);
    return exit_done;
  }
  print(stdout, "%s %s %s %s %s\n", padded("NODE", 28).c_str(), padded("ADDRESS", 22).c_str(),
        padded("SHARDS", 7).c_str(), padded("STARTED", 25).c_str(), "STATE");
  for (const auto& node : (*answer)["nodes"]) {
    const bool alive = node.value("alive", false);
    const std::string state = alive ? "alive" : "dead since " + text_of(node, "leaseUntil");
    print(stdout, "%s %s %s %s %s\n", padded(text_of(node, "name"), 28).c_str(),
          padded(text_of(node, "address"), 22).c_str(),
          padded(std::to_string(node.value("shards", 0)), 7).c_str(),
          padded(text_of(node, "startedAt"), 25).c_str(),
          global.terminal.paint(alive ? Style::good : Style::bad, state).c_str());
  }
  return exit_done;
}

}  // namespace

void add_nodes(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("nodes", "List the nodes that share this database's sagas");
  add_client_options(*command, global);
  command->callback([&global] { global.run = [&global] { return list_nodes(global); }; });
}

}  // namespace backstitch::app

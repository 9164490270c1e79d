/// bench: a closed loop of sagas against running servers, or against an engine of this process.
/// `./dev bench` sets everything up around it.
#include <unistd.h>

#include <cstdio>
#include <memory>

#include <backstitch/telemetry/log.hpp>

#include "../bench_load.hpp"
#include "../wiring.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

struct BenchOptions {
  LoadOptions load;
  std::vector<std::string> workloads{"W1"};
  std::vector<std::size_t> levels{1, 128, 1000, 4000};
  std::vector<std::string> other_nodes;
  std::string participants;
  bool embedded = false;
  std::string database;
};

void print_row(const LoadOptions& load, const LoadResult& result) {
  print(stdout, "%-9s %9zu %9.0f %9.2f %9.2f %10.3f %10.3f %9.2f %9.3f %9.1f\n",
        load.workload.c_str(), load.in_flight, result.sagas_per_second, result.p50_ms,
        result.p99_ms, result.engine_cpu_ms, result.postgres_cpu_ms, result.appends_per_saga,
        result.commits_per_saga, result.mean_batch);
  std::fflush(stdout);
}

int run(const Global& global, BenchOptions& options, BenchTarget& target) {
  if (!options.participants.empty()) {
    if (auto prepared = prepare_load(target, options.participants); !prepared)
      return report(global, prepared.error());
  }
  if (!global.json) {
    print(stdout, "%-9s %9s %9s %9s %9s %10s %10s %9s %9s %9s\n", "workload", "in flight",
          "sagas/s", "p50 ms", "p99 ms", "engine ms", "pg ms", "appends", "commits", "batch");
  }
  Json results = Json::array();
  for (const auto& workload : options.workloads) {
    for (const std::size_t level : options.levels) {
      options.load.workload = workload;
      options.load.in_flight = level;
      global.terminal.progress(workload + " at " + std::to_string(level) + " in flight …");
      const auto result = run_load(options.load, target);
      global.terminal.clear_progress();
      if (!result) return report(global, result.error());
      if (!global.json) print_row(options.load, *result);
      results.push_back(to_json(options.load, *result));
    }
  }
  if (global.json) print_json(results);
  return exit_done;
}

int run_embedded(const Global& global, BenchOptions& options) {
  if (options.database.empty()) {
    return report(global, invalid_option("--embedded needs --database URL."));
  }
  telemetry::LogObserver log({.level = engine::Level::warning});
  Node node({.database = options.database, .node = "bench", .allow_loopback = true}, log);
  if (auto opened = node.open(); !opened) return report(global, opened.error());
  if (auto started = node.start(); !started) return report(global, started.error());
  options.load.engine_pids = {::getpid()};
  const auto target = embedded_target(node.engine());
  return run(global, options, *target);
}

int bench(const Global& global, BenchOptions options) {
  if (options.embedded) return run_embedded(global, options);
  std::vector<std::unique_ptr<BenchTarget>> nodes;
  nodes.push_back(rest_target({.server = global.server, .token = global.token}));
  for (const auto& server : options.other_nodes)
    nodes.push_back(rest_target({.server = server, .token = global.token}));
  const auto target = nodes_target(std::move(nodes));
  return run(global, options, *target);
}

}  // namespace

void add_bench(CLI::App& app, Global& global) {
  auto* command =
      app.add_subcommand("bench", "Load a running server with sagas and print what it does");
  auto options = std::make_shared<BenchOptions>();
  command
      ->add_option("--workload", options->workloads,
                   "W1: three forward calls; W2: the third is refused, two undone")
      ->check(CLI::IsMember({"W1", "W2"}))
      ->capture_default_str();
  command->add_option("--in-flight", options->levels, "Sagas going at a time; may be repeated")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command->add_option("--seconds", options->load.seconds, "Length of each measurement")
      ->capture_default_str();
  command->add_option("--warm-up", options->load.warm_up_seconds, "Seconds before it")
      ->capture_default_str();
  command->add_option("--participants", options->participants,
                      "Base URL of the participants; registers the workloads and their service");
  command->add_flag("--embedded", options->embedded,
                    "Run the engine in this process, without REST; needs --database");
  command->add_option("--database", options->database,
                      "PostgreSQL of the embedded engine, with its tables (see migrate)");
  command->add_option("--other-node", options->other_nodes,
                      "Another node of the same database, which shares the load; may be repeated");
  command->add_option("--engine-pid", options->load.engine_pids,
                      "Process whose CPU time is the engine's; may be repeated");
  command->add_option("--postgres-pid", options->load.postgres_pid,
                      "Postmaster; its children count");
  add_client_options(*command, global);
  command->callback(
      [&global, options] { global.run = [&global, options] { return bench(global, *options); }; });
}

}  // namespace backstitch::app

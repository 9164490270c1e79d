/// start: one saga, and its end if the caller waits for it.
#include <cstdio>
#include <memory>

#include <backstitch/base/time.hpp>

#include "../follow.hpp"
#include "../timeline.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

struct StartOptions {
  std::string name;
  std::string input = "-";
  std::int64_t version = 0;
  std::string key;
  std::string business_key;
  std::vector<std::string> labels;
  std::string wait;
};

Result<client::Start> start_of(const StartOptions& options) {
  client::Start start{.definition = options.name};
  auto input = read_json(options.input);
  if (!input) {
    Error error = std::move(input).error();
    if (options.input == "-") error.message += "; give the input with --input, like --input '{}'.";
    return error;
  }
  start.input = std::move(*input);
  if (options.version > 0) start.version = options.version;
  if (!options.business_key.empty()) start.business_key = options.business_key;
  start.idempotency_key = options.key;
  for (const auto& label : options.labels) {
    auto pair = split_named("--label", label);
    if (!pair) return std::move(pair).error();
    start.labels.insert(std::move(*pair));
  }
  return start;
}

/// The saga is started before anything is awaited, and its id is printed at once: whatever happens
/// to this process, the saga can be found again.
int await_end(const Global& global, client::Client& client, const client::Started& started,
              Duration duration) {
  const InterruptWatch interrupt;
  std::FILE* stream = global.json ? stderr : stdout;
  print(stream, "%s%s\n", started.id.c_str(),
        started.created ? "" : "  (already started under this key)");
  std::fflush(stream);
  const auto saga = follow_saga(global, client, started.id, duration, interrupt,
                                [](const Json&) { return Result<Done>(Done{}); });
  if (!saga) {
    const int code = report(global, saga.error());
    print(stderr, "The saga was started. To wait for its end: %s\n",
          global.command_line("watch " + started.id).c_str());
    return code;
  }
  if (global.json)
    print_json(*saga);
  else
    print(stdout, "%s", timeline(*saga, global.terminal).c_str());
  const int code = exit_code_of_saga(*saga);
  if (code == exit_undecided) print_how_to_go_on(global, *saga, interrupt);
  return code;
}

int start_saga(const Global& global, const StartOptions& options) {
  std::optional<Duration> wait;
  if (!options.wait.empty()) {
    wait = parse_duration(options.wait);
    if (!wait) {
      return report(global, invalid_option("`" + options.wait +
                                           "` is not a valid --wait; write for example 30s."));
    }
  }
  const auto start = start_of(options);
  if (!start) return report(global, start.error());
  auto client = global.client();
  const auto started = client.start(*start);
  if (!started) return report(global, started.error());
  if (wait) return await_end(global, client, *started, *wait);
  if (global.json)
    print_json(started->saga);
  else
    print(stdout, "%s%s\n", started->id.c_str(),
          started->created ? "" : "  (already started under this key)");
  return exit_done;
}

}  // namespace

void add_start(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("start", "Start a saga");
  auto options = std::make_shared<StartOptions>();
  command->add_option("NAME", options->name, "Definition to start")->required();
  command->add_option("--input", options->input, "Input: a file, - for standard input, or JSON")
      ->capture_default_str();
  command->add_option("--version", options->version,
                      "Version of the definition; default: the active one");
  command->add_option("--key", options->key, "Idempotency key: the same key starts one saga only");
  command->add_option("--business-key", options->business_key,
                      "Business key instead of the definition's");
  command->add_option("--label", options->labels, "NAME=VALUE; may be repeated");
  command->add_option("--wait", options->wait,
                      "Print the id, then wait so long for the end, e.g. 30s");
  add_client_options(*command, global);
  command->callback([&global, options] {
    global.run = [&global, options] { return start_saga(global, *options); };
  });
}

}  // namespace backstitch::app

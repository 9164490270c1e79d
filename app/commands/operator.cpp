/// signal, cancel, retry, skip, resolve: what may be said to a saga from outside.
#include <cstdio>
#include <memory>

#include "../timeline.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

struct Options {
  std::string id, step, output, reason;
};

int signal(const Global& global, const std::string& id, const std::string& name,
           const std::string& file) {
  Json payload;
  if (!file.empty()) {
    auto read = read_json(file);
    if (!read) return report(global, read.error());
    payload = std::move(*read);
  }
  const auto sent = global.client().signal(id, name, payload);
  if (!sent) return report(global, sent.error());
  if (global.json)
    print_json(*sent);
  else
    std::printf("sent %s to %s\n", name.c_str(), id.c_str());
  return exit_done;
}

void add_signal(CLI::App& app, Global& global) {
  struct Signal {
    std::string id, name, payload;
  };
  auto options = std::make_shared<Signal>();
  auto* command = app.add_subcommand("signal", "Send a saga the signal that a step waits for");
  command->add_option("ID", options->id, "The saga")->required();
  command->add_option("NAME", options->name, "The signal")->required();
  command->add_option("--payload", options->payload,
                      "Payload as JSON: a file, or - for standard input");
  add_client_options(*command, global);
  command->callback([&global, options] {
    global.run = [&global, options] {
      return signal(global, options->id, options->name, options->payload);
    };
  });
}

int print(const Global& global, const Result<Json>& saga) {
  if (!saga) return report(global, saga.error());
  if (global.json)
    print_json(*saga);
  else
    std::printf("%s", timeline(*saga, global.terminal).c_str());
  return exit_done;
}

int resolve(const Global& global, const Options& options) {
  const auto output = read_json(options.output);
  if (!output) return report(global, output.error());
  return print(global, global.client().resolve(options.id, options.step, *output, options.reason));
}

CLI::App* add(CLI::App& app, Global& global, const char* name, const char* help,
              const std::shared_ptr<Options>& options, bool with_step) {
  auto* command = app.add_subcommand(name, help);
  command->add_option("ID", options->id, "The saga")->required();
  if (with_step) command->add_option("STEP", options->step, "The step, by its path")->required();
  command->add_option("--reason", options->reason, "Why; kept in the audit");
  add_client_options(*command, global);
  return command;
}

}  // namespace

void add_operator(CLI::App& app, Global& global) {
  add_signal(app, global);
  auto options = std::make_shared<Options>();
  add(app, global, "cancel", "Cancel a saga: everything done so far is undone", options, false)
      ->callback([&global, options] {
        global.run = [&global, options] {
          return print(global, global.client().cancel(options->id, options->reason));
        };
      });
  add(app, global, "retry", "Try again what a suspended saga stopped at", options, false)
      ->callback([&global, options] {
        global.run = [&global, options] {
          return print(global, global.client().retry(options->id, options->reason));
        };
      });
  add(app, global, "skip", "Go on without the step a suspended saga stopped at", options, true)
      ->callback([&global, options] {
        global.run = [&global, options] {
          return print(global, global.client().skip(options->id, options->step, options->reason));
        };
      });
  auto* command = add(app, global, "resolve", "Say that the step was done, and with what output",
                      options, true);
  command
      ->add_option("--output", options->output, "Output as JSON: a file, or - for standard input")
      ->required();
  command->callback([&global, options] {
    global.run = [&global, options] { return resolve(global, *options); };
  });
}

}  // namespace backstitch::app

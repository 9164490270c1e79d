/// signal, cancel, retry, skip, resolve: what may be said to a saga from outside.
#include <cstdio>
#include <map>
#include <memory>

#include "../timeline.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

struct Options {
  client::Client::Order order;
  std::string step, output;
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

std::string planned_line(const Global& global, const Json& step) {
  static const std::map<std::string, const char*> words{
      {"await", "waits for the answer to"},  {"run", "runs"},
      {"probe", "asks what became of"},      {"wait", "waits at"},
      {"start-saga", "starts the sub-saga"}, {"undo", "undoes"},
      {"undo-saga", "undoes the sub-saga"},  {"retry-saga", "retries the sub-saga"}};
  const std::string action = step.value("action", "");
  const auto word = words.find(action);
  const bool back = action == "undo" || action == "undo-saga";
  return "  " +
         global.terminal.paint(back ? Style::warn : Style::good,
                               word == words.end() ? action : word->second) +
         " " + step.value("step", "") +
         (step.contains("request")
              ? "  " + global.terminal.paint(Style::dim, step.value("request", ""))
              : "");
}

void print_plan(const Global& global, const Json& plan) {
  std::printf("If every call succeeds, the saga would be %s%s\n",
              global.terminal.paint(Style::bold, plan.value("end", "")).c_str(),
              plan["steps"].empty() ? ", and nothing is called." : " after this:");
  for (const auto& step : plan["steps"]) std::printf("%s\n", planned_line(global, step).c_str());
  if (!plan.value("complete", true)) std::printf("  … and more\n");
  std::printf("Nothing was done: this was a dry run.\n");
}

int print(const Global& global, const Result<Json>& answer) {
  if (!answer) return report(global, answer.error());
  if (global.json)
    print_json(*answer);
  else if (answer->value("dryRun", false))
    print_plan(global, *answer);
  else
    std::printf("%s", timeline(*answer, global.terminal).c_str());
  return exit_done;
}

int resolve(const Global& global, const Options& options) {
  const auto output = read_json(options.output);
  if (!output) return report(global, output.error());
  return print(global, global.client().resolve(options.order, options.step, *output));
}

CLI::App* add(CLI::App& app, Global& global, const char* name, const char* help,
              const std::shared_ptr<Options>& options, bool with_step) {
  auto* command = app.add_subcommand(name, help);
  command->add_option("ID", options->order.id, "The saga")->required();
  if (with_step) command->add_option("STEP", options->step, "The step, by its path")->required();
  command->add_option("--reason", options->order.reason, "Why; kept in the audit");
  command->add_flag("--dry-run", options->order.dry_run,
                    "Only show what would run or be undone, in order; nothing is done");
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
          return print(global, global.client().cancel(options->order));
        };
      });
  add(app, global, "retry", "Try again what a suspended saga stopped at", options, false)
      ->callback([&global, options] {
        global.run = [&global, options] {
          return print(global, global.client().retry(options->order));
        };
      });
  add(app, global, "skip", "Go on without the step a suspended saga stopped at", options, true)
      ->callback([&global, options] {
        global.run = [&global, options] {
          return print(global, global.client().skip(options->order, options->step));
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

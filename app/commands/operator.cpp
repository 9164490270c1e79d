/// signal, cancel, retry, suspend, skip, resolve: what may be said to a saga from outside.
#include <cstdio>
#include <map>
#include <memory>

#include "../timeline.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

struct Options {
  client::Client::Order order;
  std::string step, as, output, captured;
  bool certain = false;
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
  for (const auto& warning : plan.value("warnings", Json::array()))
    std::printf("%s %s\n", global.terminal.paint(Style::bad, "!").c_str(),
                warning.get<std::string>().c_str());
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

/// A resolution that a person has to be certain of is only planned until `--yes` says so.
int resolve(const Global& global, const Options& options) {
  client::Client::Resolution resolution{options.as};
  for (const auto& [file, target] : {std::pair{&options.output, &resolution.output},
                                     std::pair{&options.captured, &resolution.captured}}) {
    if (file->empty()) continue;
    auto read = read_json(*file);
    if (!read) return report(global, read.error());
    *target = std::move(*read);
  }
  client::Client client = global.client();
  if (options.order.dry_run || options.certain)
    return print(global, client.resolve(options.order, options.step, resolution));
  auto rehearsed = options.order;
  rehearsed.dry_run = true;
  const auto plan = client.resolve(rehearsed, options.step, resolution);
  if (!plan) return report(global, plan.error());
  if (plan->value("warnings", Json::array()).empty())
    return print(global, client.resolve(options.order, options.step, resolution));
  print(global, plan);
  if (!global.json) std::printf("If you are certain, repeat the command with --yes.\n");
  return exit_bad;
}

enum class StepArgument { none, optional, required };

CLI::App* add(CLI::App& app, Global& global, const char* name, const char* help,
              const std::shared_ptr<Options>& options, StepArgument step) {
  auto* command = app.add_subcommand(name, help);
  command->add_option("ID", options->order.id, "The saga")->required();
  if (step != StepArgument::none) {
    command->add_option("STEP", options->step, "The step, by its path")
        ->required(step == StepArgument::required);
  }
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
  add(app, global, "cancel", "Cancel a saga: everything done so far is undone", options,
      StepArgument::none)
      ->callback([&global, options] {
        global.run = [&global, options] {
          return print(global, global.client().cancel(options->order));
        };
      });
  add(app, global, "retry",
      "Try again what a suspended saga stopped at, with a new budget; of any other saga send the "
      "waiting attempts now",
      options, StepArgument::none)
      ->callback([&global, options] {
        global.run = [&global, options] {
          return print(global, global.client().retry(options->order));
        };
      });
  add(app, global, "skip", "Go on without the step a suspended saga stopped at", options,
      StepArgument::required)
      ->callback([&global, options] {
        global.run = [&global, options] {
          return print(global, global.client().skip(options->order, options->step));
        };
      });
  add(app, global, "suspend",
      "End the wait for the next attempt of a step (without STEP: of every one) and suspend the "
      "saga "
      "there",
      options, StepArgument::optional)
      ->callback([&global, options] {
        global.run = [&global, options] {
          return print(global, global.client().suspend(options->order, options->step));
        };
      });
  auto* command =
      add(app, global, "resolve", "Say what became of the step a suspended saga stopped at",
          options, StepArgument::required);
  command
      ->add_option("--as", options->as,
                   "done: its action took effect; not-done: it did not, and will not; compensated: "
                   "its compensation took effect")
      ->required()
      ->check(CLI::IsMember({"done", "not-done", "compensated"}));
  command->add_option("--output", options->output,
                      "Of a step that is done: its output, a file of JSON or - for standard input");
  command->add_option("--captured", options->captured,
                      "Of a step that is done: what it captured, a file of JSON or -");
  command->add_flag("--yes", options->certain, "Do it although it may be wrong: see --dry-run");
  command->callback([&global, options] {
    global.run = [&global, options] { return resolve(global, *options); };
  });
}

}  // namespace backstitch::app

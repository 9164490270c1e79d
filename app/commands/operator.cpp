/// signal, cancel, retry, suspend, skip, resolve: the commands that change a saga.
#include <cstdio>
#include <map>
#include <memory>

#include "../member_text.hpp"
#include "../saga_choice.hpp"
#include "../timeline.hpp"
#include "../usage.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

struct Options {
  SagaChoice saga;
  client::Client::Order order;
  std::string step, as, output, captured;
  bool certain = false;
};

struct SignalOptions {
  SagaChoice saga;
  std::string name, payload;
};

int signal(const Global& global, const SignalOptions& options) {
  Json payload;
  if (!options.payload.empty()) {
    auto read = read_json(options.payload);
    if (!read) return report(global, read.error());
    payload = std::move(*read);
  }
  auto client = global.client();
  const auto id = find_to_change(client, options.saga);
  if (!id) return report(global, id.error());
  const auto sent = client.signal(*id, options.name, payload);
  if (!sent) return report(global, sent.error());
  if (global.json)
    print_json(*sent);
  else
    print(stdout, "sent %s to %s\n", options.name.c_str(), id->c_str());
  return exit_done;
}

void add_signal(CLI::App& app, Global& global) {
  auto options = std::make_shared<SignalOptions>();
  auto* command = app.add_subcommand("signal", "Send a saga the signal that a step waits for");
  add_saga_to_change(*command, options->saga);
  command->add_option("NAME", options->name, "The signal");
  command->add_option("--payload", options->payload,
                      "Payload: a file, - for standard input, or JSON");
  add_client_options(*command, global);
  command->callback([&global, options] {
    settle_positionals(options->saga, &options->name);
    if (options->name.empty()) throw_usage("NAME is missing: the name of the signal");
    global.run = [&global, options] { return signal(global, *options); };
  });
}

std::string planned_line(const Global& global, const Json& step) {
  static const std::map<std::string, const char*> words{
      {"await", "waits for the answer to"},  {"run", "runs"},
      {"probe", "asks what became of"},      {"wait", "waits at"},
      {"start-saga", "starts the sub-saga"}, {"undo", "undoes"},
      {"undo-saga", "undoes the sub-saga"},  {"retry-saga", "retries the sub-saga"}};
  const std::string action = text_of(step, "action");
  const auto word = words.find(action);
  const bool back = action == "undo" || action == "undo-saga";
  return "  " +
         global.terminal.paint(back ? Style::warn : Style::good,
                               word == words.end() ? action : word->second) +
         " " + text_of(step, "step") +
         (step.contains("request")
              ? "  " + global.terminal.paint(Style::dim, text_of(step, "request"))
              : "");
}

void print_plan(const Global& global, const Json& plan) {
  print(stdout, "If every call succeeds, the saga would be %s%s\n",
        global.terminal.paint(Style::bold, text_of(plan, "end")).c_str(),
        plan["steps"].empty() ? ", and nothing is called." : " after this:");
  for (const auto& step : plan["steps"]) print(stdout, "%s\n", planned_line(global, step).c_str());
  if (!plan.value("complete", true)) print(stdout, "  … and more\n");
  for (const auto& warning : plan.value("warnings", Json::array()))
    print(stdout, "%s %s\n", global.terminal.paint(Style::bad, "!").c_str(),
          warning.get<std::string>().c_str());
  print(stdout, "Nothing was done: this was a dry run.\n");
}

int print_answer(const Global& global, const Result<Json>& answer) {
  if (!answer) return report(global, answer.error());
  if (global.json)
    print_json(*answer);
  else if (answer->value("dryRun", false))
    print_plan(global, *answer);
  else
    print(stdout, "%s", timeline(*answer, global.terminal).c_str());
  return exit_done;
}

Result<client::Client::Resolution> resolution_of(const Options& options) {
  client::Client::Resolution resolution{options.as};
  for (const auto& [given, target] : {std::pair{&options.output, &resolution.output},
                                      std::pair{&options.captured, &resolution.captured}}) {
    if (given->empty()) continue;
    auto read = read_json(*given);
    if (!read) return std::move(read).error();
    *target = std::move(*read);
  }
  return resolution;
}

/// A resolution that a person has to be certain of is only planned until `--yes` says so.
int resolve(const Global& global, client::Client& client, const Options& options) {
  const auto resolution = resolution_of(options);
  if (!resolution) return report(global, resolution.error());
  if (options.order.dry_run || options.certain)
    return print_answer(global, client.resolve(options.order, options.step, *resolution));
  auto rehearsed = options.order;
  rehearsed.dry_run = true;
  const auto plan = client.resolve(rehearsed, options.step, *resolution);
  if (!plan) return report(global, plan.error());
  if (plan->value("warnings", Json::array()).empty())
    return print_answer(global, client.resolve(options.order, options.step, *resolution));
  print_answer(global, plan);
  if (!global.json) print(stdout, "If you are certain, repeat the command with --yes.\n");
  return exit_bad;
}

enum class StepArgument { none, optional, required };

/// A command that changes one saga.
struct Operation {
  const char* name;
  const char* help;
  StepArgument step;
  int (*run)(const Global& global, client::Client& client, const Options& options);
};

CLI::App* add_operation(CLI::App& app, Global& global, const Operation& operation,
                        const std::shared_ptr<Options>& options) {
  auto* command = app.add_subcommand(operation.name, operation.help);
  add_saga_to_change(*command, options->saga);
  if (operation.step != StepArgument::none)
    command->add_option("STEP", options->step, "The step, by its path");
  command->add_option("--reason", options->order.reason, "Why; kept in the audit");
  command->add_flag("--dry-run", options->order.dry_run,
                    "Only show what would run or be undone, in order; nothing is done");
  add_client_options(*command, global);
  command->callback([&global, options, operation] {
    settle_positionals(options->saga,
                       operation.step == StepArgument::none ? nullptr : &options->step);
    if (operation.step == StepArgument::required && options->step.empty())
      throw_usage("STEP is missing: the path of the step, as `backstitch show` prints it");
    global.run = [&global, options, operation] {
      auto client = global.client();
      const auto id = find_to_change(client, options->saga);
      if (!id) return report(global, id.error());
      options->order.id = *id;
      return operation.run(global, client, *options);
    };
  });
  return command;
}

constexpr Operation operations[] = {
    {"cancel", "Cancel a saga: everything done so far is undone", StepArgument::none,
     [](const Global& global, client::Client& client, const Options& options) {
       return print_answer(global, client.cancel(options.order));
     }},
    {"retry",
     "Try again what a suspended saga stopped at, with a new budget; of any other saga send the "
     "waiting attempts now",
     StepArgument::none,
     [](const Global& global, client::Client& client, const Options& options) {
       return print_answer(global, client.retry(options.order));
     }},
    {"skip", "Go on without the step a suspended saga stopped at", StepArgument::required,
     [](const Global& global, client::Client& client, const Options& options) {
       return print_answer(global, client.skip(options.order, options.step));
     }},
    {"suspend",
     "End the wait for the next attempt of a step (without STEP: of every one) and suspend the "
     "saga there",
     StepArgument::optional,
     [](const Global& global, client::Client& client, const Options& options) {
       return print_answer(global, client.suspend(options.order, options.step));
     }},
};

constexpr Operation resolve_operation{"resolve",
                                      "Say what became of the step a suspended saga stopped at",
                                      StepArgument::required, resolve};

}  // namespace

void add_operator(CLI::App& app, Global& global) {
  add_signal(app, global);
  auto options = std::make_shared<Options>();
  for (const auto& operation : operations) add_operation(app, global, operation, options);
  auto* command = add_operation(app, global, resolve_operation, options);
  command
      ->add_option("--as", options->as,
                   "done: its action took effect; not-done: it did not, and will not; compensated: "
                   "its compensation took effect")
      ->required()
      ->check(CLI::IsMember({"done", "not-done", "compensated"}));
  command->add_option("--output", options->output,
                      "Of a step that is done: its output: a file, - for standard input, or JSON");
  command->add_option("--captured", options->captured,
                      "Of a step that is done: what it captured, in the same way");
  command->add_flag("--yes", options->certain, "Do it although it may be wrong: see --dry-run");
}

}  // namespace backstitch::app

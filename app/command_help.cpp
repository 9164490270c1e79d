/// The one table of examples and exit codes. docs/command-line.md repeats it, and
/// test/e2e/help_test.py compares the two.
#include "command_help.hpp"

#include <algorithm>
#include <iterator>

#include "exit_code.hpp"

namespace backstitch::app {
namespace {

struct CodeMeaning {
  int code;
  const char* meaning;
};

/// The meaning for all commands; a command's own meanings are narrower.
constexpr CodeMeaning meanings[] = {
    {exit_done, "done: what was asked for is done, or holds"},
    {exit_bad,
     "the thing asked about is bad, the server refused the command, or the output was lost"},
    {exit_usage, "usage: the command line cannot be carried out as it is; nothing was done"},
    {exit_unreachable, "server or database unreachable, or another program answers there"},
    {exit_undecided, "no final answer yet"},
    {exit_broken, "a server that cannot go on: its last line says why"},
    {exit_forced, "a stop that a second signal cut short, or that took longer than 29 s"},
};

/// What a command needs besides its own process.
enum class Needs { nothing, other };

struct CommandHelp {
  const char* command;
  Needs needs;
  const char* example;
  const char* done;
  const char* bad;                  ///< null: it cannot happen
  const char* undecided = nullptr;  ///< null: it cannot happen
};

constexpr const char* command_refused = "the server refused the command";
constexpr const char* saga_missing = "there is no such saga";

constexpr CommandHelp command_helps[] = {
    {"dev", Needs::other, "backstitch dev --port 7420", "stopped by a signal",
     "the server cannot start"},
    {"serve", Needs::other,
     "backstitch serve --database postgresql://backstitch@db/backstitch --listen 127.0.0.1:7420",
     "stopped by a signal", "the server cannot start"},
    {"migrate", Needs::other,
     "backstitch migrate --database postgresql://backstitch@db/backstitch --dry-run",
     "the schema is up to date; with --dry-run: printed", "the schema cannot be migrated"},
    {"check-participant", Needs::other,
     "backstitch check-participant order.json --base-url stock=http://127.0.0.1:9000 "
     "--accept ship:key-case",
     "every promise is kept, or accepted as not checked",
     "a promise is broken, or the definition or its input is invalid",
     "a promise was not checked, and is not accepted"},
    {"guard-sql", Needs::nothing, "backstitch guard-sql | psql shop", "printed",
     "the output was lost"},
    {"validate", Needs::nothing, "backstitch validate order.json", "no definition has errors",
     "a definition has errors"},
    {"verify", Needs::nothing, "backstitch verify order.json",
     "everything was explored and every promise holds",
     "a promise is violated, or a definition has errors",
     "a violation rests on an assumption, the search was cut, or nothing was explored"},
    {"graph", Needs::nothing, "backstitch graph order.json --format svg > order.svg", "printed",
     "the definition has errors"},
    {"rehearse", Needs::nothing,
     "backstitch rehearse order.json --input '{\"id\": \"o-1\"}' --fail charge=refuse",
     "the saga is COMPLETED", "the saga is FAILED, FAILED_INCOMPLETE or SUSPENDED",
     "the time of --until was over before the end"},
    {"register", Needs::other, "backstitch register order.json --activate", "registered",
     "a definition was refused"},
    {"definitions", Needs::other, "backstitch definitions", "printed", command_refused},
    {"services", Needs::other, "backstitch services", "printed", command_refused},
    {"services put", Needs::other, "backstitch services put stock stock.json", "stored",
     "the service was refused"},
    {"services show", Needs::other, "backstitch services show stock", "printed",
     "there is no such service"},
    {"nodes", Needs::other, "backstitch nodes", "printed", command_refused},
    {"start", Needs::other, "backstitch start orders.place --input '{\"id\": \"o-1\"}' --wait 30s",
     "started; with --wait: the saga is COMPLETED",
     "refused; with --wait: the saga is FAILED, FAILED_INCOMPLETE or SUSPENDED",
     "with --wait: no end in that time, or Ctrl-C; the saga goes on"},
    {"list", Needs::other, "backstitch list --status SUSPENDED --definition orders.place",
     "printed", command_refused},
    {"show", Needs::other, "backstitch show 019e80a1", "printed", saga_missing},
    {"history", Needs::other, "backstitch history 019e80a1", "printed", saga_missing},
    {"watch", Needs::other, "backstitch watch --business-key o-17", "the saga is COMPLETED",
     "the saga is FAILED, FAILED_INCOMPLETE or SUSPENDED, or there is no such saga",
     "Ctrl-C before the end; the saga goes on"},
    {"signal", Needs::other,
     "backstitch signal approved --business-key o-17 --definition orders.place --payload "
     "'{\"by\": \"Ada\"}'",
     "sent", command_refused},
    {"cancel", Needs::other,
     "backstitch cancel 019e80a1-6f3c-7b52-9d1e-0c8f5a2b4e17 --reason \"ordered twice\"",
     "accepted", command_refused},
    {"retry", Needs::other,
     "backstitch retry 019e80a1-6f3c-7b52-9d1e-0c8f5a2b4e17 --reason \"stock is repaired\"",
     "accepted", command_refused},
    {"suspend", Needs::other,
     "backstitch suspend 019e80a1-6f3c-7b52-9d1e-0c8f5a2b4e17 reserve --reason \"stock is down\"",
     "accepted", command_refused},
    {"skip", Needs::other, "backstitch skip 019e80a1-6f3c-7b52-9d1e-0c8f5a2b4e17 refund --dry-run",
     "accepted", command_refused},
    {"resolve", Needs::other,
     "backstitch resolve 019e80a1-6f3c-7b52-9d1e-0c8f5a2b4e17 charge --as done --output "
     "'{\"id\": \"ch-7\"}'",
     "accepted", "refused, or it needs --yes"},
    {"bench", Needs::other, "backstitch bench --participants http://127.0.0.1:9000 --seconds 10",
     "measured", "it cannot be measured"},
};

const CommandHelp* help_of(const std::string& command) {
  const auto found = std::find_if(std::begin(command_helps), std::end(command_helps),
                                  [&](const CommandHelp& help) { return command == help.command; });
  return found == std::end(command_helps) ? nullptr : found;
}

const char* meaning_for(const CommandHelp& help, const CodeMeaning& code) {
  switch (code.code) {
    case exit_done:
      return help.done;
    case exit_bad:
      return help.bad;
    case exit_undecided:
      return help.undecided;
    case exit_broken:
    case exit_forced:
      return help.command == std::string_view("serve") || help.command == std::string_view("dev")
                 ? code.meaning
                 : nullptr;
    case exit_unreachable:
      return help.needs == Needs::nothing ? nullptr : code.meaning;
    default:
      return code.meaning;
  }
}

std::string code_line(int code, const char* meaning) {
  return "  " + std::to_string(code) + "  " + meaning + "\n";
}

std::string footer_of(const CommandHelp& help) {
  std::string text = std::string("\nExample:\n  ") + help.example + "\n\nExit codes:\n";
  for (const auto& code : meanings) {
    if (const char* meaning = meaning_for(help, code)) text += code_line(code.code, meaning);
  }
  return text;
}

void add_footers(CLI::App& parent, const std::string& prefix) {
  for (CLI::App* command : parent.get_subcommands({})) {
    const std::string name = prefix + command->get_name();
    // A command without an entry has no footer, and help_test.py finds it.
    if (const auto* help = help_of(name)) command->footer(footer_of(*help));
    add_footers(*command, name + " ");
  }
}

}  // namespace

void add_help_footers(CLI::App& app) {
  std::string text = "\nExit codes of every command:\n";
  for (const auto& code : meanings) text += code_line(code.code, code.meaning);
  app.footer(text + "\n`backstitch COMMAND --help` has an example of the command.\n");
  add_footers(app, "");
}

std::string example_of(const std::string& command) {
  const auto* help = help_of(command);
  return help == nullptr ? std::string{} : help->example;
}

}  // namespace backstitch::app

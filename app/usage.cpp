#include "usage.hpp"

#include <cstdio>
#include <optional>
#include <vector>

#include <backstitch/dsl/nearest.hpp>
#include <backstitch/postgres/passwords.hpp>

#include "command_help.hpp"
#include "exit_code.hpp"
#include "foreign_text.hpp"
#include "terminal.hpp"

namespace backstitch::app {
namespace {

/// With the nearest known name, if one is near.
std::string unknown(const std::string& what, const std::string& text,
                    const std::vector<std::string>& known, const std::string& dashes = "") {
  const std::string near = dsl::nearest(text, known);
  return "unknown " + what + " `" + dashes + text + "`" +
         (near.empty() ? "" : "; did you mean `" + dashes + near + "`?");
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> known;
  for (const CLI::Option* one : command.get_options()) {
    for (const auto& name : one->get_lnames()) known.push_back(name);
  }
  return known;
}

std::string unknown_option(const CLI::App& command, const std::string& option) {
  const std::vector<std::string> known = option_names(command);
  const std::string name = option.substr(0, option.find('='));
  const auto letters = name.find_first_not_of('-');
  return letters < 2 || letters == std::string::npos
             ? "unknown option `" + name + "`"
             : unknown("option", name.substr(letters), known, "--");
}

/// What the parser could not place, if anything: an option, a command, or one word too many.
std::optional<std::string> misplaced(const CLI::App& command) {
  if (command.get_allow_extras()) return std::nullopt;
  const auto left_over = command.remaining();
  for (const auto& text : left_over) {
    if (text.size() > 1 && text.front() == '-') return unknown_option(command, text);
  }
  if (left_over.empty()) return std::nullopt;
  std::vector<std::string> known;
  if (command.get_subcommands().empty()) {
    for (const CLI::App* one : command.get_subcommands({})) known.push_back(one->get_name());
  }
  return known.empty() ? "unexpected argument `" + left_over.front() + "`"
                       : unknown("command", left_over.front(), known);
}

/// A command that was named, and its name without the program's.
struct Chosen {
  const CLI::App* command;
  std::string name;
};

/// From the program to the innermost command.
std::vector<Chosen> chosen_of(const CLI::App& app) {
  std::vector<Chosen> chosen{{&app, ""}};
  while (!chosen.back().command->get_subcommands().empty()) {
    const auto& outer = chosen.back();
    const CLI::App* inner = outer.command->get_subcommands().front();
    chosen.push_back({inner, (outer.name.empty() ? "" : outer.name + " ") + inner->get_name()});
  }
  return chosen;
}

void print_misuse(const Chosen& chosen, const std::string& message) {
  // It may quote the URL of a database.
  print(stderr, "%s %s\n", Terminal().paint(Style::bad, "error:").c_str(),
        postgres::without_passwords(message).c_str());
  if (chosen.name.empty()) {
    print(stderr,
          "Example: %s\n"
          "`backstitch --help` lists the commands, `backstitch COMMAND --help` explains "
          "one.\n",
          example_of("start").c_str());
    return;
  }
  print(stderr, "Example: %s\n`backstitch %s --help` lists the options.\n",
        example_of(chosen.name).c_str(), chosen.name.c_str());
}

}  // namespace

void throw_usage(const std::string& message) {
  throw CLI::ParseError(message, CLI::ExitCodes::InvalidError);
}

void throw_unknown_option(const CLI::App& command, const std::string& option) {
  throw_usage(unknown_option(command, option));
}

void refuse_foreign_bytes(const CLI::App& app) {
  for (const auto& chosen : chosen_of(app)) {
    for (const CLI::Option* option : chosen.command->get_options()) {
      for (const auto& value : option->results()) {
        if (!is_utf8(value)) throw_usage(option->get_name() + " is not UTF-8: `" + value + "`");
      }
    }
  }
}

std::string unknown_key(const CLI::App& command, const std::string& key) {
  std::vector<std::string> known = option_names(command);
  std::erase_if(known, [](const std::string& name) { return !is_config_key(name); });
  return unknown("key", key, known);
}

bool is_config_key(const std::string& name) {
  return name != "config" && name != "help" && name != "help-all";
}

int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = chosen_of(app);
  const bool is_help = error.get_exit_code() == 0;
  // Help is for a command that exists: `backstitch strat --help` names the mistake.
  if (is_help && chosen.size() > 1) return app.exit(error);
  for (auto one = chosen.rbegin(); one != chosen.rend(); ++one) {
    const auto stray = misplaced(*one->command);
    if (!stray) continue;
    print_misuse(*one, *stray);
    return exit_usage;
  }
  if (is_help) return app.exit(error);
  print_misuse(chosen.back(), chosen.size() == 1 ? "no command is given" : error.what());
  return exit_usage;
}

}  // namespace backstitch::app

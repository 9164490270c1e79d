/// rehearse: a saga in virtual time, in this process, against stand-ins.
#include <cstdio>
#include <memory>

#include <backstitch/rehearsal/rehearsal.hpp>

#include "../follow.hpp"
#include "../rehearsal_text.hpp"
#include "../usage.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

constexpr std::string_view cancel_prefix = "--cancel@";

struct RehearseOptions {
  std::vector<std::string> files, children, faults, signals, answers, services, cancel_at;
  std::vector<std::string> others;  ///< what the parser does not know: --cancel@TIME
  std::string input, until, start;
  std::uint64_t seed = 1;
};

Result<Duration> time_of(const std::string& option, const std::string& text) {
  const auto time = parse_duration(text);
  if (!time) return invalid_option(option + " takes a time after the start, like 90s or 2h.");
  return *time;
}

Result<Done> read_named(const std::vector<std::string>& given, const char* option,
                        std::map<std::string, Json>& into) {
  for (const auto& one : given) {
    const auto pair = split_named(option, one);
    if (!pair) return pair.error();
    auto json = read_json(pair->second);
    if (!json) return std::move(json).error();
    into[pair->first] = std::move(*json);
  }
  return Done{};
}

/// NAME, NAME@TIME, NAME=FILE or NAME@TIME=FILE.
Result<rehearsal::Signal> signal_of(const std::string& text) {
  rehearsal::Signal signal;
  const auto equals = text.find('=');
  const std::string head = text.substr(0, equals);
  const auto at = head.find('@');
  signal.name = head.substr(0, at);
  if (signal.name.empty())
    return invalid_option("--signal takes NAME@TIME=FILE; `" + text + "` is not that.");
  if (at != std::string::npos) {
    const auto time = time_of("--signal", head.substr(at + 1));
    if (!time) return time.error();
    signal.at = *time;
  }
  if (equals == std::string::npos) return signal;
  auto payload = read_json(text.substr(equals + 1));
  if (!payload) return std::move(payload).error();
  signal.payload = std::move(*payload);
  return signal;
}

Result<Done> read_times(const RehearseOptions& given, rehearsal::Options& options) {
  for (const auto& other : given.others) {
    const auto time = time_of("--cancel@TIME", other.substr(cancel_prefix.size()));
    if (!time) return time.error();
    options.cancel_at = *time;
  }
  if (!given.until.empty()) {
    const auto time = time_of("--until", given.until);
    if (!time) return time.error();
    options.until = *time;
  }
  if (given.start.empty()) return Done{};
  const auto start = parse_rfc3339(given.start);
  if (!start) return invalid_option("--start takes a time like 2026-03-01T09:00:00Z.");
  options.start = *start;
  return Done{};
}

Result<rehearsal::Options> options_of(const RehearseOptions& given) {
  rehearsal::Options options;
  options.seed = given.seed;
  options.cancel_at_steps = given.cancel_at;
  if (!given.input.empty()) {
    auto input = read_json(given.input);
    if (!input) return std::move(input).error();
    options.input = std::move(*input);
  }
  for (const auto& text : given.faults) {
    auto fault = rehearsal::parse_fault(text);
    if (!fault) return std::move(fault).error();
    options.faults.push_back(std::move(*fault));
  }
  for (const auto& text : given.signals) {
    auto signal = signal_of(text);
    if (!signal) return std::move(signal).error();
    options.signals.push_back(std::move(*signal));
  }
  if (auto done = read_named(given.answers, "--answer", options.answers); !done)
    return std::move(done).error();
  if (auto done = read_named(given.services, "--service", options.services); !done)
    return std::move(done).error();
  if (auto done = read_times(given, options); !done) return std::move(done).error();
  return options;
}

int rehearse(const Global& global, const RehearseOptions& given) {
  const auto options = options_of(given);
  if (!options) return report(global, options.error());
  std::vector<std::string> definitions;
  for (const auto* files : {&given.files, &given.children}) {
    for (const auto& file : *files) {
      auto text = read_text(file);
      if (!text) return report(global, text.error());
      definitions.push_back(std::move(*text));
    }
  }
  const auto played = rehearsal::Rehearsal(std::move(definitions)).run(*options);
  if (!played) return report(global, played.error());
  const Json json = to_json(*played);
  if (global.json) {
    Json shown = json;
    shown["file"] = given.files.front();
    print_json(shown);
  } else {
    print(stdout, "%s", rehearsal_text(*played, global.terminal).c_str());
  }
  return exit_code_of_saga(json);
}

constexpr const char* fault_help =
    "STEP=WHAT goes wrong: refuse, refuse:CODE, refuse:STATUS, transient, unknown-done, "
    "unknown-lost, down, down:30s, unanswered, empty-body, html-body; *N behind it: the first N "
    "calls only; "
    "STEP/undo, STEP/probe, STEP/poll: that call of the step; may be repeated";

}  // namespace

void add_rehearse(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand(
      "rehearse", "Run a definition in virtual time against stand-ins; exit 1 unless it completes");
  auto options = std::make_shared<RehearseOptions>();
  command
      ->add_option("FILE", options->files,
                   "Definition to run; further files: definitions of its sub-sagas")
      ->required();
  command->add_option("--input", options->input,
                      "Input: a file, - for standard input, or JSON; default: {}");
  const auto add_many = [&](const char* name, std::vector<std::string>& into, const char* help) {
    command->add_option(name, into, help)->allow_extra_args(false);
  };
  add_many("--child", options->children, "Definition of a sub-saga; may be repeated");
  add_many("--fail", options->faults, fault_help);
  add_many("--answer", options->answers,
           "STEP=FILE: what the step's stand-in answers; FILE may be JSON itself");
  add_many("--service", options->services,
           "NAME=FILE: a registered service, where its outcomes or retries matter");
  add_many("--signal", options->signals, "NAME@TIME=FILE: a signal, so long after the start");
  add_many("--cancel-at", options->cancel_at, "STEP: cancel when it begins; --cancel@TIME: then");
  command->add_option("--seed", options->seed, "Of the jitter in retries")->capture_default_str();
  command->add_option("--until", options->until, "Stop after this time; default: 30d");
  command->add_option("--start", options->start, "When it starts; default: 2026-01-01T00:00:00Z");
  add_json_option(*command, global);
  // An option with a time in its name is none that the parser could know.
  command->allow_extras();
  command->callback([&global, command, options] {
    options->others = command->remaining();
    for (const auto& other : options->others)
      if (!other.starts_with(cancel_prefix)) throw_unknown_option(*command, other);
    global.run = [&global, options] { return rehearse(global, *options); };
  });
}

}  // namespace backstitch::app

/// verify: every way a saga can go, and what it would take to break a promise.
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include <backstitch/dsl/check.hpp>
#include <backstitch/engine/explore/explore.hpp>
#include <backstitch/engine/explore/worst_case.hpp>
#include <backstitch/engine/machine/pins.hpp>

#include "../findings.hpp"
#include "../foreign_text.hpp"
#include "../interrupt.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

using Clock = std::chrono::steady_clock;
namespace explore = engine::explore;

struct VerifyOptions {
  std::vector<std::string> files;
  std::vector<std::string> inputs;
  std::uint64_t states_max = 1'000'000;
  double seconds = 0;  ///< 0: no limit
};

struct Source {
  std::string file;
  std::string text;
  dsl::Parsed parsed;
};

struct Input {
  std::string given;  ///< as on the command line
  Json value;
};

/// Of several files the worst: a violation, then what was not followed to its end.
int worse(int one, int other) {
  const auto rank = [](int code) {
    const int by_badness[] = {exit_done, exit_undecided, exit_bad, exit_usage, exit_unreachable};
    return std::find(std::begin(by_badness), std::end(by_badness), code) - std::begin(by_badness);
  };
  return rank(one) < rank(other) ? other : one;
}

int exit_code_of(const explore::Exploration& found) {
  const auto& all = found.violations;
  const bool assumed_only =
      std::all_of(all.begin(), all.end(), [](const auto& one) { return one.assumed; });
  if (!assumed_only) return exit_bad;
  return all.empty() && found.complete && found.states > 0 ? exit_done : exit_undecided;
}

Json json_of(const Source& source, const explore::Exploration& found,
             const explore::WorstCase& worst) {
  Json endings = Json::array();
  for (const auto& ending : found.endings) {
    Json one{{"status", to_text(ending.status)}, {"count", ending.count}, {"story", ending.story}};
    if (!ending.why.empty()) one["why"] = ending.why;
    if (ending.odd_body) one["oddBody"] = true;
    if (ending.assumed) one["assumed"] = true;
    endings.push_back(std::move(one));
  }
  Json violations = Json::array();
  for (const auto& violation : found.violations) {
    violations.push_back({{"promise", violation.promise},
                          {"message", violation.what},
                          {"assumed", violation.assumed},
                          {"story", violation.story}});
  }
  return {{"file", source.file},
          {"states", found.states},
          {"transitions", found.transitions},
          {"complete", found.complete},
          {"endings", std::move(endings)},
          {"violations", std::move(violations)},
          {"unreached", found.unreached},
          {"assumptions", found.assumptions},
          {"notes", found.notes},
          {"worstCase",
           {{"forward", explore::to_text(worst.forward)},
            {"backward", explore::to_text(worst.backward)}}}};
}

void print_ending(const Terminal& terminal, const explore::Ending& ending) {
  const Style style = ending.status == engine::SagaStatus::completed ? Style::good
                      : ending.status == engine::SagaStatus::failed  ? Style::warn
                                                                     : Style::bad;
  std::string status = to_text(ending.status);
  if (!ending.why.empty()) status = padded(std::move(status), 19);
  print(stdout, "  %s %s%s%s%s\n", padded(std::to_string(ending.count), 8).c_str(),
        terminal.paint(style, status).c_str(), ending.why.c_str(),
        ending.odd_body ? "  [after an empty or HTML body]" : "",
        ending.assumed ? "  [assumed]" : "");
  std::string line;
  for (std::size_t i = 0; i + 1 < ending.story.size(); ++i)
    line += (line.empty() ? "" : " > ") + ending.story[i];
  print(stdout, "           %s\n", terminal.paint(Style::dim, line).c_str());
}

/// What keeps the search from being a proof, or had to be assumed for it.
void print_reservations(const Terminal& terminal, const explore::Exploration& found) {
  const auto each = [&](const char* label, const std::vector<std::string>& lines) {
    for (const auto& line : lines)
      print(stdout, "  %s %s\n", terminal.paint(Style::warn, label).c_str(), line.c_str());
  };
  each("note:", found.notes);
  each("assumed both ways:", found.assumptions);
  each("never reached:", found.unreached);
}

std::string verdict(const Terminal& terminal, const explore::Exploration& found) {
  if (found.states == 0) return terminal.paint(Style::warn, "nothing was explored");
  if (!found.complete)
    return terminal.paint(Style::warn, "no violation so far; not everything was followed");
  return terminal.paint(Style::good, found.assumptions.empty()
                                         ? "every promise holds"
                                         : "every promise holds, also on the assumed ways");
}

void print_result(const Global& global, const Source& source, const explore::Exploration& found,
                  const explore::WorstCase& worst) {
  const auto& terminal = global.terminal;
  print(stdout, "%s\n", terminal.paint(Style::bold, source.file).c_str());
  print(stdout, "  %llu states, %llu transitions, %zu distinct endings%s\n",
        static_cast<unsigned long long>(found.states),
        static_cast<unsigned long long>(found.transitions), found.endings.size(),
        found.complete ? "; every way was followed to its end" : "; not complete");
  print_reservations(terminal, found);
  print(stdout, "  worst case: forward %s, backward %s\n\n",
        explore::to_text(worst.forward).c_str(), explore::to_text(worst.backward).c_str());
  for (const auto& ending : found.endings) print_ending(terminal, ending);
  for (const auto& violation : found.violations) {
    print(stdout, "\n  %s %s\n",
          terminal
              .paint(violation.assumed ? Style::warn : Style::bad,
                     (violation.assumed ? "may violate " : "violates ") + violation.promise +
                         (violation.assumed ? " (assumed):" : ":"))
              .c_str(),
          violation.what.c_str());
    for (std::size_t i = 0; i + 1 < violation.story.size(); ++i)
      print(stdout, "  %s %s\n", padded(std::to_string(i + 1) + ".", 4).c_str(),
            violation.story[i].c_str());
  }
  if (found.violations.empty()) print(stdout, "\n  %s\n", verdict(terminal, found).c_str());
}

/// Tells how far it is, on a terminal only, and ends the search in time.
std::function<bool(const explore::Counts&)> watch(const VerifyOptions& options,
                                                  const InterruptWatch& interrupt) {
  const auto began = Clock::now();
  const bool shown = ::isatty(STDERR_FILENO) == 1;
  return [began, shown, &interrupt, seconds = options.seconds,
          told = std::chrono::seconds{0}](const explore::Counts& counts) mutable {
    const auto passed = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began);
    if (shown && passed > told) {
      told = passed;
      clear_line(stderr);
      print(stderr,
            "%llu states, %llu transitions, %llu to go on from, %llds; Ctrl-C ends "
            "it with what was found",
            static_cast<unsigned long long>(counts.states),
            static_cast<unsigned long long>(counts.transitions),
            static_cast<unsigned long long>(counts.waiting),
            static_cast<long long>(passed.count()));
    }
    const double spent = std::chrono::duration<double>(Clock::now() - began).count();
    return !interrupt.is_interrupted() && (seconds <= 0 || spent < seconds);
  };
}

/// Those inputs that the definition admits, defaults filled in.
std::vector<Json> admitted(const dsl::Definition& definition, const std::vector<Input>& inputs) {
  std::vector<Json> out;
  for (const auto& input : inputs) {
    if (auto admitted = engine::admit_input(definition, input.value))
      out.push_back(std::move(*admitted));
  }
  return out;
}

Json verify_one(const Global& global, const VerifyOptions& options,
                const std::vector<Input>& inputs, const Source& source,
                const engine::FindDefinition& child, int& code) {
  // As at registration: what a child is makes what its step is.
  const auto definition = engine::with_pins(source.parsed.definition,
                                            engine::pins_of(*source.parsed.definition, child));
  const engine::Program program{definition, std::make_shared<engine::ServiceMap>(), nullptr};
  const InterruptWatch interrupt;
  auto found = explore::explore(
      program, {options.states_max, watch(options, interrupt), admitted(*definition, inputs)});
  if (::isatty(STDERR_FILENO) == 1) clear_line(stderr);
  if (interrupt.is_interrupted()) found.notes.emplace_back("interrupted");
  const auto worst = explore::worst_case(
      program, [&child](const std::string& name, std::optional<std::int64_t> version) {
        return child(name, version.value_or(0));
      });
  code = worse(code, exit_code_of(found));
  if (!global.json) print_result(global, source, found, worst);
  return json_of(source, found, worst);
}

/// As `validate` does.
Json print_findings(const Global& global, const Source& source) {
  Json findings = Json::array();
  for (const auto& finding : source.parsed.findings) {
    findings.push_back(to_json(finding));
    if (!global.json) print_finding(stdout, global.terminal, {source.file, source.text}, finding);
  }
  return {{"file", source.file}, {"findings", std::move(findings)}};
}

/// Of the files at hand: the newest of that name, or that version; version 0: the newest.
engine::FindDefinition definitions_in(const std::vector<Source>& sources) {
  return [&sources](const std::string& name, std::int64_t version) {
    std::shared_ptr<const dsl::Definition> best;
    for (const auto& source : sources) {
      const auto& one = source.parsed.definition;
      const bool asked_for = one && one->name == name && (version == 0 || one->version == version);
      if (asked_for && (!best || best->version < one->version)) best = one;
    }
    return best;
  };
}

std::vector<Source> read_sources(const Global& global, const VerifyOptions& options, int& code) {
  std::vector<Source> sources;
  for (const auto& file : options.files) {
    auto text = read_text(file);
    if (!text) {
      code = worse(code, report(global, text.error()));
      continue;
    }
    auto parsed = dsl::parse_and_check(*text);
    sources.push_back({file, std::move(*text), std::move(parsed)});
  }
  // Once more: now each knows the others, as sagas that it may call.
  dsl::CheckContext context;
  context.definition = definitions_in(sources);
  context.knows_every_definition = false;
  std::vector<dsl::Parsed> checked;
  for (const auto& source : sources) checked.push_back(dsl::parse_and_check(source.text, context));
  for (std::size_t i = 0; i < sources.size(); ++i) sources[i].parsed = std::move(checked[i]);
  return sources;
}

Result<std::vector<Input>> read_inputs(const VerifyOptions& options) {
  std::vector<Input> inputs;
  for (const auto& given : options.inputs) {
    auto value = read_json(given);
    if (!value) return std::move(value).error();
    inputs.push_back({given, std::move(*value)});
  }
  return inputs;
}

/// What the last of the definitions says against an input; empty: one admits it, or there is none.
std::string refusal_by_all(const std::vector<Source>& sources, const Json& input) {
  std::string refused;
  for (const auto& source : sources) {
    if (!source.parsed.definition) continue;
    const auto admitted = engine::admit_input(*source.parsed.definition, input);
    if (admitted) return {};
    const Error& error = admitted.error();
    refused = error.message;
    if (!error.details.empty())
      refused += " " + error.details[0].pointer + " " + error.details[0].message;
  }
  return refused;
}

/// Every input has to be admitted by one of the definitions: what is not used was given by mistake.
std::optional<Error> unused_input(const std::vector<Source>& sources,
                                  const std::vector<Input>& inputs) {
  for (const auto& input : inputs) {
    const std::string refused = refusal_by_all(sources, input.value);
    if (refused.empty()) continue;
    return Error{ErrorCode::invalid, "INPUT_INVALID",
                 "--input " + shortened(input.given, 100) + " was not used: " + refused};
  }
  return std::nullopt;
}

int verify_files(const Global& global, const VerifyOptions& options) {
  auto inputs = read_inputs(options);
  if (!inputs) return report(global, inputs.error());
  int code = exit_done;
  const std::vector<Source> sources = read_sources(global, options, code);
  const auto child = definitions_in(sources);
  if (const auto unused = unused_input(sources, *inputs)) {
    report(global, *unused);
    return exit_usage;
  }
  Json results = Json::array();
  for (const auto& source : sources) {
    if (has_errors(source.parsed.findings) || !source.parsed.definition) {
      results.push_back(print_findings(global, source));
      code = worse(code, exit_bad);
      continue;
    }
    results.push_back(verify_one(global, options, *inputs, source, child, code));
  }
  if (global.json && !results.empty()) print_json(options.files.size() == 1 ? results[0] : results);
  return code;
}

}  // namespace

void add_verify(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand(
      "verify", "Explore every way definitions can go; exit 1 with a counterexample");
  auto options = std::make_shared<VerifyOptions>();
  command->add_option("FILE", options->files, "Definition files; a sub-saga's beside its parent's")
      ->required();
  command->add_option("--input", options->inputs,
                      "A further input to start with: a file, -, or JSON; may be repeated");
  command->add_option("--states-max", options->states_max, "Stop after so many states")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--seconds", options->seconds, "Stop after so many seconds for each file")
      ->check(CLI::PositiveNumber);
  add_json_option(*command, global);
  command->callback([&global, options] {
    global.run = [&global, options] { return verify_files(global, *options); };
  });
}

}  // namespace backstitch::app

/// verify: every way a saga can go, and what it would take to break a promise.
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>

#include <backstitch/dsl/check.hpp>
#include <backstitch/engine/explore/explore.hpp>
#include <backstitch/engine/explore/worst_case.hpp>

#include "../findings.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

using Clock = std::chrono::steady_clock;
namespace explore = engine::explore;

struct VerifyOptions {
  std::vector<std::string> files;
  std::uint64_t states_max = 1'000'000;
  double seconds = 0;  ///< 0: no limit
};

struct Source {
  std::string file;
  std::string text;
  dsl::Parsed parsed;
};

Json json_of(const Source& source, const explore::Exploration& found,
             const explore::WorstCase& worst) {
  Json endings = Json::array();
  for (const auto& ending : found.endings) {
    Json one{{"status", to_text(ending.status)}, {"count", ending.count}, {"story", ending.story}};
    if (ending.odd_body) one["oddBody"] = true;
    endings.push_back(std::move(one));
  }
  Json violations = Json::array();
  for (const auto& violation : found.violations)
    violations.push_back({{"promise", violation.promise}, {"story", violation.story}});
  return {{"file", source.file},
          {"states", found.states},
          {"transitions", found.transitions},
          {"complete", found.complete},
          {"endings", std::move(endings)},
          {"violations", std::move(violations)},
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
  std::printf("  %s %s%s%s\n", padded(std::to_string(ending.count), 8).c_str(),
              terminal.paint(style, status).c_str(), ending.why.c_str(),
              ending.odd_body ? "  [after an empty or HTML body]" : "");
  std::string line;
  for (std::size_t i = 0; i + 1 < ending.story.size(); ++i)
    line += (line.empty() ? "" : " > ") + ending.story[i];
  std::printf("           %s\n", terminal.paint(Style::dim, line).c_str());
}

void print_result(const Global& global, const Source& source, const explore::Exploration& found,
                  const explore::WorstCase& worst) {
  const auto& terminal = global.terminal;
  std::printf("%s\n", terminal.paint(Style::bold, source.file).c_str());
  std::printf("  %llu states, %llu transitions, %zu distinct endings%s\n",
              static_cast<unsigned long long>(found.states),
              static_cast<unsigned long long>(found.transitions), found.endings.size(),
              found.complete ? "; every way was followed to its end" : "");
  if (!found.complete)
    std::printf("  %s\n", terminal.paint(Style::warn, "bound reached; so far:").c_str());
  for (const auto& note : found.notes)
    std::printf("  %s %s\n", terminal.paint(Style::warn, "note:").c_str(), note.c_str());
  std::printf("  worst case: forward %s, backward %s\n\n", explore::to_text(worst.forward).c_str(),
              explore::to_text(worst.backward).c_str());
  for (const auto& ending : found.endings) print_ending(terminal, ending);
  for (const auto& violation : found.violations) {
    std::printf("\n  %s %s\n",
                terminal.paint(Style::bad, "violates " + violation.promise + ":").c_str(),
                violation.what.c_str());
    for (std::size_t i = 0; i + 1 < violation.story.size(); ++i)
      std::printf("  %s %s\n", padded(std::to_string(i + 1) + ".", 4).c_str(),
                  violation.story[i].c_str());
  }
  if (!found.violations.empty()) return;
  std::printf("\n  %s\n", found.complete
                              ? terminal.paint(Style::good, "every promise holds").c_str()
                              : terminal.paint(Style::warn, "no violation so far").c_str());
}

/// Tells how far it is, on a terminal only, and ends the search in time.
std::function<bool(const explore::Counts&)> watch(const VerifyOptions& options) {
  const auto began = Clock::now();
  const bool shown = ::isatty(STDERR_FILENO) == 1;
  return [began, shown, seconds = options.seconds,
          told = std::chrono::seconds{0}](const explore::Counts& counts) mutable {
    const auto passed = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began);
    if (shown && passed > told) {
      told = passed;
      std::fprintf(stderr, "\r\x1b[2K%llu states, %llu transitions, %llu to go on from, %llds",
                   static_cast<unsigned long long>(counts.states),
                   static_cast<unsigned long long>(counts.transitions),
                   static_cast<unsigned long long>(counts.waiting),
                   static_cast<long long>(passed.count()));
    }
    return seconds <= 0 || std::chrono::duration<double>(Clock::now() - began).count() < seconds;
  };
}

Json verify_one(const Global& global, const VerifyOptions& options, const Source& source,
                const explore::FindChild& child, bool& violated) {
  const engine::Program program{source.parsed.definition, std::make_shared<engine::ServiceMap>(),
                                nullptr};
  const auto found = explore::explore(program, {options.states_max, watch(options)});
  if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\x1b[2K");
  const auto worst = explore::worst_case(program, child);
  violated = !found.violations.empty();
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

int verify_files(const Global& global, const VerifyOptions& options) {
  int code = exit_done;
  std::vector<Source> sources;
  for (const auto& file : options.files) {
    auto text = read_text(file);
    if (!text) {
      code = std::max(code, report(global, text.error()));
      continue;
    }
    auto parsed = dsl::parse_and_check(*text);
    sources.push_back({file, std::move(*text), std::move(parsed)});
  }
  const explore::FindChild child = [&sources](const std::string& name,
                                              std::optional<std::int64_t> version) {
    std::shared_ptr<const dsl::Definition> best;
    for (const auto& source : sources) {
      const auto& one = source.parsed.definition;
      if (one && one->name == name && (!version || one->version == *version)) best = one;
    }
    return best;
  };
  Json results = Json::array();
  for (const auto& source : sources) {
    if (has_errors(source.parsed.findings) || !source.parsed.definition) {
      results.push_back(print_findings(global, source));
      code = std::max(code, exit_bad);
      continue;
    }
    bool violated = false;
    results.push_back(verify_one(global, options, source, child, violated));
    if (violated) code = std::max(code, exit_bad);
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

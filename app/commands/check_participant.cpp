/// check-participant: whether services keep the promises that a definition relies on.
#include <algorithm>
#include <cstdio>
#include <memory>

#include <backstitch/contract_check/contract_check.hpp>

#include "commands.hpp"
#include "version.hpp"

namespace backstitch::app {
namespace {

using contract_check::Finding;
using contract_check::Standing;

struct CheckOptions {
  std::vector<std::string> files, base_urls, services, steps, signals, allow_hosts;
  std::string input, secrets;
  std::string patience = "60s";
  bool pairs_only = false;
};

/// NAME=VALUE. @return an error that names the option
Result<std::pair<std::string, std::string>> named(const char* option, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == std::string::npos)
    return invalid_option(std::string(option) + " takes NAME=VALUE; `" + text + "` is not that.");
  return std::pair{text.substr(0, equals), text.substr(equals + 1)};
}

Result<contract_check::Options> options_of(const CheckOptions& given) {
  contract_check::Options options;
  options.steps = given.steps;
  options.pairs_only = given.pairs_only;
  options.allow_hosts = given.allow_hosts;
  options.secrets = given.secrets;
  options.version = version;
  const auto patience = parse_duration(given.patience);
  if (!patience) return invalid_option("--patience takes a time, like 60s.");
  options.patience = *patience;
  if (!given.input.empty()) {
    auto input = read_json(given.input);
    if (!input) return std::move(input).error();
    options.input = std::move(*input);
  }
  for (const auto& text : given.base_urls) {
    const auto pair = named("--base-url", text);
    if (!pair) return pair.error();
    options.base_urls.insert(*pair);
  }
  for (const auto& text : given.services) {
    const auto pair = named("--service", text);
    if (!pair) return pair.error();
    auto document = read_json(pair->second);
    if (!document) return std::move(document).error();
    options.services[pair->first] = std::move(*document);
  }
  for (const auto& text : given.signals) {
    const auto pair = named("--signal", text);
    if (!pair) return pair.error();
    auto payload = read_json(pair->second);
    if (!payload) return std::move(payload).error();
    options.signals.push_back({pair->first, std::move(*payload)});
  }
  return options;
}

void print_finding(const Terminal& terminal, const Finding& finding, std::size_t width) {
  const std::string title = padded(contract_check::title_of(finding.promise), width);
  switch (finding.standing) {
    case Standing::holds:
      std::printf("  %s %s %s\n", terminal.paint(Style::good, "✔").c_str(), title.c_str(),
                  terminal.paint(Style::dim, finding.came).c_str());
      break;
    case Standing::not_checkable:
      std::printf("  %s %s not checkable: %s\n", terminal.paint(Style::warn, "?").c_str(),
                  title.c_str(), finding.came.c_str());
      break;
    case Standing::broken:
      std::printf("  %s %s\n      expected  %s\n      came      %s\n      to do     %s\n",
                  terminal.paint(Style::bad, "✘").c_str(),
                  terminal.paint(Style::bad, title + " BROKEN").c_str(), finding.expected.c_str(),
                  finding.came.c_str(), finding.advice.c_str());
      break;
  }
}

void print_report(const Terminal& terminal, const contract_check::Report& report) {
  std::size_t width = 0;
  for (const Finding& finding : report.findings)
    width = std::max(width, std::string(contract_check::title_of(finding.promise)).size());
  for (auto begin = report.findings.begin(); begin != report.findings.end();) {
    const auto end = std::find_if(begin, report.findings.end(), [&](const Finding& finding) {
      return finding.step != begin->step;
    });
    std::printf("%s\n", terminal.paint(Style::bold, begin->step).c_str());
    // That nothing can be said of a step is said once.
    const bool nothing = std::all_of(begin, end, [](const Finding& finding) {
      return finding.standing == Standing::not_checkable;
    });
    if (nothing)
      std::printf("  %s not checkable: %s\n", terminal.paint(Style::warn, "?").c_str(),
                  begin->came.c_str());
    for (; begin != end; ++begin) {
      if (!nothing) print_finding(terminal, *begin, width);
    }
  }
  for (const auto& what : report.left)
    std::printf("%s %s\n", terminal.paint(Style::warn, "left behind:").c_str(), what.c_str());
  const auto count = [&](Standing standing) {
    return std::count_if(report.findings.begin(), report.findings.end(),
                         [&](const Finding& finding) { return finding.standing == standing; });
  };
  const std::string sum = std::to_string(count(Standing::holds)) + " hold, " +
                          std::to_string(count(Standing::broken)) + " broken, " +
                          std::to_string(count(Standing::not_checkable)) + " not checkable" +
                          (count(Standing::holds) == 0 ? ": nothing could be checked" : "");
  std::printf("\n%s\n", terminal.paint(report.kept() ? Style::good : Style::bad, sum).c_str());
}

/// Loud, and before the first call.
void warn(const Terminal& terminal, const contract_check::Options& options) {
  std::string where;
  for (const auto& [name, url] : options.base_urls) where += "  " + name + "  " + url + "\n";
  for (const auto& [name, document] : options.services)
    where +=
        "  " + name + "  " + (document.is_object() ? document.value("baseUrl", "") : "") + "\n";
  if (where.empty()) where = "  the addresses that the definition names\n";
  std::fprintf(stderr, "%s to\n%sEvery saga has keys of its own; %s\n",
               terminal.paint(Style::warn, "REAL CALLS are made, again and again,").c_str(),
               where.c_str(),
               options.pairs_only
                   ? "each is taken back at the end."
                   : "those that examine steps without an undo run to their end and stay done.");
}

int check(const Global& global, const CheckOptions& given) {
  auto options = options_of(given);
  if (!options) {
    const int code = report(global, options.error());
    return options.error().reason == "option-invalid" ? exit_usage : code;
  }
  std::vector<std::string> definitions;
  for (const auto& file : given.files) {
    auto text = read_text(file);
    if (!text) return report(global, text.error());
    definitions.push_back(std::move(*text));
  }
  warn(global.terminal, *options);
  options->progress = [&](const std::string& what) {
    global.terminal.progress("checking " + what);
  };
  const auto result = contract_check::check(std::move(definitions), *options);
  global.terminal.clear_progress();
  if (!result) {
    const int code = report(global, result.error());
    const auto& reason = result.error().reason;
    return reason == "service-missing" || reason == "step-unknown" ? exit_usage : code;
  }
  if (global.json) {
    Json json = to_json(*result);
    json["file"] = given.files.front();
    print_json(json);
  } else {
    print_report(global.terminal, *result);
  }
  return result->kept() ? exit_done : exit_bad;
}

}  // namespace

void add_check_participant(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand(
      "check-participant",
      "Call the services of a definition, really, and report which promises they keep; exit 1 if "
      "one is broken");
  auto options = std::make_shared<CheckOptions>();
  command
      ->add_option("FILE", options->files,
                   "Definition to check; further files: definitions of its sub-sagas")
      ->required();
  command->add_option("--input", options->input,
                      "Input: a file, or -; ${run} in it is new for every saga; default: made from "
                      "the schema");
  const auto add_many = [&](const char* name, std::vector<std::string>& into, const char* help) {
    command->add_option(name, into, help)->allow_extra_args(false);
  };
  add_many("--base-url", options->base_urls, "SERVICE=URL: where it runs; may be repeated");
  add_many("--service", options->services,
           "NAME=FILE: a registered service with its outcomes, headers, authentication");
  add_many("--step", options->steps, "Only this step; may be repeated");
  add_many("--signal", options->signals, "NAME=FILE: sent to every saga when it starts");
  add_many("--allow-host", options->allow_hosts,
           "HOST[:PORT] that may be called although it is private or plain http");
  command->add_option("--secrets", options->secrets, "Directory with one file a secret");
  command->add_flag("--pairs-only", options->pairs_only,
                    "Only steps with an undo: then every saga is taken back");
  command->add_option("--patience", options->patience, "How long one saga may take")
      ->capture_default_str();
  add_json_option(*command, global);
  command->callback(
      [&global, options] { global.run = [&global, options] { return check(global, *options); }; });
}

}  // namespace backstitch::app

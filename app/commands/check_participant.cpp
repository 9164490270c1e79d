/// check-participant: whether services keep the promises that a definition relies on.
#include <algorithm>
#include <cstdio>
#include <memory>

#include <backstitch/contract_check/contract_check.hpp>

#include "../member_text.hpp"
#include "commands.hpp"
#include "version.hpp"

namespace backstitch::app {
namespace {

using contract_check::Conclusion;
using contract_check::Finding;
using contract_check::Standing;

struct CheckOptions {
  std::vector<std::string> files, base_urls, services, steps, accept, signals, allow_hosts;
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
  for (const auto& text : given.accept) {
    const auto colon = text.rfind(':');
    if (colon == 0 || colon == std::string::npos || colon + 1 == text.size())
      return invalid_option("--accept takes STEP:PROMISE; `" + text + "` is not that.");
    options.accept.push_back({text.substr(0, colon), text.substr(colon + 1)});
  }
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

/// The columns before what was found: clause, name of the promise, promise in words.
struct Columns {
  explicit Columns(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) {
      name = std::max(name, std::string(contract_check::to_text(finding.promise)).size());
      title = std::max(title, std::string(contract_check::title_of(finding.promise)).size());
    }
  }
  std::string of(const Finding& finding) const {
    return padded(contract_check::clause_of(finding.promise), 3) + "  " +
           padded(name_of(finding), name) + "  " +
           padded(contract_check::title_of(finding.promise),
                  finding.came.empty() && finding.reason.empty() ? 0 : title);
  }
  static std::string name_of(const Finding& finding) {
    return contract_check::to_text(finding.promise);
  }
  std::size_t name = 0;
  std::size_t title = 0;
};

std::string accepted_note(const Finding& finding) {
  return finding.accepted_by.empty() ? "" : " (accepted by " + finding.accepted_by + ")";
}

void print_finding(const Terminal& terminal, const Finding& finding, const Columns& columns) {
  const std::string line = columns.of(finding);
  switch (finding.standing) {
    case Standing::kept:
      print(stdout, "  %s %s%s\n", terminal.paint(Style::good, "✔").c_str(), line.c_str(),
            finding.came.empty() ? "" : ("  " + terminal.paint(Style::dim, finding.came)).c_str());
      break;
    case Standing::not_checked:
      print(stdout, "  %s %s  NOT CHECKED%s: %s\n", terminal.paint(Style::warn, "?").c_str(),
            line.c_str(), accepted_note(finding).c_str(), finding.reason.c_str());
      break;
    case Standing::broken:
      print(stdout, "  %s %s\n      expected  %s\n      came      %s\n      to do     %s\n",
            terminal.paint(Style::bad, "✘").c_str(),
            terminal.paint(Style::bad, line + "  BROKEN").c_str(), finding.expected.c_str(),
            finding.came.c_str(), contract_check::advice_of(finding.promise));
      break;
  }
}

using FindingPosition = std::vector<Finding>::const_iterator;

/// That nothing of a request was checked for one reason is said once.
void print_request(const Terminal& terminal, FindingPosition begin, FindingPosition end,
                   const Columns& columns) {
  print(stdout, " %s\n",
        terminal.paint(Style::dim, contract_check::to_text(begin->request)).c_str());
  const bool alike = std::all_of(begin, end, [&](const Finding& finding) {
    return finding.standing == Standing::not_checked && finding.reason == begin->reason &&
           finding.accepted_by == begin->accepted_by;
  });
  if (!alike || end - begin == 1) {
    for (; begin != end; ++begin) print_finding(terminal, *begin, columns);
    return;
  }
  std::string names;
  for (auto one = begin; one != end; ++one)
    names += (names.empty() ? "" : ", ") + Columns::name_of(*one);
  print(stdout, "  %s %s: NOT CHECKED%s: %s\n", terminal.paint(Style::warn, "?").c_str(),
        names.c_str(), accepted_note(*begin).c_str(), begin->reason.c_str());
}

std::string sum_of(const contract_check::Report& report) {
  const std::size_t open = report.open();
  const std::size_t accepted = report.count(Standing::not_checked) - open;
  return std::to_string(report.count(Standing::kept)) + " kept, " +
         std::to_string(report.count(Standing::broken)) + " broken, " + std::to_string(open) +
         " not checked" +
         (accepted == 0 ? "" : ", " + std::to_string(accepted) + " accepted as not checked") +
         ", of " + std::to_string(report.findings.size()) + " promises";
}

void print_report(const Terminal& terminal, const contract_check::Report& report) {
  const Columns columns(report.findings);
  for (auto begin = report.findings.begin(); begin != report.findings.end();) {
    const auto end = std::find_if(begin, report.findings.end(), [&](const Finding& finding) {
      return finding.step != begin->step || finding.request != begin->request;
    });
    if (begin == report.findings.begin() || std::prev(begin)->step != begin->step)
      print(stdout, "%s\n", terminal.paint(Style::bold, begin->step).c_str());
    print_request(terminal, begin, end, columns);
    begin = end;
  }
  for (const auto& what : report.left)
    print(stdout, "%s %s\n", terminal.paint(Style::warn, "left behind:").c_str(), what.c_str());
  for (const auto& what : report.unreachable)
    print(stdout, "%s %s\n", terminal.paint(Style::bad, "unreachable:").c_str(), what.c_str());
  const bool good = report.conclusion() == Conclusion::all_checked;
  print(stdout, "\n%s\n", terminal.paint(good ? Style::good : Style::bad, sum_of(report)).c_str());
  if (report.open() == 0) return;
  print(stdout,
        "What is not checked may be broken. Give another --input that leads to it, or accept it "
        "with --accept STEP:PROMISE.\n");
}

int verdict_code(const contract_check::Report& report) {
  switch (report.conclusion()) {
    case Conclusion::all_checked:
      return exit_done;
    case Conclusion::broken:
      return exit_bad;
    case Conclusion::unreachable:
      return exit_unreachable;
    case Conclusion::not_all_checked:
      break;
  }
  return exit_undecided;
}

/// Loud, and before the first call.
void warn(const Terminal& terminal, const contract_check::Options& options) {
  std::string where;
  for (const auto& [name, url] : options.base_urls) where += "  " + name + "  " + url + "\n";
  for (const auto& [name, document] : options.services)
    where += "  " + name + "  " + (document.is_object() ? text_of(document, "baseUrl") : "") + "\n";
  if (where.empty()) where = "  the addresses that the definition names\n";
  print(stderr, "%s to\n%sEvery saga has keys of its own; %s\n",
        terminal.paint(Style::warn, "REAL CALLS are made, again and again,").c_str(), where.c_str(),
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
    const bool usage =
        reason == "service-missing" || reason == "step-unknown" || reason == "accept-unknown";
    return usage ? exit_usage : code;
  }
  if (global.json) {
    Json json = to_json(*result);
    json["file"] = given.files.front();
    print_json(json);
  } else {
    print_report(global.terminal, *result);
  }
  return verdict_code(*result);
}

}  // namespace

void add_check_participant(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand(
      "check-participant",
      "Call the services of a definition, really, and report which clauses of the participant "
      "contract they keep, which they break, and which were not checked");
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
  add_many("--accept", options->accept,
           "STEP:PROMISE that need not be checked; may be repeated; never accepts a broken one");
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

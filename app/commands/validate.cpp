/// validate: every finding of a definition, as a compiler would print it.
#include <algorithm>
#include <cstdio>
#include <memory>

#include <backstitch/dsl/check.hpp>

#include "commands.hpp"

namespace backstitch::app {
namespace {

std::string line_of(const std::string& text, std::uint32_t number) {
  std::size_t begin = 0;
  for (std::uint32_t line = 1; line < number; ++line) {
    const auto end = text.find('\n', begin);
    if (end == std::string::npos) return {};
    begin = end + 1;
  }
  return text.substr(begin, text.find('\n', begin) - begin);
}

void print_finding(const Global& global, const std::string& file, const std::string& text,
                   const dsl::Finding& finding) {
  const bool bad = finding.severity == dsl::Severity::error;
  const auto& terminal = global.terminal;
  std::printf(
      "%s:%u:%u: %s %s\n", file.c_str(), finding.line, finding.column,
      terminal
          .paint(bad ? Style::bad : Style::warn, (bad ? "error " : "warning ") + finding.code + ":")
          .c_str(),
      finding.message.c_str());
  if (const std::string line = finding.line > 0 ? line_of(text, finding.line) : ""; !line.empty()) {
    const std::string margin = std::to_string(finding.line);
    const std::size_t indent = finding.column > 0 ? finding.column - 1 : 0;
    std::printf("  %s | %s\n", terminal.paint(Style::dim, margin).c_str(), line.c_str());
    std::printf("  %s | %s%s\n", std::string(margin.size(), ' ').c_str(),
                std::string(indent, ' ').c_str(), terminal.paint(Style::accent, "^").c_str());
  }
  std::printf("  at %s\n", finding.pointer.empty() ? "/" : finding.pointer.c_str());
  if (!finding.hint.empty())
    std::printf("  %s %s\n", terminal.paint(Style::accent, "hint:").c_str(), finding.hint.c_str());
}

int validate_files(const Global& global, const std::vector<std::string>& files) {
  Json results = Json::array();
  int code = exit_done;
  for (const auto& file : files) {
    const auto text = read_text(file);
    if (!text) {
      code = std::max(code, report(global, text.error()));
      continue;
    }
    const auto parsed = dsl::parse_and_check(*text);
    if (has_errors(parsed.findings)) code = std::max(code, exit_bad);
    Json findings = Json::array();
    for (const auto& finding : parsed.findings) {
      if (global.json)
        findings.push_back(to_json(finding));
      else
        print_finding(global, file, *text, finding);
    }
    if (global.json) {
      results.push_back({{"file", file}, {"findings", std::move(findings)}});
    } else if (parsed.findings.empty()) {
      std::printf("%s: %s\n", file.c_str(),
                  global.terminal.paint(Style::good, "no findings").c_str());
    }
  }
  if (global.json && !results.empty()) print_json(files.size() == 1 ? results[0] : results);
  return code;
}

}  // namespace

void add_validate(CLI::App& app, Global& global) {
  auto* command =
      app.add_subcommand("validate", "Check definitions without a server; exit 1 on errors");
  auto files = std::make_shared<std::vector<std::string>>();
  command->add_option("FILE", *files, "Definition files, - for standard input")->required();
  add_json_option(*command, global);
  command->callback([&global, files] {
    global.run = [&global, files] { return validate_files(global, *files); };
  });
}

}  // namespace backstitch::app

/// validate: every finding of a definition, as a compiler would print it.
#include <algorithm>
#include <cstdio>
#include <memory>

#include <backstitch/dsl/check.hpp>

#include "../findings.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

int validate_files(const Global& global, const std::vector<std::string>& files) {
  Json results = Json::array();
  int code = exit_done;
  for (const auto& file : files) {
    const auto text = read_text(file);
    if (!text) {
      code = std::max(code, exit_code_of(text.error()));
      if (!global.json) report(global, text.error());
      Json result = error_json(text.error());
      result["file"] = file;
      results.push_back(std::move(result));
      continue;
    }
    const auto parsed = dsl::parse_and_check(*text);
    if (has_errors(parsed.findings)) code = std::max(code, exit_bad);
    Json findings = Json::array();
    for (const auto& finding : parsed.findings) {
      if (global.json)
        findings.push_back(to_json(finding));
      else
        print_finding(stdout, global.terminal, {file, *text}, finding);
    }
    if (global.json)
      results.push_back({{"file", file}, {"findings", std::move(findings)}});
    else
      print_summary(stdout, global.terminal, file, parsed.findings);
  }
  if (global.json) print_json(files.size() == 1 ? results[0] : results);
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

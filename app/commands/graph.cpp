/// graph: a picture of a definition, without a server.
#include <cstdio>
#include <map>
#include <memory>

#include <backstitch/dsl/check.hpp>
#include <backstitch/dsl/graph.hpp>

#include "../findings.hpp"
#include "commands.hpp"

namespace backstitch::app {
namespace {

const std::map<std::string, dsl::GraphFormat> formats{{"mermaid", dsl::GraphFormat::mermaid},
                                                      {"dot", dsl::GraphFormat::dot},
                                                      {"svg", dsl::GraphFormat::svg}};

struct GraphOptions {
  std::string file;
  std::string format = "mermaid";
};

int draw_file(const Global& global, const GraphOptions& options) {
  const auto text = read_text(options.file);
  if (!text) return report(global, text.error());
  const auto parsed = dsl::parse_and_check(*text);
  if (!parsed.definition || has_errors(parsed.findings)) {
    // Standard output is for the picture: it goes into a file or a pipe.
    for (const auto& finding : parsed.findings)
      print_finding(stderr, global.terminal, {options.file, *text}, finding);
    return exit_bad;
  }
  const std::string picture = dsl::draw(*parsed.definition, formats.at(options.format));
  print(stdout, "%s", picture.c_str());
  return exit_done;
}

}  // namespace

void add_graph(CLI::App& app, Global& global) {
  auto* command = app.add_subcommand("graph", "Draw a definition as Mermaid, DOT or SVG");
  auto options = std::make_shared<GraphOptions>();
  command->add_option("FILE", options->file, "Definition file, - for standard input")->required();
  command->add_option("--format", options->format, "What to draw")
      ->check(CLI::IsMember({"mermaid", "dot", "svg"}))
      ->capture_default_str();
  command->callback([&global, options] {
    global.run = [&global, options] { return draw_file(global, *options); };
  });
}

}  // namespace backstitch::app

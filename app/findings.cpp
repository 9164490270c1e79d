#include "findings.hpp"

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

}  // namespace

void print_finding(std::FILE* stream, const Terminal& terminal, const SourceText& source,
                   const dsl::Finding& finding) {
  const bool bad = finding.severity == dsl::Severity::error;
  std::fprintf(
      stream, "%s:%u:%u: %s %s\n", source.file.c_str(), finding.line, finding.column,
      terminal
          .paint(bad ? Style::bad : Style::warn, (bad ? "error " : "warning ") + finding.code + ":")
          .c_str(),
      finding.message.c_str());
  const std::string line = finding.line > 0 ? line_of(source.text, finding.line) : "";
  if (!line.empty()) {
    const std::string margin = std::to_string(finding.line);
    const std::size_t indent = finding.column > 0 ? finding.column - 1 : 0;
    std::fprintf(stream, "  %s | %s\n", terminal.paint(Style::dim, margin).c_str(), line.c_str());
    std::fprintf(stream, "  %s | %s%s\n", std::string(margin.size(), ' ').c_str(),
                 std::string(indent, ' ').c_str(), terminal.paint(Style::accent, "^").c_str());
  }
  std::fprintf(stream, "  at %s\n", finding.pointer.empty() ? "/" : finding.pointer.c_str());
  if (!finding.hint.empty())
    std::fprintf(stream, "  %s %s\n", terminal.paint(Style::accent, "hint:").c_str(),
                 finding.hint.c_str());
}

}  // namespace backstitch::app

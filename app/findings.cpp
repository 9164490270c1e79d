#include "findings.hpp"

namespace backstitch::app {
namespace {

Style style_of(dsl::Ink ink) {
  switch (ink) {
    case dsl::Ink::error:
      return Style::bad;
    case dsl::Ink::warning:
      return Style::warn;
    case dsl::Ink::margin:
      return Style::dim;
    case dsl::Ink::caret:
    case dsl::Ink::hint:
      return Style::accent;
  }
  return Style::plain;
}

}  // namespace

void print_finding(std::FILE* stream, const Terminal& terminal, const dsl::SourceText& source,
                   const dsl::Finding& finding) {
  const std::string text = dsl::to_text(finding, source, [&](dsl::Ink ink, std::string_view part) {
    return terminal.paint(style_of(ink), part);
  });
  print(stream, "%s", text.c_str());
}

void print_summary(std::FILE* stream, const Terminal& terminal, const std::string& file,
                   const std::vector<dsl::Finding>& findings) {
  const Style style = has_errors(findings) ? Style::bad
                      : findings.empty()   ? Style::good
                                           : Style::warn;
  print(stream, "%s\n", terminal.paint(style, dsl::summary(findings, file)).c_str());
}

}  // namespace backstitch::app

#include <backstitch/dsl/finding_text.hpp>

#include <algorithm>
#include <vector>

#include "excerpt.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t shown_columns = 100;
constexpr std::size_t before_caret = 60;
constexpr std::size_t tab_columns = 4;

std::string_view line_of(std::string_view text, std::uint32_t number) {
  for (std::uint32_t line = 1; line < number; ++line) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

/// The length of the UTF-8 character at the front; 0: there is none.
std::size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first < 0x80U              ? 1
                             : (first & 0xE0U) == 0xC0U ? 2
                             : (first & 0xF0U) == 0xE0U ? 3
                             : (first & 0xF8U) == 0xF0U ? 4
                                                        : 0;
  if (length == 0 || length > text.size()) return 0;
  const auto rest = text.substr(1, length - 1);
  return std::all_of(rest.begin(), rest.end(), is_continuation_byte) ? length : 0;
}

/// A line as it stands on a screen.
struct Shown {
  std::vector<std::string> columns;
  std::vector<std::size_t> begins;  ///< of each character, and of what would be the next
};

Shown shown_of(std::string_view line) {
  Shown out;
  while (!line.empty()) {
    out.begins.push_back(out.columns.size());
    const std::size_t bytes = character_bytes(line);
    const auto first = static_cast<unsigned char>(line.front());
    if (first == '\t') {
      const std::size_t spaces = tab_columns - out.columns.size() % tab_columns;
      out.columns.insert(out.columns.end(), spaces, " ");
    } else if (bytes == 0 || first < 0x20U || first == 0x7FU) {
      out.columns.emplace_back("\uFFFD");
    } else {
      out.columns.emplace_back(line.substr(0, bytes));
    }
    line.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  out.begins.push_back(out.columns.size());
  return out;
}

/// Messages quote the document: nothing of it may move the cursor, and all of it can be seen.
std::string harmless(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20U || byte == 0x7FU)
      (out += "\\u00") += {digits[byte >> 4], digits[byte & 15]};
    else
      out += c;
  }
  return out;
}

std::string joined(const std::vector<std::string>& columns, std::size_t from, std::size_t to) {
  std::string out;
  for (std::size_t i = from; i < to; ++i) out += columns[i];
  return out;
}

/// The line and the caret below it.
std::string excerpt_of(const Finding& finding, std::string_view text, const Paint& paint) {
  const std::string_view line = finding.line == 0 ? "" : line_of(text, finding.line);
  if (line.empty()) return {};
  const Shown screen = shown_of(line);
  const auto place = [&](std::size_t character) {
    return screen.begins[std::min(character, screen.begins.size() - 1)];
  };
  const std::size_t first = finding.column == 0 ? 0 : finding.column - 1;
  const std::size_t caret = place(first);
  const std::size_t end = std::max(place(first + finding.length), caret + 1);
  const std::size_t size = screen.columns.size();
  std::size_t from = 0;
  if (size > shown_columns && caret > before_caret)
    from = std::min(caret - before_caret, size - shown_columns);
  const std::size_t to = std::min(size, from + shown_columns);
  const std::string number = std::to_string(finding.line);
  const std::string dots_before = from > 0 ? "…" : "";
  const std::size_t indent = caret - from + (from > 0 ? 1 : 0);
  const std::string under(std::min(end, std::max(to, caret + 1)) - caret - 1, '~');
  return "  " + paint(Ink::margin, number) + " | " + dots_before +
         joined(screen.columns, from, to) + (to < size ? "…" : "") + "\n  " +
         std::string(number.size(), ' ') + " | " + std::string(indent, ' ') +
         paint(Ink::caret, "^" + under) + "\n";
}

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

Ink ink_of(Severity severity) {
  if (severity == Severity::error) return Ink::error;
  return severity == Severity::warning ? Ink::warning : Ink::hint;
}

}  // namespace

std::string to_text(const Finding& finding, const SourceText& source, const Paint& paint) {
  const std::string what = std::string(to_text(finding.severity)) + " " + finding.code + ":";
  std::string out = std::string(source.file) + ":" + std::to_string(finding.line) + ":" +
                    std::to_string(finding.column) + ": " + paint(ink_of(finding.severity), what) +
                    " " + harmless(finding.message) + "\n";
  out += excerpt_of(finding, source.text, paint);
  out += "  at " + (finding.pointer.empty() ? "/" : harmless(finding.pointer)) + "\n";
  if (!finding.hint.empty())
    out += "  " + paint(Ink::hint, "hint:") + " " + harmless(finding.hint) + "\n";
  return out;
}

std::string summary(const std::vector<Finding>& findings, std::string_view file) {
  if (findings.empty()) return std::string(file) + ": no findings";
  std::string out = is_limited(findings) ? "more than " : "";
  const char* separator = "";
  for (const auto& [severity, name] : {std::pair{Severity::error, "error"},
                                       {Severity::warning, "warning"},
                                       {Severity::info, "note"}}) {
    const auto count = std::count_if(
        findings.begin(), findings.end(),
        [wanted = severity](const Finding& finding) { return finding.severity == wanted; });
    if (count == 0) continue;
    out += separator + counted(static_cast<std::size_t>(count), name);
    separator = ", ";
  }
  return out + " in " + std::string(file);
}

}  // namespace backstitch::dsl

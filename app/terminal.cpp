#include "terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "foreign_text.hpp"

namespace backstitch::app {
namespace {

const char* code_of(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::bold:
      return "\x1b[1m";
    case Style::dim:
      return "\x1b[2m";
    case Style::good:
      return "\x1b[32m";
    case Style::bad:
      return "\x1b[31m";
    case Style::warn:
      return "\x1b[33m";
    case Style::accent:
      return "\x1b[36m";
  }
  return "";
}

/// Stands before the digit of a style, and alone for its end, until print() puts the terminal's own
/// sequence in its place: a byte that is in no UTF-8.
constexpr char style_mark = '\xFF';
constexpr char style_end = '.';

/// What is written for the mark and the character after it; nullptr: it is no style's.
const char* sequence_of(char after) {
  if (after == style_end) return "\x1b[0m";
  const int style = after - '0';
  return style > 0 && style <= static_cast<int>(Style::accent) ? code_of(static_cast<Style>(style))
                                                               : nullptr;
}

std::string formatted(const char* format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  const int size = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  std::string text(size > 0 ? static_cast<std::size_t>(size) : 0, '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  return text;
}

std::string as_shown(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto mark = std::min(text.find(style_mark), text.size());
    out += visible(text.substr(0, mark), Layout::kept);
    text.remove_prefix(mark);
    if (text.empty()) break;
    const char* sequence = text.size() > 1 ? sequence_of(text[1]) : nullptr;
    out += sequence != nullptr ? std::string(sequence) : visible(text.substr(0, 1));
    text.remove_prefix(sequence != nullptr ? 2 : 1);
  }
  return out;
}

}  // namespace

Terminal::Terminal() : interactive_(::isatty(STDOUT_FILENO) == 1) {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* force = std::getenv("CLICOLOR_FORCE");
  const bool forced = force != nullptr && std::string_view(force) == "1";
  colour_ = forced || (interactive_ && (no_colour == nullptr || *no_colour == '\0'));
}

std::string Terminal::paint(Style style, std::string_view text) const {
  if (!colour_ || style == Style::plain) return std::string(text);
  return std::string{style_mark, static_cast<char>('0' + static_cast<int>(style))} +
         std::string(text) + std::string{style_mark, style_end};
}

void Terminal::progress(const std::string& line) const {
  if (!interactive_) return;
  std::printf("\r\x1b[2K%s", as_shown(line).c_str());
  std::fflush(stdout);
}

void Terminal::clear_progress() const {
  progress("");
}

void print(std::FILE* stream, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const std::string text = as_shown(formatted(format, arguments));
  va_end(arguments);
  std::fwrite(text.data(), 1, text.size(), stream);
}

void clear_line(std::FILE* stream) {
  std::fputs("\r\x1b[2K", stream);
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t columns = code_points(text);
  if (columns < width) text.append(width - columns, ' ');
  return text;
}

}  // namespace backstitch::app

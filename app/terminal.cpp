#include "terminal.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

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

}  // namespace

Terminal::Terminal() : interactive_(::isatty(STDOUT_FILENO) == 1) {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* force = std::getenv("CLICOLOR_FORCE");
  const bool forced = force != nullptr && std::string_view(force) == "1";
  colour_ = forced || (interactive_ && (no_colour == nullptr || *no_colour == '\0'));
}

std::string Terminal::paint(Style style, std::string_view text) const {
  if (!colour_ || style == Style::plain) return std::string(text);
  return code_of(style) + std::string(text) + "\x1b[0m";
}

void Terminal::progress(const std::string& line) const {
  if (!interactive_) return;
  std::printf("\r\x1b[2K%s", line.c_str());
  std::fflush(stdout);
}

void Terminal::clear_progress() const {
  progress("");
}

std::string padded(std::string text, std::size_t width) {
  std::size_t columns = 0;
  for (const unsigned char c : text) columns += (c & 0xC0U) != 0x80U ? 1 : 0;
  if (columns < width) text.append(width - columns, ' ');
  return text;
}

}  // namespace backstitch::app

#pragma once
#include <cstdio>
#include <string>
#include <string_view>

namespace backstitch::app {

enum class Style { plain, bold, dim, good, bad, warn, accent };

/// What standard output can show. Colours on a terminal only, and not under NO_COLOR.
class Terminal {
 public:
  Terminal();
  bool interactive() const { return interactive_; }
  bool colour() const { return colour_; }
  /// `text` in `style`, or as it is where there are no colours. For print() alone.
  std::string paint(Style style, std::string_view text) const;
  /// Rewrites the current line; nothing where there is no terminal.
  void progress(const std::string& line) const;
  void clear_progress() const;

 private:
  bool interactive_ = false;
  bool colour_ = false;
};

/// Writes like fprintf. The only function of this program that writes: every control character is
/// written out (see visible()), but for line breaks, tabs and the styles of Terminal::paint.
[[gnu::format(printf, 2, 3)]] void print(std::FILE* stream, const char* format, ...);

/// Takes back a line of progress.
void clear_line(std::FILE* stream);

/// Pads to `width` columns counted in code points.
std::string padded(std::string text, std::size_t width);

}  // namespace backstitch::app

#pragma once
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
  /// `text` in `style`, or as it is where there are no colours.
  std::string paint(Style style, std::string_view text) const;
  /// Rewrites the current line; nothing where there is no terminal.
  void progress(const std::string& line) const;
  void clear_progress() const;

 private:
  bool interactive_ = false;
  bool colour_ = false;
};

/// Pads to `width` columns counted in code points.
std::string padded(std::string text, std::size_t width);

}  // namespace backstitch::app

#pragma once
/// The elements of the SVG. Everything written passes here: texts are escaped, all else is numbers
/// and names of ours.
#include <string>
#include <string_view>

namespace backstitch::dsl::graph {

/// How a line looks: forwards, back, or into a catch.
enum class Stroke { flow, back, caught };

struct Point {
  int x = 0;
  int y = 0;
};
struct Area {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  int right() const { return x + width; }
  int bottom() const { return y + height; }
};

class Canvas {
 public:
  /// A group with a hover text; `classes` are names of the style sheet.
  void open_group(std::string_view classes, std::string_view title = {},
                  std::string_view step = {});
  void close_group();
  void rect(std::string_view classes, const Area& area, int radius = 0);
  void path(std::string_view classes, const std::string& data);
  void text(std::string_view classes, Point at, std::string_view text);
  /// A line along one axis; `head`: ends in an arrow.
  void line(Stroke stroke, Point from, Point to, bool head);

  /// The whole picture.
  std::string finish(std::string_view title, std::string_view about, int width, int height) const;

 private:
  std::string out_;
};

/// Text as XML content or attribute value.
std::string xml_escaped(std::string_view text);

}  // namespace backstitch::dsl::graph

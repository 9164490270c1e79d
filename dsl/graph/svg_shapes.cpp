#include "svg_shapes.hpp"

#include <algorithm>

#include "svg_layout.hpp"

namespace backstitch::dsl::graph {
namespace {

/// Corners cut or drawn out by `cut` at the left and at the right.
std::string hexagon(const Area& area, int cut) {
  const int middle = area.y + area.height / 2;
  return "M" + join({area.x, area.y}) + "L" + join({area.right(), area.y}) + "L" +
         join({area.right() + cut, middle}) + "L" + join({area.right(), area.bottom()}) + "L" +
         join({area.x, area.bottom()}) + "L" + join({area.x - cut, middle}) + "z";
}

std::string octagon(const Area& area, int cut) {
  return "M" + join({area.x + cut, area.y}) + "H" + join({area.right() - cut}) + "L" +
         join({area.right(), area.y + cut}) + "V" + join({area.bottom() - cut}) + "L" +
         join({area.right() - cut, area.bottom()}) + "H" + join({area.x + cut}) + "L" +
         join({area.x, area.bottom() - cut}) + "V" + join({area.y + cut}) + "z";
}

/// A flag with a notch at its left: something comes in.
std::string flag(const Area& area, int notch) {
  return "M" + join({area.x, area.y}) + "H" + join({area.right()}) + "V" + join({area.bottom()}) +
         "H" + join({area.x}) + "L" + join({area.x + notch, area.y + area.height / 2}) + "z";
}

std::string slanted(const Area& area, int slant) {
  return "M" + join({area.x + slant, area.y}) + "H" + join({area.right()}) + "L" +
         join({area.right() - slant, area.bottom()}) + "H" + join({area.x}) + "z";
}

}  // namespace

std::string join(std::initializer_list<int> numbers) {
  std::string out;
  for (const int number : numbers) out += (out.empty() ? "" : " ") + std::to_string(number);
  return out;
}

std::string_view shape_class(const Node& node) {
  switch (node.shape) {
    case Shape::start:
      return "start";
    case Shape::completed:
      return "completed";
    case Shape::undone:
      return "undone";
    case Shape::failed:
      return "failed";
    case Shape::call:
      return "call";
    case Shape::saga:
      return "saga";
    case Shape::wait:
      return "wait";
    case Shape::sleep:
      return "sleep";
    case Shape::value:
      return "value";
    case Shape::fail:
      return "fail";
  }
  return "";
}

void draw_outline(Canvas& canvas, const Node& node, const Area& area) {
  if (node.is_pivot()) return canvas.path("card", hexagon(area, 10));
  switch (node.shape) {
    case Shape::wait:
      return canvas.path("card", flag(area, 9));
    case Shape::value:
      return canvas.path("card", slanted(area, 9));
    case Shape::fail:
      return canvas.path("card", octagon(area, 9));
    case Shape::saga:
      canvas.rect("card", area);
      return canvas.path("card", "M" + join({area.x + 5, area.y}) + "V" + join({area.bottom()}) +
                                     "M" + join({area.right() - 5, area.y}) + "V" +
                                     join({area.bottom()}));
    case Shape::sleep:
      return canvas.rect("card", area, std::min(area.height / 2, 24));
    case Shape::start:
    case Shape::completed:
    case Shape::undone:
    case Shape::failed:
      return canvas.rect("card", area, area.height / 2);
    case Shape::call:
      return canvas.rect("card", area,
                         node.kind == StepKind::retryable  ? 14
                         : node.kind == StepKind::readonly ? 0
                                                           : 6);
  }
}

int pill_width(const Node& node) {
  return text_width(node.name, Font::name) + 2 * text_margin + 8;
}

void draw_pill(Canvas& canvas, const Node& node, Point at) {
  const int width = pill_width(node);
  canvas.open_group(shape_class(node));
  draw_outline(canvas, node, {at.x - width / 2, at.y, width, pill_height});
  canvas.text("name middle", {at.x, at.y + 20}, node.name);
  canvas.close_group();
}

std::string head_bar(const Area& area, int height) {
  return "M" + join({area.x, area.y + height}) + "V" + join({area.y + 8}) + "a8 8 0 0 1 8 -8h" +
         join({area.width - 16}) + "a8 8 0 0 1 8 8v" + join({height - 8}) + "z";
}

std::string foot_bar(const Area& area) {
  return "M" + join({area.x, area.bottom() - foot_height}) + "h" + join({area.width}) +
         "a8 8 0 0 1 -8 8h" + join({16 - area.width}) + "a8 8 0 0 1 -8 -8z";
}

}  // namespace backstitch::dsl::graph

#include "svg_canvas.hpp"

#include "svg_style.hpp"

namespace backstitch::dsl::graph {
namespace {

constexpr int head_length = 8;

std::string number(int value) {
  return std::to_string(value);
}

std::string attribute(std::string_view name, int value) {
  return " " + std::string(name) + "=\"" + number(value) + "\"";
}

std::string class_attribute(std::string_view classes) {
  return " class=\"" + std::string(classes) + "\"";
}

std::string_view class_of(Stroke stroke) {
  switch (stroke) {
    case Stroke::flow:
      return "flow";
    case Stroke::back:
      return "back";
    case Stroke::caught:
      return "caught";
  }
  return "flow";
}

/// A triangle that ends at `at`, pointing the way the line went.
std::string head_path(Point from, Point at) {
  const int dx = at.x > from.x ? 1 : at.x < from.x ? -1 : 0;
  const int dy = at.y > from.y ? 1 : at.y < from.y ? -1 : 0;
  const Point base{at.x - dx * head_length, at.y - dy * head_length};
  const int half = head_length / 2 + 1;
  return "M" + number(at.x) + " " + number(at.y) + "L" + number(base.x + dy * half) + " " +
         number(base.y + dx * half) + "L" + number(base.x - dy * half) + " " +
         number(base.y - dx * half) + "z";
}

}  // namespace

std::string xml_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void Canvas::open_group(std::string_view classes, std::string_view title, std::string_view step) {
  out_ += "<g" + class_attribute(classes);
  if (!step.empty()) out_ += " data-step=\"" + xml_escaped(step) + "\"";
  out_ += ">";
  if (!title.empty()) out_ += "<title>" + xml_escaped(title) + "</title>";
  out_ += "\n";
}

void Canvas::close_group() {
  out_ += "</g>\n";
}

void Canvas::rect(std::string_view classes, const Area& area, int radius) {
  out_ += "<rect" + class_attribute(classes) + attribute("x", area.x) + attribute("y", area.y) +
          attribute("width", area.width) + attribute("height", area.height);
  if (radius > 0) out_ += attribute("rx", radius);
  out_ += "/>\n";
}

void Canvas::path(std::string_view classes, const std::string& data) {
  out_ += "<path" + class_attribute(classes) + " d=\"" + data + "\"/>\n";
}

void Canvas::text(std::string_view classes, Point at, std::string_view text) {
  out_ += "<text" + class_attribute(classes) + attribute("x", at.x) + attribute("y", at.y) + ">" +
          xml_escaped(text) + "</text>\n";
}

void Canvas::line(Stroke stroke, Point from, Point to, bool head) {
  Point end = to;
  // The line ends where the head begins, so that its tip stays sharp.
  if (head && from.x == to.x) end.y += to.y > from.y ? -head_length + 1 : head_length - 1;
  if (head && from.x != to.x) end.x += to.x > from.x ? -head_length + 1 : head_length - 1;
  const auto classes = class_of(stroke);
  path(classes,
       "M" + number(from.x) + " " + number(from.y) + "L" + number(end.x) + " " + number(end.y));
  if (head) path(std::string(classes) + "-head", head_path(from, to));
}

std::string Canvas::finish(std::string_view title, std::string_view about, int width,
                           int height) const {
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"saga-graph\" role=\"img\"";
  out += attribute("width", width) + attribute("height", height) + " viewBox=\"0 0 " +
         number(width) + " " + number(height) + "\">\n";
  out += "<title>" + xml_escaped(title) + "</title>\n";
  if (!about.empty()) out += "<desc>" + xml_escaped(about) + "</desc>\n";
  out += "<style>" + std::string(svg_style) + "</style>\n";
  out += "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n";
  return out + out_ + "</svg>\n";
}

}  // namespace backstitch::dsl::graph

/// The SVG: heading, main line with its undo line, handlers beside, legend below.
#include <algorithm>
#include <string>
#include <string_view>

#include <backstitch/dsl/graph.hpp>

#include "svg_canvas.hpp"
#include "svg_lane.hpp"
#include "svg_layout.hpp"
#include "svg_shapes.hpp"
#include "text.hpp"

namespace backstitch::dsl {
namespace graph {
namespace {

constexpr int paper_margin = 28;
constexpr int handler_gap = 64;
constexpr int handler_head = 34;
constexpr std::size_t about_chars = 96;
constexpr std::string_view failure_title = "onFailure: when everything is undone";
constexpr std::string_view suspended_title = "onSuspended: when an operator is needed";

class Picture {
 public:
  explicit Picture(const Graph& graph)
      : graph_(graph),
        main_(measure(graph.main, false)),
        on_failure_(measure(graph.on_failure, false)),
        on_suspended_(measure(graph.on_suspended, false)) {}

  std::string draw() {
    heading();
    const int top = y_;
    main_line(top);
    handlers(top);
    legend();
    return canvas_.finish(graph_.title, graph_.about, width_ + paper_margin, y_ + paper_margin);
  }

 private:
  void reach(int right, int bottom) {
    width_ = std::max(width_, right);
    y_ = std::max(y_, bottom);
  }

  void heading() {
    y_ = paper_margin + 18;
    canvas_.text("heading", {paper_margin, y_}, graph_.title);
    reach(paper_margin + 2 * text_width(graph_.title, Font::small), y_);
    for (const auto& line : wrapped(graph_.about, about_chars, 3)) {
      y_ += line_height + 3;
      canvas_.text("quiet", {paper_margin, y_}, line);
      reach(paper_margin + text_width(line, Font::small), y_);
    }
    y_ += 26;
  }

  void main_line(int top) {
    const Node& up = graph_.undone ? *graph_.undone : graph_.failed ? *graph_.failed : graph_.start;
    x_ = paper_margin + std::max(main_.left, pill_width(graph_.start) / 2);
    draw_pill(canvas_, graph_.start, {x_, top});
    undo_x_ = main_.undo_at > 0 ? x_ + main_.undo_at : x_ + 160;
    if (graph_.failed) draw_pill(canvas_, up, {undo_x_, top});
    const int bottom = top + pill_height + main_.height;
    draw_lane(canvas_, main_, x_, top + pill_height, bottom, LaneEnd::arrow);
    draw_pill(canvas_, graph_.completed, {x_, bottom});
    reach(x_ + std::max(main_.right, pill_width(graph_.completed) / 2), bottom + pill_height);
    if (graph_.failed) reach(undo_x_ + pill_width(up) / 2, y_);
  }

  void handlers(int top) {
    widen(on_failure_, text_width(failure_title, Font::name));
    widen(on_suspended_, text_width(suspended_title, Font::name));
    const int left = width_ + handler_gap;
    int at = top + pill_height / 2 - handler_head / 2;
    if (!on_failure_.items.empty()) {
      const int middle = top + pill_height / 2;
      canvas_.line(Stroke::flow, {undo_x_ + pill_width(*graph_.undone) / 2, middle}, {left, middle},
                   true);
      const int x = left + block_margin + on_failure_.left;
      at = handler(on_failure_, failure_title, left, at, LaneEnd::bar);
      canvas_.line(Stroke::flow, {x, at}, {x, at + arrow_gap}, true);
      draw_pill(canvas_, *graph_.failed, {x, at + arrow_gap});
      at += arrow_gap + pill_height;
      reach(width_, at);
      at += arrow_gap;
    }
    if (!on_suspended_.items.empty())
      handler(on_suspended_, suspended_title, left, at, LaneEnd::nothing);
  }

  /// @return its bottom
  int handler(const LaneBox& lane, std::string_view title, int left, int top, LaneEnd end) {
    const int width = lane.left + lane.right + 2 * block_margin;
    const int bottom = top + handler_head + lane.height;
    const Area area{left, top, width, bottom - top};
    canvas_.rect("handler", area, 8);
    canvas_.path("bar", head_bar(area, handler_head));
    canvas_.text("name", {left + block_margin, top + 22}, title);
    draw_lane(canvas_, lane, left + block_margin + lane.left, top + handler_head, bottom, end);
    reach(left + width, bottom);
    return bottom;
  }

  void legend() {
    y_ += 40;
    int x = paper_margin;
    const auto entry = [&](Stroke stroke, const std::string& text) {
      canvas_.line(stroke, {x, y_ - 4}, {x + 34, y_ - 4}, true);
      canvas_.text("quiet", {x + 42, y_}, text);
      x += 42 + text_width(text, Font::small) + 24;
    };
    entry(Stroke::flow, "forwards");
    if (graph_.failed) entry(Stroke::back, "back: what was done is undone, last first");
    if (has_catch(graph_.main)) entry(Stroke::caught, "a failure caught after its undo");
    reach(x - 24, y_);
  }

  static bool has_catch(const Lane& lane) {
    return std::any_of(lane.items.begin(), lane.items.end(), [](const Item& item) {
      const auto* block = block_of(item);
      return block != nullptr && (block->type == BlockType::try_ ||
                                  std::any_of(block->lanes.begin(), block->lanes.end(), has_catch));
    });
  }

  const Graph& graph_;
  LaneBox main_;
  LaneBox on_failure_;
  LaneBox on_suspended_;
  Canvas canvas_;
  int x_ = 0;       ///< of the main line
  int undo_x_ = 0;  ///< of its undo line
  int width_ = 0;
  int y_ = 0;
};

}  // namespace
}  // namespace graph

std::string to_svg(const Definition& definition) {
  return graph::Picture(graph::graph_of(definition)).draw();
}

std::string draw(const Definition& definition, GraphFormat format) {
  switch (format) {
    case GraphFormat::mermaid:
      return to_mermaid(definition);
    case GraphFormat::dot:
      return to_dot(definition);
    case GraphFormat::svg:
      return to_svg(definition);
  }
  return {};
}

}  // namespace backstitch::dsl

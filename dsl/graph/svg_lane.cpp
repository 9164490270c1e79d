#include "svg_lane.hpp"

#include <string>
#include <vector>

#include "svg_shapes.hpp"

namespace backstitch::dsl::graph {
namespace {

/// What the pointer is told: everything, also what was cut off.
std::string hover(const std::string& name, const std::string& type, const std::string& when,
                  const std::vector<std::string>& lines, const std::string& about) {
  std::string out = name + " (" + type + ")";
  if (!when.empty()) out += "\nwhen " + when;
  for (const auto& line : lines) out += "\n" + line;
  if (!about.empty()) out += "\n" + about;
  return out;
}

void code_lines(Canvas& canvas, const std::vector<std::string>& lines, Point at,
                std::string_view classes = "code") {
  for (const auto& line : lines) {
    canvas.text(classes, at, line);
    at.y += line_height;
  }
}

class LaneDrawing {
 public:
  LaneDrawing(Canvas& canvas, const LaneBox& lane, int x, int top, int bottom)
      : canvas_(canvas), lane_(lane), x_(x), top_(top), bottom_(bottom) {}

  void forward(LaneEnd end) {
    int from = top_;
    Stroke stroke = lane_.lane->is_catch ? Stroke::caught : Stroke::flow;
    bool goes_on = true;
    for (std::size_t i = 0; i < lane_.items.size(); ++i) {
      const ItemBox& box = lane_.items[i];
      if (goes_on) canvas_.line(stroke, {x_, from}, {x_, top_of(box)}, true);
      stroke = Stroke::flow;
      from = top_of(box) + box.height;
      goes_on = !ends_flow(lane_.lane->items[i]);
      if (box.node != nullptr && box.node->is_pivot()) no_return(from);
    }
    if (goes_on && end != LaneEnd::nothing)
      canvas_.line(stroke, {x_, from}, {x_, bottom_}, end == LaneEnd::arrow);
  }

  /// The undo line, from the bottom up: it stops at each station, the others join it from the side.
  void back() {
    int from = lane_.entered ? bottom_ : 0;
    for (auto box = lane_.items.rbegin(); box != lane_.items.rend(); ++box) {
      if (box->node != nullptr)
        back_at_node(*box, from);
      else if (box->block->undoable)
        stop(from, top_of(*box) + box->height, top_of(*box));
      else if (box->block->turns_back)
        from = joined(from, x_ + box->right, top_of(*box) + box->head_height / 2);
    }
    if (from != 0) canvas_.line(Stroke::back, {undo_x(), from}, {undo_x(), top_}, true);
  }

  void items() {
    for (const auto& box : lane_.items) {
      if (box.node != nullptr)
        node(box);
      else
        block(box);
    }
  }

 private:
  int top_of(const ItemBox& box) const { return top_ + box.y; }
  int undo_x() const { return x_ + lane_.undo_at; }

  void stop(int& from, int bottom, int top) {
    if (from != 0) canvas_.line(Stroke::back, {undo_x(), from}, {undo_x(), bottom}, true);
    from = top;
  }

  /// A line from the side. @return where the undo line begins below, now
  int joined(int from, int side, int y) {
    canvas_.line(Stroke::back, {side, y}, {undo_x(), y}, false);
    return from == 0 ? y : from;
  }

  void back_at_node(const ItemBox& box, int& from) {
    const int middle = top_of(box) + box.height / 2;
    if (box.node->turns_back) {
      const int side = x_ + box.right + (box.node->is_pivot() ? 12 : 0);
      if (undo_x() - side > 64) canvas_.text("back-text", {side + 8, middle - 6}, "on failure");
      from = joined(from, side, middle);
    }
    if (!box.undo.empty())
      stop(from, middle + box.undo_height / 2, middle + box.undo_height / 2 - box.undo_height);
  }

  /// The line across after the pivot, and what it means.
  void no_return(int pivot_bottom) {
    const int y = pivot_bottom + (pivot_gap - 8) / 2;
    const int left = x_ - lane_.left;
    canvas_.path("no-return", "M" + join({left, y - 2}) + "H" + join({x_ + lane_.right}) + "M" +
                                  join({left, y + 2}) + "H" + join({x_ + lane_.right}));
    canvas_.text("no-return-text", {x_ + 10, y - 8}, "point of no return");
  }

  void node(const ItemBox& box) {
    const Node& node = *box.node;
    const std::string kind = node.kind ? std::string(" ") + dsl::to_text(*node.kind) : "";
    const std::string type = type_words(node);
    canvas_.open_group(std::string(shape_class(node)) + kind,
                       hover(node.name, type, node.when, node.lines, node.about), node.name);
    const Area area{x_ - box.left, top_of(box), box.left + box.right, box.height};
    draw_outline(canvas_, node, area);
    const int text_height = 20 + static_cast<int>(box.lines.size()) * line_height;
    const int y = area.y + (area.height - text_height) / 2 + 14;
    canvas_.text("name", {area.x + text_margin, y}, node.name);
    canvas_.text("quiet end", {area.right() - text_margin, y}, type);
    code_lines(canvas_, box.lines, {area.x + text_margin, y + line_height + 3});
    canvas_.close_group();
    if (!box.undo.empty()) undo(box);
  }

  void undo(const ItemBox& box) {
    const int middle = top_of(box) + box.height / 2;
    const Area area{undo_x() - lane_.undo_width / 2, middle - box.undo_height / 2, lane_.undo_width,
                    box.undo_height};
    canvas_.open_group("undoing", "undo of " + box.node->name + "\n" + box.node->undo);
    canvas_.path("tie", "M" + join({x_ + box.right, middle}) + "H" + join({area.x}));
    canvas_.rect("undo", area, 6);
    code_lines(canvas_, box.undo, {undo_x(), area.y + 18}, "code middle");
    canvas_.close_group();
  }

  void block(const ItemBox& box) {
    const Block& block = *box.block;
    const bool many = block.type == BlockType::for_each;
    const Area area{x_ - box.left, top_of(box), box.left + box.right,
                    box.height - (many ? sheet_offset : 0)};
    const std::string type = to_text(block.type);
    canvas_.open_group("block-of-" + type);
    // A second sheet behind: it happens many times.
    if (many)
      canvas_.path("sheet", "M" + join({area.x + 8, area.bottom()}) + "v" + join({sheet_offset}) +
                                "H" + join({area.right() + sheet_offset}) + "V" +
                                join({area.y + 8}) + "h" + join({-sheet_offset}));
    canvas_.rect("block", area, 8);
    canvas_.open_group("head", hover(block.name, type, block.when, block.lines, block.about),
                       block.name);
    canvas_.path("bar", head_bar(area, box.head_height + box.cell_height));
    canvas_.text("name", {area.x + text_margin, area.y + 19}, block.name);
    canvas_.text("quiet end", {area.right() - text_margin, area.y + 19}, type);
    code_lines(canvas_, box.lines, {area.x + text_margin, area.y + 19 + line_height + 2});
    canvas_.close_group();
    canvas_.path("bar", foot_bar(area));
    lanes(box, area);
    canvas_.close_group();
  }

  void lanes(const ItemBox& box, const Area& area) {
    const int cells = area.y + box.head_height;
    const int top = cells + box.cell_height;
    const int bottom = area.bottom() - foot_height;
    int left = area.x;
    for (const auto& lane : box.lanes) {
      const int width = lane.left + lane.right + 2 * block_margin;
      if (left != area.x) {
        canvas_.path("divider", "M" + join({left, cells}) + "V" + join({bottom}));
      }
      if (!lane.title.empty()) {
        canvas_.open_group("title", lane.lane->title);
        code_lines(canvas_, lane.title, {left + width / 2, cells + 16}, "code middle");
        canvas_.close_group();
      }
      draw_lane(canvas_, lane, left + block_margin + lane.left, top, bottom, LaneEnd::bar);
      left += width;
    }
  }

  Canvas& canvas_;
  const LaneBox& lane_;
  int x_;
  int top_;
  int bottom_;
};

}  // namespace

void draw_lane(Canvas& canvas, const LaneBox& lane, int x, int top, int bottom, LaneEnd end) {
  LaneDrawing drawing(canvas, lane, x, top, bottom);
  drawing.forward(end);
  if (lane.undo_at > 0) drawing.back();
  drawing.items();
}

}  // namespace backstitch::dsl::graph

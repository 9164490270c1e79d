#include "svg_layout.hpp"

#include <algorithm>
#include <cstddef>

#include "text.hpp"

namespace backstitch::dsl::graph {
namespace {

constexpr std::size_t card_chars = 36;
constexpr std::size_t undo_chars = 26;
constexpr std::size_t title_chars = 44;
constexpr std::size_t label_lines_max = 3;
constexpr int card_width_min = 150;
constexpr int head_width_max = 420;
constexpr int undo_margin = 10;
constexpr int undo_gap = 26;    ///< between a card and its undo
constexpr int pass_gap = 18;    ///< between the undo line and what it passes
constexpr int join_gap = 86;    ///< between a card and the undo line where there is no undo
constexpr int empty_lane = 56;  ///< half of the width of a lane without steps

int width_of(const std::vector<std::string>& lines) {
  int width = 0;
  for (const auto& line : lines) width = std::max(width, text_width(line, Font::code));
  return width;
}

void add_wrapped(std::vector<std::string>& lines, const std::string& text, std::size_t chars) {
  for (auto& line : wrapped(text, chars, label_lines_max)) lines.push_back(std::move(line));
}

std::vector<std::string> all_lines(const std::string& when, const std::vector<std::string>& words,
                                   std::size_t chars) {
  std::vector<std::string> lines;
  if (!when.empty()) add_wrapped(lines, "when " + when, chars);
  for (const auto& text : words) add_wrapped(lines, text, chars);
  return lines;
}

int height_of(const std::vector<std::string>& lines) {
  return static_cast<int>(lines.size()) * line_height;
}

/// The widest that the card needs to be.
int card_width(const ItemBox& box) {
  const int head =
      text_width(box.node->name, Font::name) + 18 + text_width(type_words(*box.node), Font::small);
  return std::max({card_width_min, head, width_of(box.lines)}) + 2 * text_margin;
}

ItemBox measure_node(const Node& node) {
  ItemBox box;
  box.node = &node;
  box.lines = all_lines(node.when, node.lines, card_chars);
  box.undo = wrapped(node.undo, undo_chars, label_lines_max);
  box.undo_height = box.undo.empty() ? 0 : height_of(box.undo) + 14;
  box.height = std::max(32 + height_of(box.lines), box.undo_height);
  return box;
}

/// A station is what the undo line stops at: an undo, or a block with one inside.
bool is_station(const ItemBox& box) {
  return box.node != nullptr ? !box.undo.empty() : box.block->undoable;
}

bool joins_undo_line(const ItemBox& box) {
  return box.node != nullptr ? box.node->turns_back : box.block->turns_back;
}

int lanes_width(const ItemBox& box) {
  int width = 0;
  for (const auto& lane : box.lanes) width += lane.left + lane.right + 2 * block_margin;
  return width;
}

ItemBox measure_block(const Block& block, bool entered) {
  ItemBox box;
  box.block = &block;
  box.lines = all_lines(block.when, block.lines, title_chars);
  box.head_height = 28 + height_of(box.lines) + (box.lines.empty() ? 0 : 4);
  int inner = 0;
  for (const auto& lane : block.lanes) {
    box.lanes.push_back(measure(lane, entered && undoable(lane)));
    LaneBox& added = box.lanes.back();
    inner = std::max(inner, added.height);
    if (added.title.empty()) continue;
    box.cell_height = std::max(box.cell_height, height_of(added.title) + 9);
    widen(added, width_of(added.title) + 8 - 2 * block_margin);
  }
  box.height = box.head_height + box.cell_height + inner + foot_height;
  if (block.type == BlockType::for_each) box.height += sheet_offset;
  return box;
}

int head_width(const ItemBox& box) {
  const int first = text_width(box.block->name, Font::name) + 18 +
                    text_width(to_text(box.block->type), Font::small);
  return std::max(first, std::min(width_of(box.lines), head_width_max)) + 2 * text_margin;
}

/// Where the block stands on the forward line of the lane around it, and on its undo line.
void place_block(ItemBox& box, int undo_at) {
  const bool station = is_station(box);
  if (box.lanes.size() == 1) {
    LaneBox& only = box.lanes.front();
    // Straight through: the lines inside go on where those outside end.
    if (station && only.undo_at > 0) {
      only.undo_at = std::max(only.undo_at, undo_at);
      only.right = std::max(only.right, only.undo_at + std::max(only.undo_width / 2, 12));
    }
  }
  const int width = std::max(lanes_width(box), head_width(box));
  if (box.lanes.size() == 1) {
    box.left = box.lanes.front().left + block_margin;
  } else {
    box.left = std::max((width - (station ? undo_at : 0)) / 2, 24);
  }
  box.right = std::max(width - box.left, station ? undo_at + block_margin : 0);
  // What the head or the undo line needs more than the lanes goes to the last one.
  box.lanes.back().right += box.left + box.right - lanes_width(box);
}

void place_undo_line(LaneBox& lane, bool entered) {
  lane.undo_at =
      lane.card_width / 2 + (lane.undo_width > 0 ? undo_gap + lane.undo_width / 2 : join_gap);
  bool passing = entered;
  for (auto box = lane.items.rbegin(); box != lane.items.rend(); ++box) {
    const bool comes_by = passing || joins_undo_line(*box);
    if (box->block != nullptr && !is_station(*box) && comes_by)
      lane.undo_at = std::max(lane.undo_at, box->right + pass_gap);
    // Straight through where there is one lane only.
    if (box->block != nullptr && is_station(*box) && box->lanes.size() == 1)
      lane.undo_at = std::max(lane.undo_at, box->lanes.front().undo_at);
    passing = passing || is_station(*box) || joins_undo_line(*box);
  }
}

/// Blocks that the undo line passes decide where it runs; then it decides where the others stand.
void place(LaneBox& lane, bool entered) {
  for (auto& box : lane.items) {
    if (box.node != nullptr)
      box.left = box.right = lane.card_width / 2;
    else if (!is_station(box))
      place_block(box, 0);
  }
  if (entered || turns_back(*lane.lane)) place_undo_line(lane, entered);
  lane.left = lane.right = lane.items.empty() ? empty_lane : 0;
  for (auto& box : lane.items) {
    if (box.block != nullptr && is_station(box)) place_block(box, lane.undo_at);
    lane.left = std::max(lane.left, box.left);
    lane.right = std::max(lane.right, box.right);
  }
}

/// Heights, from top to bottom.
void stack(LaneBox& lane) {
  int y = arrow_gap;
  for (std::size_t i = 0; i < lane.items.size(); ++i) {
    ItemBox& box = lane.items[i];
    box.y = y;
    y += box.height;
    y += box.node != nullptr && box.node->is_pivot() ? pivot_gap : arrow_gap;
  }
  lane.height = lane.items.empty() ? 2 * arrow_gap : y;
}

}  // namespace

int text_width(std::string_view text, Font font) {
  // In hundredths of the size of the font.
  int width = 0;
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    if (c >= 0x1100) {
      width += c >= 0x2000 && c < 0x2E80 ? 80 : 105;
    } else if (font == Font::code) {
      width += 61;
    } else if (c < 0x80 && std::string_view("iIjl.,:;'|!()[]ft ").find(static_cast<char>(c)) !=
                               std::string_view::npos) {
      width += 40;
    } else if (c == 'm' || c == 'w' || c == 'M' || c == 'W' || c == '@') {
      width += 98;
    } else {
      width += c >= 'A' && c <= 'Z' ? 74 : 63;
    }
  }
  const int size = font == Font::name ? 15 : 11;
  return (width * size + 99) / 100;
}

void widen(LaneBox& lane, int width) {
  const int more = std::max(0, width - lane.left - lane.right);
  lane.left += more / 2;
  lane.right += more - more / 2;
}

LaneBox measure(const Lane& lane, bool entered) {
  LaneBox out;
  out.lane = &lane;
  out.entered = entered;
  out.title = wrapped(lane.title, title_chars, label_lines_max);
  bool passing = entered;
  for (auto item = lane.items.rbegin(); item != lane.items.rend(); ++item) {
    if (const auto* block = block_of(*item)) {
      out.items.push_back(measure_block(*block, passing && block->undoable));
    } else {
      out.items.push_back(measure_node(std::get<Node>(*item)));
      out.card_width = std::max(out.card_width, card_width(out.items.back()));
      if (const int undo = width_of(out.items.back().undo); undo > 0)
        out.undo_width = std::max(out.undo_width, undo + 2 * undo_margin);
    }
    passing = passing || turns_back(*item);
  }
  std::reverse(out.items.begin(), out.items.end());
  place(out, entered);
  if (out.undo_at > 0)
    out.right = std::max(out.right, out.undo_at + std::max(out.undo_width / 2, 10));
  stack(out);
  return out;
}

}  // namespace backstitch::dsl::graph

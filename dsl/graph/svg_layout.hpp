#pragma once
/// Where everything stands in the SVG, in whole pixels.
///
/// A lane is a column: its steps stand on the forward line, their undos beside on the undo line,
/// which runs up. A block is a box whose head and foot are bars: lines end at a bar outside and go
/// on from it inside, so that no line ever crosses a text.
#include <string>
#include <string_view>
#include <vector>

#include "model.hpp"

namespace backstitch::dsl::graph {

inline constexpr int line_height = 15;
inline constexpr int text_margin = 14;  ///< of a card, left and right
inline constexpr int arrow_gap = 30;    ///< between two items
inline constexpr int pivot_gap = 58;    ///< the same after the pivot, for the line across
inline constexpr int block_margin = 16;
inline constexpr int foot_height = 8;
inline constexpr int sheet_offset = 5;  ///< of the second sheet behind a `forEach`
inline constexpr int pill_height = 30;

enum class Font { name, small, code };
/// A little more than the text takes in any usual font of that class.
int text_width(std::string_view text, Font font);

struct LaneBox;

/// An item as measured. `left` and `right` are its reach from the forward line of its lane.
struct ItemBox {
  const Node* node = nullptr;    ///< this
  const Block* block = nullptr;  ///< or this
  int left = 0;
  int right = 0;
  int height = 0;
  int y = 0;                       ///< of its top below the top of the lane
  std::vector<std::string> lines;  ///< below the name
  std::vector<std::string> undo;
  int undo_height = 0;
  int head_height = 0;  ///< of a block: name and lines
  int cell_height = 0;  ///< of a block: the titles of its lanes
  std::vector<LaneBox> lanes;
};

struct LaneBox {
  const Lane* lane = nullptr;
  std::vector<std::string> title;
  std::vector<ItemBox> items;
  bool entered = false;  ///< the undo line comes in from below
  int left = 0;
  int right = 0;
  int height = 0;
  int card_width = 0;
  int undo_width = 0;
  int undo_at = 0;  ///< the undo line, from the forward line; 0: there is none
};

/// Gives a lane at least that width, with its steps in the middle.
void widen(LaneBox& lane, int width);

/// @param entered whether the way back comes from steps below the lane
LaneBox measure(const Lane& lane, bool entered);

}  // namespace backstitch::dsl::graph

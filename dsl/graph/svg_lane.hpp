#pragma once
#include "svg_canvas.hpp"
#include "svg_layout.hpp"

namespace backstitch::dsl::graph {

/// Where the forward line goes below the last step.
enum class LaneEnd { bar, arrow, nothing };

/// Draws a measured lane between two bars: its steps, its blocks and their insides, the forward
/// line and the undo line.
/// @param x of the forward line
void draw_lane(Canvas& canvas, const LaneBox& lane, int x, int top, int bottom, LaneEnd end);

}  // namespace backstitch::dsl::graph

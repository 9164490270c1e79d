#pragma once
/// The outlines of the SVG: each type of step has its own, so that it can be told without colour.
#include <initializer_list>
#include <string>
#include <string_view>

#include "model.hpp"
#include "svg_canvas.hpp"

namespace backstitch::dsl::graph {

/// The class of the style sheet.
std::string_view shape_class(const Node& node);
void draw_outline(Canvas& canvas, const Node& node, const Area& area);

/// A rounded end: start, COMPLETED, FAILED. @param at the middle of its top
void draw_pill(Canvas& canvas, const Node& node, Point at);
int pill_width(const Node& node);

/// The paths of the bars at the top and at the bottom of a box, rounded where the box is.
std::string head_bar(const Area& area, int height);
std::string foot_bar(const Area& area);

/// Numbers of a path.
std::string join(std::initializer_list<int> numbers);

}  // namespace backstitch::dsl::graph

#pragma once
/// Texts of a definition as they may stand in a picture.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace backstitch::dsl::graph {

/// Longer texts are cut in a label. The SVG has what was cut off in its hover text.
inline constexpr std::size_t label_chars_max = 120;

/// One line of valid UTF-8: space, controls and line breaks become one space; what is no text or
/// changes the direction of the text around it becomes U+FFFD.
std::string plain(std::string_view text);
/// At most `chars` code points; what was cut ends with an ellipsis.
std::string shortened(std::string_view text, std::size_t chars = label_chars_max);
/// Lines of at most `width` code points, at most `lines_max` of them, broken after a sign that
/// separates where there is one; the last ends with an ellipsis if something is missing.
std::vector<std::string> wrapped(std::string_view text, std::size_t width, std::size_t lines_max);

/// The code points of valid UTF-8, one by one: what `rest` begins with is cut off and returned.
char32_t take_code_point(std::string_view& rest);
std::size_t code_points(std::string_view text);

}  // namespace backstitch::dsl::graph

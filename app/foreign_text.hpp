#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace backstitch::app {

/// Texts of servers, definitions and files, which may hold what a terminal obeys.

/// Whether line breaks and tabs are part of the layout, or shown like other controls.
enum class Layout { kept, shown };

/// `text` with every control character written out: C0, DEL, C1, the separators and controls of
/// bidirectional text as `\u001b`, which JSON reads as the character, and bytes that are not UTF-8
/// as `\xff`. The same again for its own result.
std::string visible(std::string_view text, Layout layout = Layout::shown);

bool is_utf8(std::string_view text);

/// The first `chars_max` code points; if there are more, the last three of them are dots.
std::string shortened(std::string text, std::size_t chars_max);

/// How many code points a text has.
std::size_t code_points(std::string_view text);

}  // namespace backstitch::app

#pragma once
/// Texts that match a pattern.
#include <string>
#include <string_view>
#include <vector>

namespace backstitch::engine::explore {

/// A few texts that a pattern describes, shortest first: with the fewest repetitions and more of
/// them, with the first and the last of its alternatives. Reads the syntax of RE2
/// (https://github.com/google/re2/wiki/Syntax); assertions such as `\b` are passed over, so that a
/// text has to be matched against the pattern before it is used.
/// @param longest  in characters; longer texts are left out
/// @return empty: none was found, or the pattern holds what is not read here
std::vector<std::string> texts_of_pattern(std::string_view pattern, std::size_t longest);

}  // namespace backstitch::engine::explore

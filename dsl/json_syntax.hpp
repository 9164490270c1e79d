#pragma once
/// What is wrong with a text that is not JSON, in words of our own: the library's name its states.
#include <cstddef>
#include <string>
#include <string_view>

namespace backstitch::dsl {

struct SyntaxMistake {
  std::string message;
  std::string hint;
};

/// @param at  where the parser stopped: the character that it could not take
SyntaxMistake syntax_mistake(std::string_view text, std::size_t at, std::string_view library_says);

}  // namespace backstitch::dsl

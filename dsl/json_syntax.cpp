#include "json_syntax.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace backstitch::dsl {
namespace {

constexpr std::string_view spaces = " \t\r\n";

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

/// The last character before `at` that is no space; U+0000 if there is none.
char before(std::string_view text, std::size_t at) {
  const auto found = text.substr(0, at).find_last_not_of(spaces);
  return found == std::string_view::npos ? '\0' : text[found];
}

char behind(std::string_view text, std::size_t at) {
  const auto found = text.find_first_not_of(spaces, at);
  return found == std::string_view::npos ? '\0' : text[found];
}

/// The word around `at`.
std::string_view word(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && is_letter(text[begin - 1])) --begin;
  std::size_t end = at;
  while (end < text.size() && is_letter(text[end])) ++end;
  constexpr std::size_t word_chars_max = 40;
  return text.substr(begin, std::min(end - begin, word_chars_max));
}

std::string shown_character(char c) {
  if (c > ' ' && c <= '~') return "`" + std::string(1, c) + "`";
  std::array<char, 16> code{};
  std::snprintf(code.data(), code.size(), "byte 0x%02X",
                static_cast<unsigned>(static_cast<unsigned char>(c)));
  return code.data();
}

/// Mistakes inside of a string; they have no character of their own to go by.
bool is_in_string(std::string_view library_says) {
  return library_says.find("invalid string") != std::string_view::npos;
}

/// A whole value where the grammar has none.
bool is_unexpected_value(std::string_view library_says) {
  constexpr std::array<std::string_view, 7> values{"unexpected string literal",
                                                   "unexpected number literal",
                                                   "unexpected true literal",
                                                   "unexpected false literal",
                                                   "unexpected null literal",
                                                   "unexpected '{'",
                                                   "unexpected '['"};
  return std::any_of(values.begin(), values.end(), [&](std::string_view value) {
    return library_says.find(value) != std::string_view::npos;
  });
}

SyntaxMistake string_mistake(std::string_view library_says) {
  const auto says = [&](std::string_view what) {
    return library_says.find(what) != std::string_view::npos;
  };
  if (says("missing closing quote"))
    return {"a string without its closing quote", "close it with a double quote"};
  if (says("must be escaped"))
    return {"a line break or another control character inside a string",
            "write it as an escape: \\n, \\t or \\u0001"};
  if (says("surrogate"))
    return {"half of a character: a \\u escape of a surrogate without the other one",
            "write the character itself, or both escapes"};
  return {"an escape that JSON does not have",
          "the escapes are \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four hexadecimal digits"};
}

SyntaxMistake word_mistake(std::string_view text, std::size_t at) {
  const std::string_view found = word(text, at);
  const auto end = static_cast<std::size_t>(found.data() - text.data()) + found.size();
  if (behind(text, end) == ':')
    return {"a key without double quotes: `" + std::string(found) + "`",
            "write \"" + std::string(found) + "\""};
  return {"`" + std::string(found) + "` is not a JSON value",
          "write a string in double quotes, a number, true, false or null"};
}

}  // namespace

SyntaxMistake syntax_mistake(std::string_view text, std::size_t at, std::string_view library_says) {
  if (is_in_string(library_says)) return string_mistake(library_says);
  if (at >= text.size())
    return {text.empty() ? "the text is empty" : "the text ends too early",
            text.empty() ? "write a JSON value" : "close every { and [ and every string"};
  const char c = text[at];
  const char previous = before(text, at);
  if (text.substr(at).starts_with("//") || text.substr(at).starts_with("/*") || c == '#')
    return {"a comment: JSON has none",
            "remove it; in an object write \"x-comment\": \"…\" instead"};
  if ((c == '}' || c == ']') && previous == ',')
    return {std::string("a comma before the closing `") + c + "`", "remove the comma"};
  if ((c == '}' || c == ']') && previous == ':')
    return {"a key without a value", "write the value after the colon"};
  if (c == '\'') return {"a single quote", "strings and keys have double quotes"};
  const bool is_key = behind(text, at + 1) == ':' && c != '"';
  if (is_unexpected_value(library_says) && !is_key)
    return {"a comma or a colon is missing before this value",
            "write a comma between values, and a colon between a key and its value"};
  if (is_letter(c)) return word_mistake(text, at);
  // A literal that is cut short ends before the character that was read last.
  if (at > 0 && is_letter(text[at - 1]) &&
      library_says.find("invalid literal") != std::string_view::npos)
    return word_mistake(text, at - 1);
  return {shown_character(c) + " is not allowed here", "correct the JSON where the message points"};
}

}  // namespace backstitch::dsl

#include "expression_lexer.hpp"

#include <array>
#include <charconv>
#include <utility>

#include <backstitch/dsl/number.hpp>

#include "excerpt.hpp"

namespace backstitch::dsl {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name_char(char c) {
  return is_name_start(c) || is_digit(c);
}

void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0U | c >> 6);
    out += static_cast<char>(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0U | c >> 12);
    out += static_cast<char>(0x80U | (c >> 6 & 0x3FU));
    out += static_cast<char>(0x80U | (c & 0x3FU));
  } else {
    out += static_cast<char>(0xF0U | c >> 18);
    out += static_cast<char>(0x80U | (c >> 12 & 0x3FU));
    out += static_cast<char>(0x80U | (c >> 6 & 0x3FU));
    out += static_cast<char>(0x80U | (c & 0x3FU));
  }
}

/// Longest first, so that `?.` is not read as `?`.
constexpr std::array<std::string_view, 27> symbols{
    "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "?[", "?", ":", "<", ">", "+",
    "-",  "*",  "/",  "%",  "!",  ".",  ",",  "(",  ")",  "[", "]", "{", "}"};

}  // namespace

Token Lexer::next() {
  while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
  if (at_ >= source_.size()) return {TokenKind::end, "", nullptr, here(), here()};
  if (is_digit(peek())) return number();
  if (peek() == '\'' || peek() == '"') return string();
  if (is_name_start(peek())) return name();
  return symbol();
}

Token Lexer::number() {
  const std::size_t begin = at_;
  bool fraction = false;
  while (is_digit(peek())) ++at_;
  if (peek() == '.' && is_digit(peek(1))) {
    fraction = true;
    ++at_;
    while (is_digit(peek())) ++at_;
  }
  if (peek() == 'e' || peek() == 'E') {
    const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if (is_digit(peek(1 + sign))) {
      fraction = true;
      at_ += 1 + sign;
      while (is_digit(peek())) ++at_;
    }
  }
  const char* first = source_.data() + begin;
  const char* last = source_.data() + at_;
  Token token{TokenKind::number, std::string(first, last), nullptr,
              static_cast<std::uint32_t>(begin), here()};
  auto value = number_of(token.text);
  if (!value)
    throw SyntaxError{token.begin, fraction ? "number out of range" : "integer outside 64 bits"};
  token.value = std::move(*value);
  return token;
}

Token Lexer::string() {
  const std::uint32_t begin = here();
  const char quote = source_[at_++];
  std::string text;
  while (true) {
    if (at_ >= source_.size()) throw SyntaxError{begin, "text without its closing quote"};
    const char c = source_[at_];
    if (c == quote) break;
    if (c == '\\') {
      append_escape(text);
    } else {
      text += c;
      ++at_;
    }
  }
  ++at_;
  return {TokenKind::string, text, Json(text), begin, here()};
}

void Lexer::append_escape(std::string& out) {
  const std::uint32_t begin = here();
  const char c = peek(1);
  at_ += 2;
  switch (c) {
    case 'n':
      out += '\n';
      return;
    case 't':
      out += '\t';
      return;
    case 'r':
      out += '\r';
      return;
    case '\\':
    case '\'':
    case '"':
      out += c;
      return;
    case 'u': {
      std::uint32_t code = code_unit();
      if (code >= 0xD800 && code <= 0xDBFF) {
        if (peek() != '\\' || peek(1) != 'u') throw SyntaxError{begin, "half a surrogate pair"};
        at_ += 2;
        const std::uint32_t low = code_unit();
        if (low < 0xDC00 || low > 0xDFFF) throw SyntaxError{begin, "half a surrogate pair"};
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      }
      if (code == 0 || (code >= 0xDC00 && code <= 0xDFFF))
        throw SyntaxError{begin, "character that cannot be stored"};
      append_utf8(out, code);
      return;
    }
    default:
      throw SyntaxError{begin, "unknown escape; known are \\n \\t \\r \\\\ \\' \\\" \\uXXXX"};
  }
}

std::uint32_t Lexer::code_unit() {
  std::uint32_t value = 0;
  if (at_ + 4 > source_.size()) throw SyntaxError{here(), "\\u takes four hex digits"};
  const auto [rest, error] =
      std::from_chars(source_.data() + at_, source_.data() + at_ + 4, value, 16);
  if (error != std::errc{} || rest != source_.data() + at_ + 4) {
    throw SyntaxError{here(), "\\u takes four hex digits"};
  }
  at_ += 4;
  return value;
}

Token Lexer::name() {
  const std::size_t begin = at_;
  while (is_name_char(peek())) ++at_;
  return {TokenKind::name, std::string(source_.substr(begin, at_ - begin)), nullptr,
          static_cast<std::uint32_t>(begin), here()};
}

Token Lexer::symbol() {
  for (const auto candidate : symbols) {
    if (source_.substr(at_).starts_with(candidate)) {
      const std::uint32_t begin = here();
      at_ += candidate.size();
      return {TokenKind::symbol, std::string(candidate), nullptr, begin, here()};
    }
  }
  throw SyntaxError{here(), "unexpected character `" + first_character(source_.substr(at_)) + "`"};
}

}  // namespace backstitch::dsl

#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::dsl {

enum class TokenKind { end, number, string, name, symbol };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;  ///< a name, or the symbol's characters
  Json value;        ///< of a number or string
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

/// A mistake in the text of an expression; caught by parse_expression.
struct SyntaxError {
  std::uint32_t offset;
  std::string message;
  const char* code = "E401";
  std::string hint{};
};

/// Cuts an expression into tokens. Throws SyntaxError.
class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}
  Token next();

 private:
  Token number();
  Token string();
  Token name();
  Token symbol();
  std::uint32_t code_unit();
  void append_escape(std::string& out);
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  std::uint32_t here() const { return static_cast<std::uint32_t>(at_); }

  std::string_view source_;
  std::size_t at_ = 0;
};

}  // namespace backstitch::dsl

#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/dsl/expression.hpp>

namespace backstitch::dsl {

/// An expression inside a template, with the JSON pointer (below the template) of its string.
struct TemplateExpression {
  std::string pointer;
  Expression expression;
  bool interpolated = false;  ///< part of a longer text, so null, arrays and objects are errors
};

/// A text that a template gives as it is, with the JSON pointer (below the template) of its string.
struct ConstantText {
  std::string pointer;
  std::string text;
  bool is_whole = true;  ///< else a part of its string, beside expressions
};

/// A piece of a rendered text.
struct TextPart {
  std::string text;
  bool inserted = false;  ///< by `${ }`; else constant text
  bool segments = false;  ///< by `${path(…)}`: several segments of a path
};

/// A JSON value whose strings may hold `${ … }`. Immutable, cheap to copy, thread-safe.
class Template {
 public:
  /// Compiles every expression; all mistakes at once in `details` (pointer below the template).
  static Result<Template> compile(const Json& source);
  Template();  ///< the constant null
  /// A string template that always gives text (path, header or query values, messages).
  static Result<Template> compile_text(std::string_view source);

  /// @return invalid/EXPRESSION_FAILED. An `omit` at the very top is an error.
  Result<Json> render(const Scope& scope, Budget& budget) const;
  /// For compile_text templates.
  Result<std::string> render_text(const Scope& scope, Budget& budget) const;
  /// The same piece by piece, for what has to treat inserted text differently: paths.
  Result<std::vector<TextPart>> render_parts(const Scope& scope, Budget& budget) const;

  bool is_constant() const;  ///< no expression inside
  const Json& source() const;
  const std::vector<TemplateExpression>& expressions() const;
  std::vector<ConstantText> constant_texts() const;
  /// Constant text of a text template with every `${ }` left out as `\x01`, for path checks.
  std::string skeleton() const;

 private:
  struct Compiled;
  explicit Template(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace backstitch::dsl

#include <backstitch/base/json_pointer.hpp>
#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/template.hpp>

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/expression_ast.hpp>

#include "evaluation.hpp"

namespace backstitch::dsl {
namespace {

/// A piece of a text: constant, or an expression.
struct Piece {
  std::string text;
  std::optional<Expression> expression;
};

/// The end of the expression that begins at `begin`: braces are counted, quoted text is passed
/// over.
std::size_t end_of_expression(std::string_view text, std::size_t begin) {
  int open = 1;
  char quote = '\0';
  for (std::size_t i = begin; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0') {
      if (c == '\\')
        ++i;
      else if (c == quote)
        quote = '\0';
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '{') {
      ++open;
    } else if (c == '}' && --open == 0) {
      return i;
    }
  }
  return std::string_view::npos;
}

/// `${{ x }}`, as other tools write it, is an object here; the hint if it cannot be one.
std::string hint_for_doubled_braces(std::string_view inside) {
  if (inside.size() < 2 || inside.front() != '{' || inside.back() != '}') return {};
  inside = inside.substr(1, inside.size() - 2);
  const auto begin = std::min(inside.find_first_not_of(' '), inside.size());
  const std::string text(inside.substr(begin, inside.find_last_not_of(' ') + 1 - begin));
  if (!Expression::compile(text)) return {};
  return "write `${" + text + "}`, with one pair of braces";
}

Error unclosed(const std::string& pointer) {
  Error error{ErrorCode::invalid, "E401", "`${` without its closing `}`"};
  error.details.push_back(
      {pointer, "E401", error.message, "close it, or write `$${` for the characters themselves"});
  return error;
}

/// Cuts a text at its expressions. `$${` is a literal `${`.
Result<std::vector<Piece>> cut(std::string_view text, const std::string& pointer) {
  std::vector<Piece> pieces;
  std::string constant;
  const auto flush = [&] {
    if (!constant.empty()) pieces.push_back({std::move(constant), std::nullopt});
    constant.clear();
  };
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i).starts_with("$${")) {
      constant += "${";
      i += 3;
    } else if (text.substr(i).starts_with("${")) {
      const std::size_t end = end_of_expression(text, i + 2);
      if (end == std::string_view::npos) return unclosed(pointer);
      const std::string_view inside = text.substr(i + 2, end - i - 2);
      auto expression = Expression::compile(inside);
      if (!expression) {
        Error error = std::move(expression).error();
        const std::string hint = hint_for_doubled_braces(inside);
        for (auto& detail : error.details) {
          detail.pointer = pointer;
          detail.message = error.message;
          if (!hint.empty()) detail.hint = hint;
        }
        return error;
      }
      flush();
      pieces.push_back({{}, std::move(*expression)});
      i = end + 1;
    } else {
      constant += text[i++];
    }
  }
  flush();
  return pieces;
}

Error failed(const std::string& message) {
  return {ErrorCode::invalid, "EXPRESSION_FAILED", message};
}

}  // namespace

/// A tree beside the source: only what holds an expression has a node.
struct Part {
  enum class Kind { constant, text, array, object };
  Kind kind = Kind::constant;
  Json constant;
  std::uint32_t steps = 0;    ///< what a copy of the constant costs
  std::vector<Piece> pieces;  ///< of a text; a single expression keeps its type
  std::vector<std::string> keys;
  std::vector<Part> children;
};

struct Template::Compiled {
  Json source;
  Part root;
  std::vector<TemplateExpression> expressions;
  bool text_only = false;
};

namespace {

bool is_typed(const Part& part) {
  return part.pieces.size() == 1 && part.pieces[0].expression.has_value();
}

class TemplateCompiler {
 public:
  Part compile(const Json& source, const std::string& pointer) {
    Part part;
    if (source.is_string()) return text(source.get_ref<const std::string&>(), pointer);
    if (source.is_array()) {
      part.kind = Part::Kind::array;
      for (std::size_t i = 0; i < source.size(); ++i) {
        part.children.push_back(compile(source[i], pointer + "/" + std::to_string(i)));
      }
    } else if (source.is_object()) {
      part.kind = Part::Kind::object;
      for (const auto& [key, value] : source.items()) {
        part.keys.push_back(key);
        part.children.push_back(compile(value, pointer + "/" + escaped_pointer(key)));
      }
    }
    return folded(std::move(part), source);
  }

  Part text(std::string_view source, const std::string& pointer) {
    Part part;
    part.kind = Part::Kind::text;
    auto pieces = cut(source, pointer);
    if (!pieces) {
      for (const auto& detail : pieces.error().details) errors.push_back(detail);
      return part;
    }
    part.pieces = std::move(*pieces);
    for (const Piece& piece : part.pieces) {
      if (piece.expression) expressions.push_back({pointer, *piece.expression, !is_typed(part)});
    }
    if (part.pieces.empty()) return constant("");
    if (part.pieces.size() == 1 && !part.pieces[0].expression) return constant(part.pieces[0].text);
    return part;
  }

  std::vector<ErrorDetail> errors;
  std::vector<TemplateExpression> expressions;

 private:
  static Part constant(Json value) {
    Part part;
    part.constant = std::move(value);
    part.steps = static_cast<std::uint32_t>(weight_of(part.constant).steps);
    return part;
  }

  /// A list or object without expressions is a constant; it may still differ from its source by
  /// `$${`.
  static Part folded(Part part, const Json& source) {
    if (part.kind == Part::Kind::constant) return constant(source);
    Json value = part.kind == Part::Kind::array ? Json::array() : Json::object();
    const bool all_constant =
        std::all_of(part.children.begin(), part.children.end(),
                    [](const Part& child) { return child.kind == Part::Kind::constant; });
    if (!all_constant) return part;
    for (std::size_t i = 0; i < part.children.size(); ++i) {
      if (part.kind == Part::Kind::array)
        value.push_back(std::move(part.children[i].constant));
      else
        value.emplace(std::move(part.keys[i]), std::move(part.children[i].constant));
    }
    return constant(std::move(value));
  }
};

/// Text of a part of a longer text.
Result<std::string> interpolated(const Expression& expression, const Scope& scope, Budget& budget) {
  auto value = expression.evaluate_value(scope, budget);
  if (!value) return std::move(value).error();
  if (value->is_string()) return std::move(value->get_ref<std::string&>());
  if (value->is_number() || value->is_boolean()) return value->dump();
  return failed("`" + expression.source() + "` gives " + value->type_name() +
                ", which cannot be part of a text; use json() or a string");
}

Result<std::string> text_of(const std::vector<Piece>& pieces, const Scope& scope, Budget& budget) {
  std::string out;
  for (const Piece& piece : pieces) {
    if (!piece.expression) {
      out += piece.text;
      continue;
    }
    auto text = interpolated(*piece.expression, scope, budget);
    if (!text) return text;
    out += *text;
  }
  return out;
}

/// What is copied of a template costs like what is evaluated. @return whether it is within bounds
bool charge(std::uint32_t steps, const Scope& scope, Budget& budget) {
  Meter* meter = scope.meter();
  if (budget.steps < steps || (meter != nullptr && meter->left < steps)) return false;
  budget.steps -= steps;
  if (meter != nullptr) meter->spend(steps);
  return true;
}

Error out_of_steps() {
  return failed("the template takes more evaluation steps than are left of " +
                std::to_string(evaluation_steps_max));
}

Result<Evaluated> render_part(const Part& part, const Scope& scope, Budget& budget) {
  switch (part.kind) {
    case Part::Kind::constant:
      if (!charge(part.steps, scope, budget)) return out_of_steps();
      return Evaluated(part.constant);
    case Part::Kind::text: {
      if (is_typed(part)) return part.pieces[0].expression->evaluate(scope, budget);
      auto text = text_of(part.pieces, scope, budget);
      if (!text) return std::move(text).error();
      return Evaluated(Json(std::move(*text)));
    }
    case Part::Kind::array:
    case Part::Kind::object:
      break;
  }
  const bool is_array = part.kind == Part::Kind::array;
  Json result = is_array ? Json::array() : Json::object();
  for (std::size_t i = 0; i < part.children.size(); ++i) {
    auto child = render_part(part.children[i], scope, budget);
    if (!child) return child;
    auto* value = std::get_if<Json>(&*child);
    if (value == nullptr) continue;  // omit
    if (is_array)
      result.push_back(std::move(*value));
    else
      result.emplace(part.keys[i], std::move(*value));
  }
  return Evaluated(std::move(result));
}

void collect_texts(const Json& constant, const std::string& pointer,
                   std::vector<ConstantText>& texts) {
  if (constant.is_string()) texts.push_back({pointer, constant.get<std::string>(), true});
  if (!constant.is_structured()) return;
  std::size_t index = 0;
  for (auto it = constant.begin(); it != constant.end(); ++it, ++index) {
    const std::string name =
        constant.is_object() ? escaped_pointer(it.key()) : std::to_string(index);
    collect_texts(*it, pointer + "/" + name, texts);
  }
}

void collect_texts(const Part& part, const std::string& pointer, std::vector<ConstantText>& texts) {
  if (part.kind == Part::Kind::constant) return collect_texts(part.constant, pointer, texts);
  for (const Piece& piece : part.pieces) {
    if (!piece.expression) texts.push_back({pointer, piece.text, false});
  }
  for (std::size_t i = 0; i < part.children.size(); ++i) {
    const bool is_object = part.kind == Part::Kind::object;
    const std::string name = is_object ? escaped_pointer(part.keys[i]) : std::to_string(i);
    collect_texts(part.children[i], pointer + "/" + name, texts);
  }
}

Error many(std::vector<ErrorDetail> errors) {
  Error error{ErrorCode::invalid, errors.front().code, errors.front().message};
  error.details = std::move(errors);
  return error;
}

}  // namespace

Template::Template() {
  static const auto null = std::make_shared<const Compiled>();
  compiled_ = null;
}

Result<Template> Template::compile(const Json& source) {
  TemplateCompiler compiler;
  auto compiled = std::make_shared<Compiled>();
  compiled->root = compiler.compile(source, "");
  if (!compiler.errors.empty()) return many(std::move(compiler.errors));
  compiled->source = source;
  compiled->expressions = std::move(compiler.expressions);
  return Template(std::move(compiled));
}

Result<Template> Template::compile_text(std::string_view source) {
  TemplateCompiler compiler;
  auto compiled = std::make_shared<Compiled>();
  compiled->root = compiler.text(source, "");
  if (!compiler.errors.empty()) return many(std::move(compiler.errors));
  compiled->source = std::string(source);
  compiled->expressions = std::move(compiler.expressions);
  for (auto& expression : compiled->expressions) expression.interpolated = true;
  compiled->text_only = true;
  return Template(std::move(compiled));
}

Result<Json> Template::render(const Scope& scope, Budget& budget) const {
  if (compiled_->text_only) {
    auto text = render_text(scope, budget);
    if (!text) return std::move(text).error();
    return Json(std::move(*text));
  }
  auto result = render_part(compiled_->root, scope, budget);
  if (!result) return std::move(result).error();
  if (auto* value = std::get_if<Json>(&*result)) return std::move(*value);
  return failed("`omit` is used where a value is needed");
}

Result<std::string> Template::render_text(const Scope& scope, Budget& budget) const {
  const Part& root = compiled_->root;
  if (root.kind == Part::Kind::constant) {
    return root.constant.is_string() ? root.constant.get<std::string>() : json_text(root.constant);
  }
  return text_of(root.pieces, scope, budget);
}

Result<std::vector<TextPart>> Template::render_parts(const Scope& scope, Budget& budget) const {
  const Part& root = compiled_->root;
  std::vector<TextPart> parts;
  if (root.kind == Part::Kind::constant) {
    parts.push_back({root.constant.is_string() ? root.constant.get<std::string>() : ""});
    return parts;
  }
  for (const Piece& piece : root.pieces) {
    if (!piece.expression) {
      parts.push_back({piece.text});
      continue;
    }
    auto text = interpolated(*piece.expression, scope, budget);
    if (!text) return std::move(text).error();
    parts.push_back({std::move(*text), true, is_path_call(piece.expression->root())});
  }
  return parts;
}

bool Template::is_constant() const {
  return compiled_->root.kind == Part::Kind::constant;
}
const Json& Template::source() const {
  return compiled_->source;
}
const std::vector<TemplateExpression>& Template::expressions() const {
  return compiled_->expressions;
}

std::vector<ConstantText> Template::constant_texts() const {
  std::vector<ConstantText> texts;
  collect_texts(compiled_->root, "", texts);
  return texts;
}

std::string Template::skeleton() const {
  const Part& root = compiled_->root;
  if (root.kind == Part::Kind::constant)
    return root.constant.is_string() ? root.constant.get<std::string>() : "";
  std::string out;
  for (const Piece& piece : root.pieces) out += piece.expression ? std::string("\x01") : piece.text;
  return out;
}

}  // namespace backstitch::dsl

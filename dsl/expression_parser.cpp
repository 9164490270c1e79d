#include "expression_parser.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <backstitch/dsl/nearest.hpp>

#include "excerpt.hpp"
#include "expression_lexer.hpp"

namespace backstitch::dsl {
namespace {

bool is_among(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

const FunctionInfo* find_function(std::string_view name) {
  const auto& library = function_library();
  const auto info = std::find_if(library.begin(), library.end(),
                                 [&](const auto& one) { return one.name == name; });
  return info == library.end() ? nullptr : &*info;
}

/// How a macro is written; some have a body that is more than one value.
std::string how_to_apply(const std::string& macro) {
  return "write it after its list: `list." + macro +
         (macro == "toObject" ? "(x, [x.key, x.value])`" : "(x, …)`");
}

std::string how_to_call(const std::string& function) {
  const FunctionInfo* info = find_function(function);
  const bool has_more = info != nullptr && info->arguments_min > 1;
  return "write `" + function + (has_more ? "(value, …)`" : "(value)`");
}

/// What other languages call the functions and macros.
std::string name_here(std::string_view foreign) {
  static constexpr std::pair<std::string_view, std::string_view> names[] = {
      {"length", "len"},          {"size", "len"},          {"count", "len"},
      {"toLowerCase", "lower"},   {"toUpperCase", "upper"}, {"toString", "string"},
      {"str", "string"},          {"parseInt", "int"},      {"toInt", "int"},
      {"parseFloat", "number"},   {"float", "number"},      {"substring", "slice"},
      {"substr", "slice"},        {"includes", "contains"}, {"stringify", "json"},
      {"toJson", "json"},         {"some", "any"},          {"every", "all"},
      {"select", "map"},          {"where", "filter"},      {"exists", "any"},
      {"orderBy", "sortBy"},      {"sort", "sortBy"},       {"unique", "distinct"},
      {"uniq", "distinct"},       {"ceiling", "ceil"},      {"now", "saga.startedAt"},
      {"today", "saga.startedAt"}};
  for (const auto& [other, ours] : names) {
    if (other == foreign) return std::string(ours);
  }
  return {};
}

std::string hint_for_unknown_name(const std::string& name, const std::vector<std::string>& known,
                                  std::string otherwise) {
  const std::string here = name_here(name);
  if (is_among(macro_library(), here)) return how_to_apply(here);
  if (find_function(here) != nullptr) return how_to_call(here);
  if (!here.empty()) return "there is no clock: write `" + here + "`";
  return did_you_mean(name, known, std::move(otherwise));
}

std::string hint_for_unknown_function(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& one : function_library()) names.push_back(one.name);
  return hint_for_unknown_name(name, names, "docs/language.md lists the functions");
}

std::string hint_for_unknown_macro(const std::string& name) {
  std::string all;
  for (const auto& one : macro_library()) all += (all.empty() ? "" : ", ") + one;
  return hint_for_unknown_name(name, macro_library(), "the macros are " + all);
}

/// Recursive descent over the grammar of docs/language.md, one function a level.
class Parser {
 public:
  explicit Parser(std::string_view source) : lexer_(source) { advance(); }

  Node parse() {
    Node node = expression();
    if (current_.kind != TokenKind::end) fail("unexpected `" + current_.text + "`");
    return node;
  }

 private:
  /// Counts nesting for as long as it lives.
  class Nested {
   public:
    explicit Nested(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > expression_nesting_max) {
        parser_.fail("nested deeper than " + std::to_string(expression_nesting_max),
                     "cut it into value steps");
      }
    }
    ~Nested() { --parser_.depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    Parser& parser_;
  };

  [[noreturn]] void fail(const std::string& message, const std::string& hint = {}) const {
    throw SyntaxError{current_.begin, message, "E401", hint};
  }

  void advance() { current_ = lexer_.next(); }
  bool at(std::string_view symbol) const {
    return current_.kind == TokenKind::symbol && current_.text == symbol;
  }
  bool take(std::string_view symbol) {
    if (!at(symbol)) return false;
    advance();
    return true;
  }
  void expect(std::string_view symbol) {
    if (!take(symbol)) {
      fail("expected `" + std::string(symbol) + "`" +
           (current_.kind == TokenKind::end ? " before the end"
                                            : ", found `" + current_.text + "`"));
    }
  }
  std::string expect_name(const char* what) {
    if (current_.kind != TokenKind::name) fail(std::string("expected ") + what);
    std::string name = current_.text;
    advance();
    return name;
  }

  static Node make(NodeKind kind, std::uint32_t begin, std::uint32_t end) {
    Node node;
    node.kind = kind;
    node.begin = begin;
    node.end = end;
    return node;
  }

  static Node binary(Operator op, Node left, Node right) {
    Node node = make(NodeKind::binary, left.begin, right.end);
    node.op = op;
    node.children.push_back(std::move(left));
    node.children.push_back(std::move(right));
    return node;
  }

  Node expression() {
    const Nested nested(*this);
    Node condition = coalesce();
    if (!take("?")) return condition;
    Node node = make(NodeKind::conditional, condition.begin, 0);
    node.children.push_back(std::move(condition));
    node.children.push_back(expression());
    expect(":");
    node.children.push_back(expression());
    node.end = node.children.back().end;
    return node;
  }

  /// Left-associative levels share one loop: `next` parses the operands.
  template <class Next>
  Node level(std::initializer_list<std::pair<std::string_view, Operator>> operators, Next next) {
    Node left = (this->*next)();
    while (true) {
      const auto found = std::find_if(operators.begin(), operators.end(),
                                      [&](const auto& one) { return at(one.first); });
      if (found == operators.end()) return left;
      advance();
      left = binary(found->second, std::move(left), (this->*next)());
      // A chain leans to the left and is evaluated by recursion.
      if (++chained_ > expression_chars_max) fail("too many operators", "cut it into value steps");
    }
  }

  Node coalesce() { return level({{"??", Operator::coalesce}}, &Parser::logical_or); }
  Node logical_or() { return level({{"||", Operator::logical_or}}, &Parser::logical_and); }
  Node logical_and() { return level({{"&&", Operator::logical_and}}, &Parser::comparison); }
  Node sum() { return level({{"+", Operator::add}, {"-", Operator::subtract}}, &Parser::product); }
  Node product() {
    return level({{"*", Operator::multiply}, {"/", Operator::divide}, {"%", Operator::remainder}},
                 &Parser::unary);
  }

  /// Comparisons do not chain: `a < b < c` is a mistake, not a comparison with a boolean.
  Node comparison() {
    static constexpr std::pair<std::string_view, Operator> operators[] = {
        {"==", Operator::equal},      {"!=", Operator::not_equal}, {"<", Operator::less},
        {"<=", Operator::less_equal}, {">", Operator::greater},    {">=", Operator::greater_equal}};
    Node left = sum();
    for (const auto& [symbol, op] : operators) {
      if (take(symbol)) return binary(op, std::move(left), sum());
    }
    if (current_.kind == TokenKind::name && current_.text == "in") {
      advance();
      return binary(Operator::in, std::move(left), sum());
    }
    return left;
  }

  Node unary() {
    for (const auto& [symbol, op] :
         {std::pair{"!", Operator::logical_not}, std::pair{"-", Operator::negate}}) {
      if (!at(symbol)) continue;
      const Nested nested(*this);
      Node node = make(NodeKind::unary, current_.begin, 0);
      advance();
      node.op = op;
      node.children.push_back(unary());
      node.end = node.children.back().end;
      return node;
    }
    return postfix();
  }

  Node postfix() {
    Node node = primary();
    while (true) {
      const bool optional = at("?.") || at("?[");
      if (take(".") || take("?.")) {
        const std::uint32_t begin = current_.begin;
        std::string name = expect_name("a member's name");
        node = at("(") ? macro(std::move(node), std::move(name), begin, optional)
                       : member(std::move(node), std::move(name), optional);
      } else if (take("[") || take("?[")) {
        Node index = make(NodeKind::index, node.begin, 0);
        index.optional = optional;
        index.children.push_back(std::move(node));
        index.children.push_back(expression());
        index.end = current_.end;
        expect("]");
        node = std::move(index);
      } else {
        return node;
      }
      if (++chained_ > expression_chars_max) fail("too many members", "cut it into value steps");
    }
  }

  Node member(Node object, std::string name, bool optional) {
    Node node = make(NodeKind::member, object.begin, current_.begin);
    node.optional = optional;
    node.text = std::move(name);
    node.children.push_back(std::move(object));
    return node;
  }

  Node macro(Node list, std::string name, std::uint32_t begin, bool optional) {
    if (optional || !is_among(macro_library(), name)) {
      if (optional)
        throw SyntaxError{begin, "a macro cannot follow `?.`", "E401",
                          "write (… ?? [])." + name + "(…)"};
      const bool is_function = find_function(name) != nullptr;
      throw SyntaxError{begin,
                        is_function ? "`" + name + "` is a function, not a macro"
                                    : "unknown macro `" + name + "`",
                        "E401", is_function ? how_to_call(name) : hint_for_unknown_macro(name)};
    }
    if (++macro_depth_ > macro_nesting_max)
      fail("macros nested deeper than " + std::to_string(macro_nesting_max),
           "cut it into value steps");
    advance();
    Node node = make(NodeKind::macro, list.begin, 0);
    node.text = std::move(name);
    node.children.push_back(std::move(list));
    const std::uint32_t variable_at = current_.begin;
    node.variable = expect_name("the variable of the macro");
    if (is_reserved_name(node.variable) || is_bound(node.variable)) {
      throw SyntaxError{variable_at, "the variable `" + node.variable + "` hides another name",
                        "E105", "give it a name of its own"};
    }
    expect(",");
    bound_.push_back(node.variable);
    node.children.push_back(expression());
    bound_.pop_back();
    node.end = current_.end;
    expect(")");
    --macro_depth_;
    return node;
  }

  Node primary() {
    Token token = current_;
    switch (token.kind) {
      case TokenKind::number:
      case TokenKind::string: {
        advance();
        Node node = make(NodeKind::literal, token.begin, token.end);
        node.literal = std::move(token.value);
        return node;
      }
      case TokenKind::name:
        return named(std::move(token));
      case TokenKind::symbol:
        if (take("(")) {
          Node node = expression();
          expect(")");
          return node;
        }
        if (at("[")) return array();
        if (at("{")) return object();
        fail("unexpected `" + token.text + "`");
      case TokenKind::end:
        fail("something is missing at the end");
    }
    fail("unexpected token");
  }

  Node named(Token token) {
    advance();
    if (at("(")) return call(std::move(token));
    Node node = make(NodeKind::literal, token.begin, token.end);
    if (token.text == "true" || token.text == "false") {
      node.literal = token.text == "true";
    } else if (token.text == "null") {
      node.literal = nullptr;
    } else if (token.text == "omit") {
      node.kind = NodeKind::omit;
    } else {
      node.kind = NodeKind::name;
      node.macro_variable = is_bound(token.text);
      node.text = std::move(token.text);
    }
    return node;
  }

  Node call(Token token) {
    const FunctionInfo* info = find_function(token.text);
    if (info == nullptr) {
      const bool is_macro = is_among(macro_library(), token.text);
      throw SyntaxError{
          token.begin,
          is_macro ? "`" + token.text + "` is a macro, not a function"
                   : "unknown function `" + token.text + "`",
          "E401", is_macro ? how_to_apply(token.text) : hint_for_unknown_function(token.text)};
    }
    Node node = make(NodeKind::call, token.begin, 0);
    node.text = token.text;
    node.children = list("(", ")", node.end);
    if (node.children.size() < info->arguments_min || node.children.size() > info->arguments_max) {
      const std::string count =
          info->arguments_min == info->arguments_max
              ? std::to_string(info->arguments_min)
              : std::to_string(info->arguments_min) + " to " + std::to_string(info->arguments_max);
      throw SyntaxError{token.begin,
                        "`" + node.text + "` takes " + count + " argument(s), not " +
                            std::to_string(node.children.size()),
                        "E401",
                        node.children.size() < info->arguments_min ? "add what is missing"
                                                                   : "leave the rest out"};
    }
    return node;
  }

  Node array() {
    Node node = make(NodeKind::array, current_.begin, 0);
    node.children = list("[", "]", node.end);
    return node;
  }

  std::vector<Node> list(std::string_view open, std::string_view close, std::uint32_t& end) {
    expect(open);
    std::vector<Node> items;
    if (!at(close)) {
      do {
        items.push_back(expression());
      } while (take(","));
    }
    end = current_.end;
    expect(close);
    return items;
  }

  Node object() {
    Node node = make(NodeKind::object, current_.begin, 0);
    expect("{");
    while (!at("}")) {
      if (current_.kind != TokenKind::name && current_.kind != TokenKind::string)
        fail("expected a key");
      if (std::find(node.keys.begin(), node.keys.end(), current_.text) != node.keys.end()) {
        fail("the key `" + current_.text + "` is duplicated", "keep one of them");
      }
      node.keys.push_back(current_.text);
      advance();
      expect(":");
      node.children.push_back(expression());
      if (!take(",")) break;
    }
    node.end = current_.end;
    expect("}");
    return node;
  }

  bool is_bound(const std::string& name) const {
    return std::find(bound_.begin(), bound_.end(), name) != bound_.end();
  }

  Lexer lexer_;
  Token current_;
  std::vector<std::string> bound_;
  std::size_t depth_ = 0;
  std::size_t macro_depth_ = 0;
  std::size_t chained_ = 0;
};

/// With the offset, as every error of an expression is told.
Error told(std::string_view source, const SyntaxError& error) {
  Error out{ErrorCode::invalid, error.code,
            error.message + " at " + std::to_string(error.offset + 1) + " in `" +
                excerpt(source, 80) + "`"};
  out.details.push_back(
      {"@" + std::to_string(error.offset), error.code, error.message, error.hint});
  return out;
}

}  // namespace

Result<Node> parse_expression(std::string_view source) {
  if (source.size() > expression_chars_max) {
    return told(source, {0, "longer than " + std::to_string(expression_chars_max) + " characters",
                         "E401", "cut it into value steps"});
  }
  try {
    return Parser(source).parse();
  } catch (const SyntaxError& error) {
    return told(source, error);
  }
}

}  // namespace backstitch::dsl

#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::dsl {

enum class NodeKind {
  literal,      ///< `literal`
  omit,         ///<
  name,         ///< `text`: a root name or a macro variable (see `macro_variable`)
  member,       ///< children[0] `.`/`?.` `text`
  index,        ///< children[0] `[`/`?[` children[1] `]`
  unary,        ///< `op` children[0]
  binary,       ///< children[0] `op` children[1]; also `??`
  conditional,  ///< children[0] ? children[1] : children[2]
  call,         ///< function `text` (children…)
  macro,        ///< children[0] . `text` ( `variable` , children[1] )
  array,        ///< [children…]
  object        ///< {keys[i]: children[i]}
};

enum class Operator {
  none,
  coalesce,
  logical_or,
  logical_and,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  add,
  subtract,
  multiply,
  divide,
  remainder,
  logical_not,
  negate
};

/// The syntax tree of an expression. Plain data; built by Expression::compile only.
struct Node {
  NodeKind kind = NodeKind::literal;
  Operator op = Operator::none;
  bool optional = false;        ///< `?.` or `?[`
  bool macro_variable = false;  ///< this name is bound by an enclosing macro
  std::uint32_t begin = 0;      ///< byte offsets in the source
  std::uint32_t end = 0;
  std::string text;
  std::string variable;
  Json literal;
  std::vector<std::string> keys;
  std::vector<Node> children;
};

/// `path(…)` as a whole `${ }`: what it gives may be several segments of a path.
inline bool is_path_call(const Node& node) {
  return node.kind == NodeKind::call && node.text == "path";
}

/// One function or macro of the library: its name and what the checker needs to know.
struct FunctionInfo {
  std::string name;
  std::size_t arguments_min = 0;
  std::size_t arguments_max = 0;
  /// Result type as a JSON Schema type name (`string`, `integer`, `number`, `boolean`, `array`,
  /// `object`) or empty when it depends on the arguments.
  std::string result;
  /// Types allowed for each argument, `|`-separated; empty: any. The last repeats.
  std::vector<std::string> arguments;
};
/// All functions (not macros). Ordered by name.
const std::vector<FunctionInfo>& function_library();
/// All macro names: map, filter, flatMap, find, all, any, sum, sortBy, toObject.
const std::vector<std::string>& macro_library();
/// Root names: input, steps, saga, self, response, failure, signal.
const std::vector<std::string>& built_in_names();
/// What no variable may be called: a root name, or a word of the grammar (true, false, null, omit,
/// in).
bool is_reserved_name(std::string_view name);

}  // namespace backstitch::dsl

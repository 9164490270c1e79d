#pragma once
#include <string_view>

#include <backstitch/base/result.hpp>
#include <backstitch/dsl/expression.hpp>
#include <backstitch/dsl/expression_ast.hpp>

namespace backstitch::dsl {

/// Text to tree; names, functions and argument counts are checked here. Recursion is bounded by
/// expression_nesting_max.
Result<Node> parse_expression(std::string_view source);

}  // namespace backstitch::dsl

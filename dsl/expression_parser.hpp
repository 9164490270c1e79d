#pragma once
#include <string_view>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/dsl/expression.hpp>
#include <backstitch/dsl/expression_ast.hpp>

namespace backstitch::dsl {

/// Text to tree; names, functions and argument counts are checked here. Recursion is bounded by
/// expression_nesting_max.
Result<Node> parse_expression(std::string_view source);

/// E401 with the offset, as every error of an expression is told.
Error expression_error(std::string_view source, std::uint32_t offset, const std::string& message,
                       const char* code = "E401");

}  // namespace backstitch::dsl

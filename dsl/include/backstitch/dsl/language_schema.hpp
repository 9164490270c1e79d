#pragma once
#include <string_view>

namespace backstitch::dsl {

/// The structure of the language as a JSON Schema (draft-07), for editors: the text of
/// dsl/schema/saga-1.schema.json. What it refuses, parse_definition refuses; the parser knows more.
std::string_view language_schema();

}  // namespace backstitch::dsl

#pragma once
/// JSON text as the engine writes it: compact, keys sorted, doubles in their shortest form (the
/// library's own writer adds a digit now and then, which is another decimal number to who reads
/// decimals). Pure; any thread.
#include <cstddef>
#include <string>

#include <backstitch/base/json.hpp>

namespace backstitch {

/// @pre numbers are of the domain of dsl/number.hpp
/// @throws nlohmann::json::type_error (316) if a text is no UTF-8
std::string json_text(const Json& value);

/// Its size, without making it. What limits of values count.
std::size_t json_text_size(const Json& value);

}  // namespace backstitch

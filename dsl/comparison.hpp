#pragma once
/// How values compare: numbers by what they are worth, 64-bit integers kept exact beside doubles.
#include <backstitch/base/json.hpp>

namespace backstitch::dsl {

/// Deep; `1 == 1.0`.
bool equal(const Json& left, const Json& right);
/// Whether one of the items equals `value`.
bool holds(const Json& array, const Json& value);
/// @pre both are numbers, or both are strings
bool less(const Json& left, const Json& right);

}  // namespace backstitch::dsl

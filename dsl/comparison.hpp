#pragma once
/// How values compare: numbers by what they are worth, 64-bit integers kept exact beside doubles.
#include <backstitch/base/json.hpp>

namespace backstitch::dsl {

/// Deep; `1 == 1.0`.
bool equal(const Json& left, const Json& right);
/// Whether one of the items equals `value`.
bool holds(const Json& array, const Json& value);
/// -1, 0 or 1: an order over all values, of one kind or not, in which equal values are 0.
int order_of(const Json& left, const Json& right);
/// @pre both are numbers, or both are strings
bool less(const Json& left, const Json& right);

}  // namespace backstitch::dsl

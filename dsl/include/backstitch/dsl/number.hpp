#pragma once
/// The one domain of numbers: what a saga can hold, and hold unchanged through JSON text,
/// PostgreSQL's `numeric` and back. Pure; any thread.
///
/// - An integral value within signed 64 bits is an integer, however it is written: 3, 3.0, 3e0; -0
///   is 0.
/// - Any other value is the nearest finite double (IEEE 754 binary64, ties to even).
/// - An integral value outside 64 bits is in the domain only if it is the decimal value of the
///   shortest text of that double, which is what json_text writes: 12000000000000000000 and 1e23
///   are, 18446744073709551615 is not. So an identifier that a double would change is refused.
/// - What is larger than every double (1e400) is not in the domain; what is too small for one is 0.
#include <optional>
#include <string_view>

#include <backstitch/base/json.hpp>

namespace backstitch::dsl {

/// @param text a number of RFC 8259; @return nothing if its value is not in the domain
std::optional<Json> number_of(std::string_view text);

/// For text that was in the domain when it was stored: never refuses. Beyond all doubles it is the
/// largest one.
Json stored_number(std::string_view text);

/// What has been computed. @param value finite
Json number(double value);

}  // namespace backstitch::dsl

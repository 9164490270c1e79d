#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>

namespace backstitch::dsl {

struct GateLimits {
  std::size_t bytes_max = 256 * 1024;
  std::size_t depth_max = 64;
  std::size_t levels = 0;  ///< of the text around the values that are meant; within depth_max
  /// Of each array within these levels. What has more is refused at the first item too many.
  std::size_t items_max = SIZE_MAX;

  /// For text that has values of these limits in it, so many levels down.
  GateLimits around(std::size_t around) const {
    return {bytes_max, depth_max + around, around, items_max};
  }
};

/// Untrusted text to JSON: the only way in. Refuses what the JSON library would let pass: duplicate
/// keys, U+0000, numbers outside the domain of number.hpp, nesting over the bound, invalid UTF-8.
/// Numbers have the form of that domain.
/// Iterative: 100,000 levels of nesting cost nothing. Thread-safe.
/// @return invalid with reason one of json-syntax, json-encoding, json-too-large, json-too-deep,
///         json-too-many-items, json-duplicate-key, json-nul, json-integer-range,
///         json-number-range; details[0].pointer is the place; the message of a syntax error has
///         line and column too.
Result<Json> parse_json(std::string_view text, const GateLimits& limits = {});

/// The same for a value that a program has built: what is taken is what parse_json would give for
/// its text. Integers without a sign and doubles get the form of the domain; NaN and infinities,
/// for which JSON has no text, are refused as json-number-range.
Result<Json> admit(Json value, const GateLimits& limits = {});

/// Text that passed the gate before it was stored. Its numbers are never refused; PostgreSQL may
/// have written them otherwise (12000000000000000000 for 1.2e19) and they are the same as before.
/// @throws std::invalid_argument if it is no JSON text all the same
Json stored_json(std::string_view text);

/// Line and column of an error of the gate; {0, 0}: it has only a pointer.
std::pair<std::uint32_t, std::uint32_t> line_and_column(const Error& gate_error);

}  // namespace backstitch::dsl

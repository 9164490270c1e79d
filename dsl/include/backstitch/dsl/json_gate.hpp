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
};

/// Untrusted text to JSON: the only way in. Refuses what the JSON library would let pass: duplicate
/// keys, U+0000, integers outside signed 64 bits, nesting over the bound, invalid UTF-8.
/// Iterative: 100,000 levels of nesting cost nothing. Thread-safe.
/// @return invalid with reason one of json-syntax, json-encoding, json-too-large, json-too-deep,
///         json-duplicate-key, json-nul, json-integer-range, json-number-range; details[0].pointer
///         is the place; the message of a syntax error has line and column too.
Result<Json> parse_json(std::string_view text, const GateLimits& limits = {});

/// Line and column of an error of the gate; {0, 0}: it has only a pointer.
std::pair<std::uint32_t, std::uint32_t> line_and_column(const Error& gate_error);

}  // namespace backstitch::dsl

#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace backstitch {

/// SHA-256 (FIPS 180-4).
std::array<std::uint8_t, 32> sha256(std::string_view bytes);
/// The same in lower-case hex.
std::string sha256_hex(std::string_view bytes);

}  // namespace backstitch

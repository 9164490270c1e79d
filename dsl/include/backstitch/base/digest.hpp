#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace backstitch {

using Sha256 = std::array<std::uint8_t, 32>;

/// SHA-256 (FIPS 180-4).
Sha256 sha256(std::string_view bytes);
/// The same in lower-case hex.
std::string sha256_hex(std::string_view bytes);
/// HMAC-SHA-256 (RFC 2104): whoever does not know the key cannot foresee it, whatever other
/// messages he has seen under the key.
Sha256 hmac_sha256(std::string_view key, std::string_view message);
/// Whether two texts are equal, in a time that depends on their lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);
/// The first `bytes` of a digest in lower-case hex.
std::string hex_of(const Sha256& digest, std::size_t bytes = 32);

}  // namespace backstitch

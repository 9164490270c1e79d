#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include <backstitch/base/saga_id.hpp>
#include <backstitch/engine/ports/random.hpp>

namespace backstitch::engine {

/// @return a UUID of version 4 (RFC 9562), which tells this start of a process from all others
inline std::string random_incarnation(Random& random) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t half = 0; half < 2; ++half) {
    const std::uint64_t number = random.next();
    for (std::size_t i = 0; i < 8; ++i)
      bytes[half * 8 + i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  bytes[6] = static_cast<std::uint8_t>(0x40U | (bytes[6] & 0x0fU));
  bytes[8] = static_cast<std::uint8_t>(0x80U | (bytes[8] & 0x3fU));
  return SagaId(bytes).text();
}

}  // namespace backstitch::engine

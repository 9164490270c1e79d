#include <backstitch/base/saga_id.hpp>

namespace backstitch {
namespace {

constexpr char hex[] = "0123456789abcdef";

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr bool is_dash_place(std::size_t i) {
  return i == 8 || i == 13 || i == 18 || i == 23;
}

}  // namespace

SagaId SagaId::make(TimePoint now, std::uint64_t random_high, std::uint64_t random_low,
                    Shard shard) {
  std::array<std::uint8_t, 16> bytes{};
  const auto milliseconds = static_cast<std::uint64_t>(now.time_since_epoch().count());
  for (std::size_t i = 0; i < 6; ++i)
    bytes[i] = static_cast<std::uint8_t>(milliseconds >> (40 - 8 * i));
  bytes[6] = static_cast<std::uint8_t>(0x70U | ((random_high >> 8) & 0x0FU));
  bytes[7] = static_cast<std::uint8_t>(random_high);
  for (std::size_t i = 8; i < 15; ++i)
    bytes[i] = static_cast<std::uint8_t>(random_low >> (8 * (i - 8)));
  bytes[8] = static_cast<std::uint8_t>(0x80U | (bytes[8] & 0x3FU));
  bytes[15] = shard;
  return SagaId(bytes);
}

std::optional<SagaId> SagaId::parse(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_dash_place(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = digit(text[i]);
    if (value < 0) return std::nullopt;
    auto& byte = bytes[nibble / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
    ++nibble;
  }
  return SagaId(bytes);
}

std::string SagaId::text() const {
  std::string text(36, '-');
  std::size_t at = 0;
  for (const auto byte : bytes_) {
    if (is_dash_place(at)) ++at;
    text[at++] = hex[byte >> 4];
    text[at++] = hex[byte & 0x0FU];
  }
  return text;
}

}  // namespace backstitch

#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <backstitch/base/time.hpp>

namespace backstitch {

/// 256 shards; a saga belongs to one for life: the last byte of its id.
using Shard = std::uint8_t;
inline constexpr int shard_count = 256;

/// Identifies a saga: a UUID version 7 (RFC 9562), so that ids order by start time.
class SagaId {
 public:
  SagaId() = default;
  explicit SagaId(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}

  /// Pure: time and randomness are the caller's. The last byte is the shard.
  static SagaId make(TimePoint now, std::uint64_t random_high, std::uint64_t random_low,
                     Shard shard);
  /// The 36-character form, any case. @return nothing if the text is not a UUID
  static std::optional<SagaId> parse(std::string_view text);

  std::string text() const;
  Shard shard() const { return bytes_[15]; }
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  auto operator<=>(const SagaId&) const = default;  // NOLINT(modernize-use-nullptr)

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

}  // namespace backstitch

template <>
struct std::hash<backstitch::SagaId> {
  std::size_t operator()(const backstitch::SagaId& id) const {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, id.bytes().data(), 8);
    std::memcpy(&low, id.bytes().data() + 8, 8);
    return high * 0x9e3779b97f4a7c15ULL ^ low;
  }
};

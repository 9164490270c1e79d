#pragma once
/// PostgreSQL arrays in the binary format of the wire. Compared with array literals this saves the
/// escaping here and the parsing there; a row of numbers is a row of memcpy.
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>

namespace backstitch::postgres {

/// Element types, by their fixed object ids in pg_type.
enum class Oid : std::uint32_t {
  boolean = 16,
  bigint = 20,
  smallint = 21,
  integer = 23,
  text = 25,
  timestamptz = 1184,
  uuid = 2950,
  jsonb = 3802
};

/// Microseconds since 2000-01-01, as timestamptz is stored.
inline std::int64_t postgres_microseconds(TimePoint time) {
  constexpr std::int64_t epoch_ms = 946'684'800'000;
  return (time.time_since_epoch().count() - epoch_ms) * 1000;
}

/// A one-dimensional array being built. Not thread-safe. reset() keeps the memory for the next
/// batch.
class BinaryArray {
 public:
  explicit BinaryArray(Oid element) : element_(element) { reset(); }

  void reset() {
    bytes_.assign(header_size, '\0');
    count_ = 0;
    nulls_ = false;
  }
  std::size_t size() const { return count_; }

  void add(bool value) { add_fixed(static_cast<std::uint8_t>(value)); }
  void add(std::int16_t value) { add_fixed(static_cast<std::uint16_t>(value)); }
  void add(std::int32_t value) { add_fixed(static_cast<std::uint32_t>(value)); }
  void add(std::int64_t value) { add_fixed(static_cast<std::uint64_t>(value)); }
  void add(TimePoint value) { add(postgres_microseconds(value)); }
  void add(const SagaId& id) {
    const auto& bytes = id.bytes();
    add_bytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  /// text, or JSON text for jsonb
  void add(std::string_view text) {
    if (element_ == Oid::jsonb) {
      put(static_cast<std::uint32_t>(text.size() + 1));
      bytes_.push_back('\1');  // version of the jsonb wire format
      bytes_.append(text);
      ++count_;
    } else {
      add_bytes(text);
    }
  }
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(const char*) = delete;
  void add_null() {
    put(0xFFFFFFFFu);
    ++count_;
    nulls_ = true;
  }
  template <class T>
  void add_optional(const T& value) {
    value ? add(*value) : add_null();
  }
  void add_unless_empty(const std::string& text) { text.empty() ? add_null() : add(text); }

  /// The finished array; valid until the next change.
  std::string_view bytes() {
    const std::size_t length = count_ == 0 ? empty_size : bytes_.size();
    set(0, count_ == 0 ? 0 : 1);  // dimensions
    set(4, nulls_ ? 1 : 0);
    set(8, static_cast<std::uint32_t>(element_));
    set(12, static_cast<std::uint32_t>(count_));
    set(16, 1);  // lower bound
    return {bytes_.data(), length};
  }

 private:
  static constexpr std::size_t header_size = 20;
  static constexpr std::size_t empty_size = 12;

  template <class U>
  static U big_endian(U value) {
    static_assert(std::endian::native == std::endian::little);
    if constexpr (sizeof(U) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(U) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(U) == 8) return __builtin_bswap64(value);
    return value;
  }
  template <class U>
  void put(U value) {
    const U swapped = big_endian(value);
    bytes_.append(reinterpret_cast<const char*>(&swapped), sizeof swapped);
  }
  void set(std::size_t at, std::uint32_t value) {
    const std::uint32_t swapped = big_endian(value);
    std::memcpy(bytes_.data() + at, &swapped, sizeof swapped);
  }
  template <class U>
  void add_fixed(U value) {
    put(static_cast<std::uint32_t>(sizeof value));
    put(value);
    ++count_;
  }
  void add_bytes(std::string_view value) {
    put(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
    ++count_;
  }

  Oid element_;
  std::string bytes_;
  std::size_t count_ = 0;
  bool nulls_ = false;
};

}  // namespace backstitch::postgres

#pragma once
#include <cstdint>

namespace backstitch::engine {

/// Source of chance: ids, the roots of idempotency keys, jitter. In production nobody can foresee
/// the next number from those before. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;
};

}  // namespace backstitch::engine

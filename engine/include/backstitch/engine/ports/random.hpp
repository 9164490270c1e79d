#pragma once
#include <cstdint>

namespace backstitch::engine {

/// Source of chance: ids and jitter. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;
};

}  // namespace backstitch::engine

#pragma once
#include <cstdint>

#include <backstitch/engine/ports/random.hpp>

namespace backstitch::system {

/// Chance for ids and jitter: a generator a thread, seeded by the operating system. Not for
/// secrets.
class SystemRandom : public engine::Random {
 public:
  std::uint64_t next() override;
};

}  // namespace backstitch::system

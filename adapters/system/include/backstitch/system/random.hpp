#pragma once
#include <cstdint>

#include <backstitch/engine/ports/random.hpp>

namespace backstitch::system {

/// The operating system's random bytes: nobody can foresee the next ones from those before.
class SystemRandom : public engine::Random {
 public:
  std::uint64_t next() override;
};

}  // namespace backstitch::system

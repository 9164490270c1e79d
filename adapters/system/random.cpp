#include <backstitch/system/random.hpp>

#include <random>

namespace backstitch::system {
namespace {

std::mt19937_64 seeded() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device(),
                     device(), device(), device(), device()};
  return std::mt19937_64(seed);
}

}  // namespace

std::uint64_t SystemRandom::next() {
  thread_local std::mt19937_64 generator = seeded();
  return generator();
}

}  // namespace backstitch::system

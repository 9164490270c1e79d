#include <backstitch/system/random.hpp>

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <stdexcept>

namespace backstitch::system {
namespace {

/// The kernel's random bytes, fetched a few at a time: ids and callback addresses are made of them,
/// and nobody may guess the next one from those before.
class Pool {
 public:
  std::uint64_t take() {
    if (used_ == numbers_.size()) fill();
    return numbers_[used_++];
  }

 private:
  void fill() {
    const auto wanted = static_cast<ssize_t>(sizeof numbers_);
    ssize_t got = 0;
    // At most 256 bytes come whole, or not at all when a signal is first (getrandom(2)).
    do {
      got = ::getrandom(numbers_.data(), sizeof numbers_, 0);
    } while (got < 0 && errno == EINTR);
    if (got != wanted) throw std::runtime_error("the system gives no random numbers");
    used_ = 0;
  }

  std::array<std::uint64_t, 32> numbers_{};
  std::size_t used_ = numbers_.size();
};

}  // namespace

std::uint64_t SystemRandom::next() {
  thread_local Pool pool;
  return pool.take();
}

}  // namespace backstitch::system

#pragma once
#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>

#include <backstitch/base/saga_id.hpp>

namespace backstitch::engine {

/// What a reactor is at, for the watchdog. Written by the reactor's thread, read by any.
class Pulse {
 public:
  /// Names the saga that is worked on for as long as it lives.
  class Work {
   public:
    Work(Pulse& pulse, const SagaId& saga) : pulse_(pulse), outer_(pulse.saga_) {
      pulse_.set(saga);
    }
    ~Work() { pulse_.set(outer_); }
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

   private:
    Pulse& pulse_;
    SagaId outer_;
  };

  /// Unset: none. Read while it changes it may be half of each; the watchdog only asks when nothing
  /// has changed for long.
  std::optional<SagaId> saga() const {
    const std::uint64_t halves[] = {high_.load(std::memory_order_relaxed),
                                    low_.load(std::memory_order_relaxed)};
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), halves, sizeof halves);
    const SagaId saga(bytes);
    return saga == SagaId{} ? std::nullopt : std::optional(saga);
  }

 private:
  void set(const SagaId& saga) {
    std::uint64_t halves[2] = {};
    std::memcpy(halves, saga.bytes().data(), sizeof halves);
    saga_ = saga;
    high_.store(halves[0], std::memory_order_relaxed);
    low_.store(halves[1], std::memory_order_relaxed);
  }

  SagaId saga_;  ///< the reactor's own copy
  std::atomic<std::uint64_t> high_{0};
  std::atomic<std::uint64_t> low_{0};
};

}  // namespace backstitch::engine

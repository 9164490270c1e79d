#pragma once
#include <chrono>
#include <cstdint>
#include <functional>

#include <backstitch/base/time.hpp>

namespace backstitch::engine {

/// Time that only goes forward; never stored, never compared between nodes.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;
using Task = std::function<void()>;
using TimerId = std::uint64_t;

/// One thread of the engine: runs its tasks one after the other. In production an Asio io_context,
/// in the simulator a loop on a virtual clock.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Any thread. Runs `task` soon, on the executor's thread, never inside this call.
  virtual void post(Task task) = 0;
  /// Executor's thread only. Runs `task` once, not before `delay` has passed.
  virtual TimerId call_after(Duration delay, Task task) = 0;
  /// Executor's thread only. Unknown or fired timers are ignored.
  virtual void cancel(TimerId timer) = 0;
  /// Any thread.
  virtual SteadyTime now() const = 0;
};

}  // namespace backstitch::engine

#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include <backstitch/base/time.hpp>

namespace backstitch::app {

/// What SIGINT, SIGTERM and SIGHUP do to a server. A thread of its own takes them: it works while
/// the rest of the process is stuck, and as PID 1, for which the kernel has no default actions.
///
/// | while it | a signal |
/// |---|---|
/// | starts | ends the process with exit_done, unless begin_serving() comes within `start_grace` |
/// | serves | makes wait_for() return true; the stop begins |
/// | stops | ends the process with exit_forced, and so does the end of `stop_max` |
///
/// Nothing is unwound where the process is ended, which is as safe as any kill.
/// Threads: those that are made before it need block_signals(); its functions are for one thread.
class StopSignals {
 public:
  struct Options {
    /// What SIGHUP does: called instead of a stop; empty: it stops the server like SIGTERM.
    std::function<void()> on_hangup{};
    /// A start that is about to be complete is stopped in order, so that shards are given back.
    Duration start_grace{1'000};
    Duration stop_max{29'000};
  };

  /// Blocks the signals in this thread, and in all that it makes from then on.
  static void block();
  /// @pre block() was called before any thread was made
  explicit StopSignals(Options options);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The start is complete.
  void begin_serving();
  /// @return whether the server has been told to stop. @pre begin_serving() was called
  bool wait_for(Duration time);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase { starting, serving, stopping };

  void run();
  int next_signal();  ///< not positive if the deadline was first
  void on_signal();
  void on_deadline();

  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Phase phase_ = Phase::starting;  ///< this and what follows under the mutex
  bool asked_ = false;             ///< to stop
  Clock::time_point deadline_ = Clock::time_point::max();
  std::atomic<bool> ended_ = false;
  std::thread thread_;  ///< the last member: it uses the others
};

/// For commands that are no server: as PID 1, for which the kernel has no default actions, SIGINT,
/// SIGTERM and SIGHUP end the process all the same, with 128 and the number of the signal.
void end_on_signals_as_init();

}  // namespace backstitch::app

#pragma once
/// Places at which a test may have the process die, as by kill -9. Numbered across the whole
/// process in the order they are reached: with BACKSTITCH_KILL_AT=17 in the environment the process
/// ends at the seventeenth. Without it, a failpoint is one branch that is never taken.
#include <cstdint>

namespace backstitch::system {

/// Read from the environment before main; 0: off.
extern const std::int64_t kill_at;

/// Counts, and ends the process if this was the one. Any thread.
void reach_failpoint(const char* name);

/// `name` is what is written to standard error when the process dies here.
inline void failpoint(const char* name) {
  if (kill_at != 0) [[unlikely]]
    reach_failpoint(name);
}

}  // namespace backstitch::system

#pragma once
#include <stdexcept>
#include <string>

namespace backstitch {

/// A bug of ours, not an error of the caller's. Caught only at the outermost loop of a thread,
/// which leaves the one saga concerned to an operator.
class InvariantViolation : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace backstitch

/// Checked in release builds too: decisions are pure and commits whole, so unwinding loses nothing.
#define BACKSTITCH_INVARIANT(condition, message)                                              \
  do {                                                                                        \
    if (!(condition)) {                                                                       \
      throw ::backstitch::InvariantViolation(std::string("invariant broken: ") + #condition + \
                                             ": " + (message));                               \
    }                                                                                         \
  } while (false)

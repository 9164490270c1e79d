#pragma once

namespace backstitch::app {

/// While it lives, Ctrl-C is a request to stop that the command answers itself; a second one ends
/// the process. At most one at a time.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;
  bool is_interrupted() const;
};

}  // namespace backstitch::app

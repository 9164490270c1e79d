#pragma once
#include <backstitch/base/result.hpp>
#include <backstitch/engine/ports/executor.hpp>

namespace backstitch::engine {

/// Threads for work that would stall a reactor: parsing and checking documents, drawing graphs,
/// planning, decoding large bodies. Any thread may submit.
class Workers {
 public:
  virtual ~Workers() = default;
  /// Runs `task` once, on a thread of the pool.
  /// @return overloaded/work-queue-full: `task` will not run
  virtual Result<Done> submit(Task task) = 0;
};

/// Runs each task inside submit(): for programs that have no reactor to protect, and for
/// simulations.
class InlineWorkers : public Workers {
 public:
  Result<Done> submit(Task task) override {
    task();
    return Done{};
  }
};

}  // namespace backstitch::engine

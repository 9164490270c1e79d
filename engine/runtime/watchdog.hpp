#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "reactor.hpp"

namespace backstitch::engine {

/// Sees to it that every reactor turns. A node whose reactor is stuck keeps its leases, because
/// they are renewed elsewhere, so nobody else would take its sagas: the process has to end. Runs on
/// the thread that renews the leases.
class Watchdog : public std::enable_shared_from_this<Watchdog> {
 public:
  Watchdog(Node& node, std::vector<std::shared_ptr<Reactor>> reactors)
      : node_(node), reactors_(std::move(reactors)), silent_for_(reactors_.size()) {}
  void begin();

 private:
  void look();
  void report(std::size_t reactor);

  Node& node_;
  std::vector<std::shared_ptr<Reactor>> reactors_;
  /// How often each was looked at since it was asked and has not answered. Counted, not timed: a
  /// process that was stopped for a while is not stuck. 0: it has answered.
  std::vector<std::size_t> silent_for_;
};

}  // namespace backstitch::engine

#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "reactor.hpp"

namespace backstitch::engine {

/// Keeps this node's leases: renews them, tells the reactors which shards they hold and until when
/// they may act, measures the database's clock on the way. Runs on the first reactor's thread.
class ShardOwner : public std::enable_shared_from_this<ShardOwner> {
 public:
  ShardOwner(Node& node, std::vector<std::shared_ptr<Reactor>> reactors)
      : node_(node),
        reactors_(std::move(reactors)),
        executor_(*node.ports.reactors.front().executor) {}

  /// `done` after the first answer that brought shards, or with the error of the first try.
  void open(std::function<void(Result<Done>)> done);
  /// No further renewal; gives everything back.
  void close(std::function<void()> done);

 private:
  void renew(bool first);
  void answered(const Result<LeaseAnswer>& answer, SteadyTime asked, SteadyTime received);
  void again(Duration after, bool first);

  Node& node_;
  std::vector<std::shared_ptr<Reactor>> reactors_;
  Executor& executor_;
  std::function<void(Result<Done>)> opened_;
  bool first_ = true;
  bool closed_ = false;
};

}  // namespace backstitch::engine

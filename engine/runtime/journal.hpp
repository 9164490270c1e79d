#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/store.hpp>

namespace backstitch::engine {

/// Group commit: collects the appends of one reactor's sagas. While one batch is on its way to the
/// store the next one grows, so batches get larger with the load and nothing waits for a timer.
/// Used on the reactor's thread only.
class Journal {
 public:
  using AppendDone = std::function<void(const AppendResult&)>;

  Journal(Store& store, std::size_t lane, Executor& executor, std::size_t batch_max)
      : shared_(std::make_shared<Shared>(
            Shared{store, executor, lane, batch_max, {}, {}, false, 0, 0})) {}
  ~Journal() { shared_->closed = true; }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// `done` on the reactor's thread once the append is durable or known not to be.
  void append(Append append, AppendDone done);

  /// Lets go of what has not been sent, callbacks included.
  void abandon() {
    shared_->queue.clear();
    std::exchange(shared_->callbacks, {});
  }

  std::size_t waiting() const { return shared_->queue.size(); }
  std::uint64_t appends() const { return shared_->appends; }
  std::uint64_t commits() const { return shared_->commits; }

 private:
  /// Outlives the journal until the batch on its way has been answered.
  struct Shared {
    Store& store;
    Executor& executor;
    std::size_t lane;
    std::size_t batch_max;
    std::vector<Append> queue;
    std::vector<AppendDone> callbacks;
    bool in_flight;
    std::uint64_t appends;
    std::uint64_t commits;
    bool closed = false;
    bool posted = false;
  };
  static void send(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;
};

}  // namespace backstitch::engine

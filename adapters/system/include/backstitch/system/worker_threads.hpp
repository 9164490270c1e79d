#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <backstitch/engine/ports/workers.hpp>

namespace backstitch::system {

/// A fixed number of threads behind one bounded queue.
/// Threads: submit from any; start and stop from one. Tasks that have not begun when it stops are
/// dropped. An exception of a task ends the process: it is a bug above us.
class WorkerThreads : public engine::Workers {
 public:
  struct Options {
    std::size_t threads = 1;
    std::size_t queue_max = 64;  ///< tasks that wait for a thread
  };
  explicit WorkerThreads(Options options);
  ~WorkerThreads() override;

  void start();
  /// Returns once the tasks that run have ended. Idempotent.
  void stop();
  Result<Done> submit(engine::Task task) override;

 private:
  void run();

  const Options options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<engine::Task> queue_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace backstitch::system

#include <backstitch/system/worker_threads.hpp>

#include <string>
#include <utility>

namespace backstitch::system {

WorkerThreads::WorkerThreads(Options options) : options_(options) {}

WorkerThreads::~WorkerThreads() {
  stop();
}

void WorkerThreads::start() {
  for (std::size_t i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { run(); });
}

void WorkerThreads::stop() {
  std::deque<engine::Task> dropped;  // destroyed without the lock: what it holds may submit
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    dropped.swap(queue_);
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

Result<Done> WorkerThreads::submit(engine::Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      return Error{ErrorCode::unavailable, "shutting-down",
                   "This node is stopping; try another or later."};
    }
    if (queue_.size() >= options_.queue_max) {
      return Error{ErrorCode::overloaded, "work-queue-full",
                   "As many requests as this node queues (" + std::to_string(options_.queue_max) +
                       ") are waiting to be parsed or checked; try again later."};
    }
    queue_.push_back(std::move(task));
  }
  wake_.notify_one();
  return Done{};
}

void WorkerThreads::run() {
  while (true) {
    engine::Task task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
      if (stopped_) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace backstitch::system

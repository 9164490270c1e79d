#pragma once
#include <array>
#include <atomic>
#include <memory>

#include "worker_pool.hpp"

namespace backstitch::postgres {

/// What a node tells the others, as a hint that may get lost.
enum class Channel { free_shards, inbox };
constexpr std::size_t channel_count = 2;
const char* name_of(Channel channel);

/// Sends notifications in transactions of their own, after the commits that they are about:
/// PostgreSQL lets the commits that notify wait for each other. Those that are asked for while one
/// waits for its turn are that one.
/// Threads: any. The pool must outlive it.
class Notifier {
 public:
  explicit Notifier(WorkerPool& pool) : pool_(pool) {}

  void notify(Channel channel);

 private:
  using Flags = std::array<std::atomic<bool>, channel_count>;

  WorkerPool& pool_;
  std::shared_ptr<Flags> is_queued_ = std::make_shared<Flags>();
};

/// In a transaction of its own.
Result<Done> notify(Session& session, Channel channel);

}  // namespace backstitch::postgres

#include "worker_pool.hpp"

#include <chrono>
#include <system_error>

#include "condition.hpp"

namespace backstitch::postgres {
namespace {

constexpr std::chrono::milliseconds probe_interval{1000};

Error closed() {
  return {ErrorCode::unavailable, "store-closed",
          "the store was closed before this request was answered"};
}

}  // namespace

WorkerPool::WorkerPool(Options options, FailureLog& log, Health* health, Meters& meters)
    : options_(std::move(options)),
      log_(log),
      health_(health != nullptr ? *health : unheeded_),
      meters_(meters) {
  try {
    for (std::size_t i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { run(); });
    rejecter_ = std::thread([this] { reject(); });
  } catch (const std::system_error&) {
    stop();  // those that were made, or their destructors would end the process
    throw;
  }
}

WorkerPool::~WorkerPool() {
  stop();
}

void WorkerPool::enqueue(Request request) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      const bool full = queue_.size() >= options_.queue_max;
      (full ? rejected_ : queue_).push_back(std::move(request));
      wake_.notify_all();
      return;
    }
  }
  request.fail(closed());
}

void WorkerPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    wake_.notify_all();
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  if (rejecter_.joinable()) rejecter_.join();
  std::deque<Request> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(queue_);
    for (Request& request : rejected_) left.push_back(std::move(request));
    rejected_.clear();
  }
  for (Request& request : left) request.fail(closed());
}

std::size_t WorkerPool::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void WorkerPool::run() {
  HealthFlag flag(health_);
  std::unique_ptr<Session> session;
  connect(session, flag);
  while (std::optional<Request> request = next(session, flag)) answer(*request, session, flag);
}

void WorkerPool::reject() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopped_ || !rejected_.empty(); });
    if (stopped_) return;
    Request request = std::move(rejected_.front());
    rejected_.pop_front();
    lock.unlock();
    request.fail(
        {ErrorCode::overloaded, "store-busy", "too many reads are waiting; try again shortly"});
    lock.lock();
  }
}

/// Waits for a request; meanwhile looks once a second whether a lost database is back.
std::optional<WorkerPool::Request> WorkerPool::next(std::unique_ptr<Session>& session,
                                                    HealthFlag& flag) {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return stopped_ || !queue_.empty(); };
  while (!ready()) {
    if (session) {
      wake_.wait(lock, ready);
    } else if (!wake_.wait_for(lock, probe_interval, ready)) {
      lock.unlock();
      connect(session, flag);
      lock.lock();
    }
  }
  if (stopped_) return std::nullopt;
  Request request = std::move(queue_.front());
  queue_.pop_front();
  return request;
}

void WorkerPool::answer(Request& request, std::unique_ptr<Session>& session, HealthFlag& flag) {
  Failure failure;
  for (int tries = 0; tries < 2; ++tries) {
    std::function<void()> deliver;
    bool session_was_open = false;
    try {
      if (session && !session->is_current()) session.reset();
      if (!session) open(session);
      session_was_open = true;
      deliver = request.work(*session);
      if (!session->is_current())
        throw pqxx::broken_connection("the answer is of a database that was left meanwhile");
    } catch (const InvariantViolation&) {
      throw;
    } catch (...) {
      failure = note_failure(session);
      if (failure.kind == FailureKind::environment) flag.set_down(unreachable_reason(failure));
      if (failure.kind == FailureKind::content || failure.kind == FailureKind::environment) break;
      if (failure.kind == FailureKind::lost || failure.kind == FailureKind::elsewhere) {
        session.reset();
        flag.set_down(unreachable_reason(failure));
      }
      if (failure.sqlstate == "57014") break;  // it had its time
      if (failure.kind == FailureKind::lost && session_was_open && !request.repeatable) {
        return request.fail({ErrorCode::outcome_unknown, "store-unavailable",
                             "the connection to the database broke; it is not known whether this "
                             "was written"});
      }
      continue;
    }
    flag.set_up();
    deliver();
    return;
  }
  request.fail(to_error(failure));
}

void WorkerPool::connect(std::unique_ptr<Session>& session, HealthFlag& flag) {
  try {
    open(session);
    flag.set_up();
  } catch (const std::exception&) {
    flag.set_down(unreachable_reason(note_failure(session)));
  }
}

void WorkerPool::open(std::unique_ptr<Session>& session) {
  session = std::make_unique<Session>(options_.session);
  // The first one of each thread is none.
  if (opened_.fetch_add(1, std::memory_order_relaxed) >= options_.threads)
    meters_.reconnects.fetch_add(1, std::memory_order_relaxed);
}

/// Call inside `catch (...)`, while the session that failed is still there.
Failure WorkerPool::note_failure(const std::unique_ptr<Session>& session) {
  Failure failure = current_failure(session && session->is_open());
  log_.note(options_.session.lane, session ? session->statement() : "connect", failure);
  return failure;
}

}  // namespace backstitch::postgres

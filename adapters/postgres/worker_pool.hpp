#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <backstitch/base/result.hpp>

#include "failure_log.hpp"
#include "health.hpp"
#include "meters.hpp"
#include "session.hpp"

namespace backstitch::postgres {

/// A few threads, each with a connection, that answer requests from one bounded queue. What may be
/// asked twice without harm is tried once more on a new connection when its own broke.
/// Threads: submit and stop from any; `done` on one of the pool's own, but inside the call once it
/// is stopped.
class WorkerPool {
 public:
  struct Options {
    SessionOptions session;
    std::size_t threads = 1;
    std::size_t queue_max = 4096;
  };
  /// @param health nullptr: these connections do not decide whether the store is reachable
  WorkerPool(Options options, FailureLog& log, Health* health, Meters& meters);
  ~WorkerPool();

  /// `work` runs on a pool thread and may throw what libpqxx throws.
  template <class T>
  void submit(std::function<Result<T>(Session&)> work, std::function<void(Result<T>)> done) {
    enqueue(request_of<T>(std::move(work), std::move(done), true));
  }
  /// For what must not happen twice: a broken connection is answered outcome_unknown.
  template <class T>
  void submit_once(std::function<Result<T>(Session&)> work, std::function<void(Result<T>)> done) {
    enqueue(request_of<T>(std::move(work), std::move(done), false));
  }
  /// Requests still queued are answered `unavailable`. Returns once the threads have ended.
  void stop();
  /// Requests that no thread has taken up yet.
  std::size_t waiting() const;

 private:
  struct Request {
    std::function<std::function<void()>(Session&)> work;
    std::function<void(Error)> fail;
    bool repeatable = true;
  };

  template <class T>
  static Request request_of(std::function<Result<T>(Session&)> work,
                            std::function<void(Result<T>)> done, bool repeatable) {
    const auto callback = std::make_shared<std::function<void(Result<T>)>>(std::move(done));
    return {[work = std::move(work), callback](Session& session) {
              // Once `done` has been called, nothing may be tried again.
              Result<T> answer = work(session);
              return [answer = std::make_shared<Result<T>>(std::move(answer)), callback] {
                (*callback)(std::move(*answer));
              };
            },
            [callback](Error error) { (*callback)(std::move(error)); }, repeatable};
  }

  void enqueue(Request request);
  void run();
  void reject();
  std::optional<Request> next(std::unique_ptr<Session>& session, HealthFlag& flag);
  void answer(Request& request, std::unique_ptr<Session>& session, HealthFlag& flag);
  void connect(std::unique_ptr<Session>& session, HealthFlag& flag);
  void open(std::unique_ptr<Session>& session);
  Failure note_failure(const std::unique_ptr<Session>& session);

  const Options options_;
  FailureLog& log_;
  Health unheeded_;
  Health& health_;
  Meters& meters_;
  std::atomic<std::size_t> opened_{0};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request> queue_;
  std::deque<Request> rejected_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
  std::thread rejecter_;  ///< so that a refusal neither waits for a reader nor runs inside the call
};

}  // namespace backstitch::postgres

#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <backstitch/engine/ports/store.hpp>

#include "append_statement.hpp"
#include "health.hpp"
#include "session.hpp"

namespace backstitch::postgres {

/// The name under which this process holds its leases; set by renewals, read by lanes.
class NodeName {
 public:
  void set(const std::string& name) {
    const std::lock_guard lock(mutex_);
    name_ = name;
  }
  std::string get() const {
    const std::lock_guard lock(mutex_);
    return name_;
  }

 private:
  mutable std::mutex mutex_;
  std::string name_;
};

/// Writes batches, one after the other, each in one statement: one thread, one connection. Never
/// gives a batch back before its outcome is known, unless the lane is stopped. Threads: append and
/// stop from any; `done` on the lane's own.
class Lane {
 public:
  using Batch = std::vector<engine::Append>;
  using Results = std::vector<engine::AppendResult>;
  using Callback = std::function<void(Results)>;

  /// @param first an open session to begin with
  Lane(SessionOptions options, std::unique_ptr<Session> first, const NodeName& node,
       Health& health);
  ~Lane();

  void append(Batch batch, Callback done);
  /// What is queued is answered `abandoned`. Returns once the thread has ended.
  void stop();

  static SessionOptions session_options(std::string url, std::string application_name);

 private:
  struct Work {
    Batch batch;
    Callback done;
  };
  struct Pending {
    const engine::Append* item = nullptr;
    engine::AppendResult* result = nullptr;
  };
  using Round = std::vector<Pending>;

  void run();
  std::optional<Work> next();
  Results write(const Batch& batch);
  /// @return false if the lane was stopped first
  bool write_round(Round round);
  bool write_each(const Round& round);
  void send(const Round& round);
  bool read_back(Round& round);

  bool connect();
  bool ensure_session();
  bool wait(std::chrono::milliseconds time);
  bool back_off();
  bool stopped() const;

  const SessionOptions options_;
  const NodeName& node_;
  HealthFlag health_;
  std::unique_ptr<Session> session_;
  AppendStatement statement_;
  std::chrono::milliseconds backoff_{0};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Work> queue_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace backstitch::postgres

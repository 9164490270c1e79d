#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "failure_log.hpp"
#include "meters.hpp"
#include "session.hpp"

namespace backstitch::postgres {

/// Hears NOTIFY on its own connection and thread. Only hints: what is missed while the connection
/// is away is found by polling. Threads: listen and stop from any; hints come on its own.
class Listener {
 public:
  Listener(SessionOptions options, FailureLog& log, Meters& meters);
  ~Listener();

  /// `hint` for each notification of the channel, and each time the connection is made anew.
  void listen(std::string channel, std::function<void()> hint);
  /// Returns once the thread has ended.
  void stop();

 private:
  using Channels = std::vector<std::pair<std::string, std::function<void()>>>;

  void run();
  void hear(Session& session);
  Channels channels() const;

  const SessionOptions options_;
  FailureLog& log_;
  Meters& meters_;
  mutable std::mutex mutex_;
  Channels channels_;
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace backstitch::postgres

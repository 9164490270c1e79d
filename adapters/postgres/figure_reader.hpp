#pragma once
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <backstitch/engine/ports/store_figures.hpp>

#include "failure_log.hpp"
#include "meters.hpp"
#include "session.hpp"

namespace backstitch::postgres {

/// One statement, all figures of the database; the plan walks indexes and ends at
/// DatabaseFigures::count_max rows of each.
engine::DatabaseFigures read_database_figures(Session& session);

/// Reads the figures of the whole database on its own connection and thread, at once and then after
/// each interval: away from appends, and rarely enough to cost nothing. Threads: latest and stop
/// from any.
class FigureReader {
 public:
  FigureReader(SessionOptions options, std::chrono::milliseconds interval, FailureLog& log,
               Meters& meters);
  ~FigureReader();

  /// Nothing if the latest read failed or is more than two intervals old.
  std::optional<engine::DatabaseFigures> latest() const;
  /// Returns once the thread has ended.
  void stop();

  /// @return the options of its session, whose statement may take a small part of the interval
  static SessionOptions session_options(std::string url, std::string application_name);

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  bool connect();
  std::optional<engine::DatabaseFigures> read();

  const SessionOptions options_;
  const std::chrono::milliseconds interval_;
  FailureLog& log_;
  Meters& meters_;
  std::unique_ptr<Session> session_;
  bool was_connected_ = false;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<engine::DatabaseFigures> latest_;
  Clock::time_point read_at_{};
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace backstitch::postgres

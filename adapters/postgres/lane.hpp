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
#include "failure.hpp"
#include "failure_log.hpp"
#include "health.hpp"
#include "lane_gate.hpp"
#include "membership.hpp"
#include "meters.hpp"
#include "session.hpp"

namespace backstitch::postgres {

/// Writes batches, one after the other, each in one statement: one thread, one connection. Never
/// gives a batch back before its outcome is known, unless the lane is stopped or the database turns
/// out to be another one, see Lineage. Threads: append and
/// stop from any; `done` on the lane's own.
class Lane {
 public:
  using Batch = std::vector<engine::Append>;
  using Results = std::vector<engine::AppendResult>;
  using Callback = std::function<void(Results)>;

  /// @param first an open session to begin with
  /// @param membership under which its appends are fenced
  Lane(SessionOptions options, std::unique_ptr<Session> first, Membership& membership,
       LaneGate& gate, FailureLog& log, Health& health, Meters& meters);
  ~Lane();

  void append(Batch batch, Callback done);
  /// What is queued is answered `abandoned`. Returns once the thread has ended.
  void stop();

  static SessionOptions session_options(std::string url, std::string application_name,
                                        std::string lane);

 private:
  struct Work {
    Batch batch;
    Callback done;
  };
  struct Pending {
    engine::Append* item = nullptr;
    engine::AppendResult* result = nullptr;
  };
  using Round = std::vector<Pending>;
  enum class Written {
    answered,  ///< every item of the round has its result
    failed,    ///< the database failed at the round and has written nothing of it
    /// The lane was stopped first, or an era has begun, see Lineage: what is without a result may
    /// be written or not, and nobody can tell.
    abandoned
  };

  void run();
  std::optional<Work> next();
  Results write(Batch& batch);
  /// @return false if the rest is abandoned
  bool write_parts(Round round);
  Written write_round(Round& round);
  Written write_each(const Round& round);
  static void fail(Round& round, FailureKind kind);
  void answer_blocked(Round& round);
  /// @return false if the fence has changed: nothing was written
  bool send(const Round& round);
  void note_newest(const Round& round);
  bool read_fence(Round& round);
  bool read_back(Round& round);

  Failure note_failure();
  bool connect();
  bool ensure_session();
  bool ensure_session_of_batch();
  bool wait(std::chrono::milliseconds time);
  bool back_off();
  bool stopped() const;

  const SessionOptions options_;
  Membership& membership_;
  LaneGate& gate_;
  FailureLog& log_;
  HealthFlag health_;
  Meters& meters_;
  std::unique_ptr<Session> session_;
  AppendStatement statement_;
  std::uint64_t batch_era_ = 0;  ///< in which the present batch was begun
  std::chrono::milliseconds backoff_{0};
  Failure failing_;  ///< what the database failed at last

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Work> queue_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace backstitch::postgres

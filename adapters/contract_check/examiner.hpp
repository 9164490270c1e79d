#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/asio/reactor.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/http/participants.hpp>

namespace backstitch::contract_check {

/// A call of the engine that waits for a decision of the scenario.
struct HeldCall {
  engine::Call call;
  std::function<void(engine::CallResult)> done;
};

enum class Way {
  whole,
  cut_off,        ///< the connection is closed as soon as the request has left
  last_byte_held  ///< all but the last byte is sent; that is sent by Flight::release()
};

/// A call of the check that is in flight. Threads: that of the scenario.
class Flight {
 public:
  using Clock = std::chrono::steady_clock;

  /// Waits until all but the last byte has been sent, or the call has ended without that.
  void wait_until_held();
  /// Sends the last byte.
  void release();
  /// @return whether the answer has come within `patience`
  bool wait(std::chrono::milliseconds patience);
  bool is_answered() { return wait(std::chrono::milliseconds(0)); }
  /// Blocks until there is an answer; the adapter answers every call, at the latest when its time
  /// is over.
  engine::CallResult result();
  Clock::time_point sent_at() const { return sent_at_; }
  /// @pre is_answered()
  Clock::time_point answered_at();

 private:
  friend class Examiner;
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<engine::CallResult> result;
    Clock::time_point answered_at;
    bool held = false;
    std::function<void()> go;  ///< on the reactor only
    bool released = false;     ///< on the reactor only
  };
  Flight(asio::Reactor& reactor, std::shared_ptr<Shared> shared)
      : reactor_(&reactor), shared_(std::move(shared)), sent_at_(Clock::now()) {}

  asio::Reactor* reactor_;
  std::shared_ptr<Shared> shared_;
  Clock::time_point sent_at_;
};

/// Stands between the engine and its participants. Calls that match are held back for the thread
/// that examines; all others pass. Threads: call() on the reactor's; everything else on the one
/// that examines, which may block.
class Examiner final : public engine::Participants {
 public:
  Examiner(asio::Reactor& reactor, const http::Options& options);

  void call(engine::Call call, std::function<void(engine::CallResult)> done) override;

  using Matches = std::function<bool(const engine::Call&)>;
  /// From now on; those held before and not taken pass. Nothing: hold no more.
  void hold(Matches matches);
  /// The next call that was held. @return nothing if `over` came first; it is asked again and again
  std::optional<HeldCall> next(const std::function<bool()>& over);
  /// Answers a call that was held.
  void answer(HeldCall held, engine::CallResult result);
  /// Sends a call of the check.
  Flight send(engine::Call call, Way way);
  std::size_t sent() const { return sent_; }
  /// Services that no call has reached although several were made, and why.
  std::vector<std::string> unreachable() const;

 private:
  struct Contact {
    bool reached = false;
    int failures = 0;
    std::string url;
    std::string why;
  };

  http::Options holding(http::Options options);
  http::HttpParticipants& carrier(Way way);
  void note_contact(const engine::Call& call, const engine::CallResult& result);
  /// Carries the call and notes whether the service was reached.
  void carry(http::HttpParticipants& by, engine::Call call,
             std::function<void(engine::CallResult)> done);

  asio::Reactor& reactor_;
  http::HttpParticipants whole_;
  http::HttpParticipants cutting_;
  http::HttpParticipants holding_;
  std::size_t sent_ = 0;
  /// Those whose last byte is held, by what tells calls apart; on the reactor only.
  std::map<std::string, std::shared_ptr<Flight::Shared>> last_byte_held_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Matches matches_;
  std::deque<HeldCall> held_;
  std::map<std::string, Contact> contacts_;  ///< by service
};

}  // namespace backstitch::contract_check

#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include <backstitch/asio/reactor.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/http/participants.hpp>

namespace backstitch::contract_check {

/// A call that the engine wants made, and that waits for somebody to decide about it.
struct HeldCall {
  engine::Call call;
  std::function<void(engine::CallResult)> done;
};

enum class Way {
  whole,
  cut_off  ///< the connection is closed as soon as the request has left
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
  /// Makes `over` be asked again at once.
  void look_again();
  /// Answers a call that was held.
  void answer(HeldCall held, engine::CallResult result);
  /// A call of our own.
  engine::CallResult send(engine::Call call, Way way);
  std::size_t sent() const { return sent_; }

 private:
  asio::Reactor& reactor_;
  http::HttpParticipants whole_;
  http::HttpParticipants cutting_;
  std::size_t sent_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  Matches matches_;
  std::deque<HeldCall> held_;
};

}  // namespace backstitch::contract_check

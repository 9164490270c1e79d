#include "examiner.hpp"

#include <chrono>
#include <future>
#include <utility>

namespace backstitch::contract_check {
namespace {

constexpr std::chrono::milliseconds look_every{50};

http::Options cutting(http::Options options) {
  options.cut_after_sending = true;
  return options;
}

}  // namespace

Examiner::Examiner(asio::Reactor& reactor, const http::Options& options)
    : reactor_(reactor), whole_(reactor, options), cutting_(reactor, cutting(options)) {}

void Examiner::call(engine::Call call, std::function<void(engine::CallResult)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (matches_ && matches_(call)) {
      held_.push_back({std::move(call), std::move(done)});
      changed_.notify_all();
      return;
    }
  }
  whole_.call(std::move(call), std::move(done));
}

void Examiner::hold(Matches matches) {
  std::deque<HeldCall> passing;
  {
    const std::lock_guard lock(mutex_);
    matches_ = std::move(matches);
    passing.swap(held_);
  }
  for (HeldCall& held : passing) {
    auto shared = std::make_shared<HeldCall>(std::move(held));
    reactor_.post([this, shared] { call(std::move(shared->call), std::move(shared->done)); });
  }
}

std::optional<HeldCall> Examiner::next(const std::function<bool()>& over) {
  std::unique_lock lock(mutex_);
  while (held_.empty()) {
    lock.unlock();
    if (over()) return std::nullopt;
    lock.lock();
    if (held_.empty()) changed_.wait_for(lock, look_every);
  }
  HeldCall held = std::move(held_.front());
  held_.pop_front();
  return held;
}

void Examiner::look_again() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Examiner::answer(HeldCall held, engine::CallResult result) {
  reactor_.post([done = std::move(held.done), result = std::move(result)] { done(result); });
}

engine::CallResult Examiner::send(engine::Call call, Way way) {
  ++sent_;
  auto shared = std::make_shared<engine::Call>(std::move(call));
  auto answer = std::make_shared<std::promise<engine::CallResult>>();
  auto come = answer->get_future();
  http::HttpParticipants& participants = way == Way::cut_off ? cutting_ : whole_;
  reactor_.post([&participants, shared, answer] {
    participants.call(std::move(*shared), [answer](engine::CallResult result) {
      answer->set_value(std::move(result));
    });
  });
  // The adapter answers every call, at the latest when its time is over.
  return come.get();
}

}  // namespace backstitch::contract_check

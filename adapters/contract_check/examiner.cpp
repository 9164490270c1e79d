#include "examiner.hpp"

#include <utility>

namespace backstitch::contract_check {
namespace {

constexpr std::chrono::milliseconds look_every{20};
/// A service that was not reached so often is taken for unreachable.
constexpr int failures_min = 5;

std::string name_of_call(const engine::Call& call) {
  return call.request.key + call.request.probes + "#" + std::to_string(call.attempt);
}

http::Options cutting(http::Options options) {
  options.cut_after_sending = true;
  return options;
}

}  // namespace

void Flight::wait_until_held() {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [&] { return shared_->held || shared_->result; });
}

void Flight::release() {
  reactor_->post([shared = shared_] {
    shared->released = true;
    if (const auto go = std::exchange(shared->go, nullptr)) go();
  });
}

bool Flight::wait(std::chrono::milliseconds patience) {
  std::unique_lock lock(shared_->mutex);
  return shared_->changed.wait_for(lock, patience, [&] { return shared_->result.has_value(); });
}

engine::CallResult Flight::result() {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [&] { return shared_->result.has_value(); });
  return *shared_->result;
}

Flight::Clock::time_point Flight::answered_at() {
  const std::lock_guard lock(shared_->mutex);
  return shared_->answered_at;
}

Examiner::Examiner(asio::Reactor& reactor, const http::Options& options)
    : reactor_(reactor),
      whole_(reactor, options),
      cutting_(reactor, cutting(options)),
      holding_(reactor, holding(options)) {}

http::Options Examiner::holding(http::Options options) {
  options.before_last_byte = [this](const engine::Call& call, std::function<void()> go) {
    auto found = last_byte_held_.extract(name_of_call(call));
    if (found.empty() || found.mapped()->released) return go();
    const auto& shared = found.mapped();
    shared->go = std::move(go);
    const std::lock_guard lock(shared->mutex);
    shared->held = true;
    shared->changed.notify_all();
  };
  return options;
}

http::HttpParticipants& Examiner::carrier(Way way) {
  switch (way) {
    case Way::cut_off:
      return cutting_;
    case Way::last_byte_held:
      return holding_;
    case Way::whole:
      break;
  }
  return whole_;
}

void Examiner::carry(http::HttpParticipants& by, engine::Call call,
                     std::function<void(engine::CallResult)> done) {
  auto noted = std::make_shared<engine::Call>();
  noted->service = call.service;
  noted->service_name = call.service_name;
  by.call(std::move(call), [this, noted, done = std::move(done)](engine::CallResult result) {
    note_contact(*noted, result);
    done(std::move(result));
  });
}

void Examiner::note_contact(const engine::Call& call, const engine::CallResult& result) {
  if (call.service->local) return;
  const std::lock_guard lock(mutex_);
  Contact& contact = contacts_[call.service_name];
  const auto* error = std::get_if<engine::TransportError>(&result);
  if (error == nullptr || error->sent) {
    contact.reached = true;
    return;
  }
  ++contact.failures;
  contact.url = call.service->base_url;
  contact.why = error->message;
}

std::vector<std::string> Examiner::unreachable() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [name, contact] : contacts_) {
    if (!contact.reached && contact.failures >= failures_min)
      all.push_back(name + " at " + contact.url + " cannot be reached: " + contact.why);
  }
  return all;
}

void Examiner::call(engine::Call call, std::function<void(engine::CallResult)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (matches_ && matches_(call)) {
      held_.push_back({std::move(call), std::move(done)});
      changed_.notify_all();
      return;
    }
  }
  carry(whole_, std::move(call), std::move(done));
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
    const bool ended = over();
    lock.lock();
    // A call that came while `over` was asked counts.
    if (!held_.empty()) break;
    if (ended) return std::nullopt;
    changed_.wait_for(lock, look_every);
  }
  HeldCall held = std::move(held_.front());
  held_.pop_front();
  return held;
}

void Examiner::answer(HeldCall held, engine::CallResult result) {
  reactor_.post([done = std::move(held.done), result = std::move(result)] { done(result); });
}

Flight Examiner::send(engine::Call call, Way way) {
  ++sent_;
  auto shared = std::make_shared<Flight::Shared>();
  auto sending = std::make_shared<engine::Call>(std::move(call));
  reactor_.post([this, way, sending, shared] {
    if (way == Way::last_byte_held) last_byte_held_[name_of_call(*sending)] = shared;
    carry(carrier(way), std::move(*sending), [shared](engine::CallResult result) {
      const std::lock_guard lock(shared->mutex);
      shared->result = std::move(result);
      shared->answered_at = Flight::Clock::now();
      shared->changed.notify_all();
    });
  });
  return Flight(reactor_, shared);
}

}  // namespace backstitch::contract_check

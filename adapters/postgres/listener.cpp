#include "listener.hpp"

#include <chrono>

namespace backstitch::postgres {
namespace {

/// How long it is deaf to stop() and to new channels.
constexpr long wait_microseconds = 100'000;
constexpr std::chrono::milliseconds reconnect_after{1000};

class Receiver final : public pqxx::notification_receiver {
 public:
  Receiver(pqxx::connection& connection, const std::string& channel, std::function<void()> hint)
      : pqxx::notification_receiver(connection, channel), hint_(std::move(hint)) {}
  void operator()(const std::string&, int) override { hint_(); }

 private:
  std::function<void()> hint_;
};

}  // namespace

Listener::Listener(SessionOptions options, FailureLog& log, Meters& meters)
    : options_(std::move(options)), log_(log), meters_(meters) {
  thread_ = std::thread([this] { run(); });
}

Listener::~Listener() {
  stop();
}

void Listener::listen(std::string channel, std::function<void()> hint) {
  const std::lock_guard lock(mutex_);
  channels_.emplace_back(std::move(channel), std::move(hint));
}

void Listener::stop() {
  stopped_ = true;
  if (thread_.joinable()) thread_.join();
}

Listener::Channels Listener::channels() const {
  const std::lock_guard lock(mutex_);
  return channels_;
}

void Listener::run() {
  bool was_connected = false;
  while (!stopped_) {
    try {
      Session session(options_);
      if (std::exchange(was_connected, true))
        meters_.reconnects.fetch_add(1, std::memory_order_relaxed);
      hear(session);
    } catch (const std::exception&) {
      // Polling goes on meanwhile.
      log_.note(options_.lane, "listen", current_failure(false));
      for (auto left = reconnect_after; !stopped_ && left.count() > 0;
           left -= std::chrono::milliseconds{50})
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
  }
}

void Listener::hear(Session& session) {
  std::vector<std::unique_ptr<Receiver>> receivers;
  while (!stopped_) {
    const Channels wanted = channels();
    for (std::size_t i = receivers.size(); i < wanted.size(); ++i) {
      const auto& [channel, hint] = wanted[i];
      receivers.push_back(std::make_unique<Receiver>(session.connection(), channel, hint));
      hint();
    }
    session.connection().await_notification(0, wait_microseconds);
    if (!session.is_open()) return;
  }
}

}  // namespace backstitch::postgres

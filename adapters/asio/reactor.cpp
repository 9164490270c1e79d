#include <backstitch/asio/reactor.hpp>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <backstitch/asio/io_context.hpp>

namespace backstitch::asio {

/// All timers wait in one ordered map behind one Asio timer: arming one is a map insertion, and
/// only an earliest one reaches the kernel.
struct Reactor::Impl {
  using Key = std::pair<engine::SteadyTime, engine::TimerId>;

  Impl() : context(1), work(context.get_executor()), alarm(context) {}

  engine::TimerId add(engine::SteadyTime due, engine::Task task) {
    const engine::TimerId id = ++last_id;
    timers.emplace(Key{due, id}, std::move(task));
    due_of.emplace(id, due);
    arm();
    return id;
  }

  void remove(engine::TimerId id) {
    const auto found = due_of.find(id);
    if (found == due_of.end()) return;
    timers.erase(Key{found->second, id});
    due_of.erase(found);
  }

  /// A cancelled timer may leave the alarm too early; then it finds nothing due and is set again.
  void arm() {
    if (timers.empty()) return;
    const engine::SteadyTime due = timers.begin()->first.first;
    if (armed && armed_for <= due) return;
    armed = true;
    armed_for = due;
    alarm.expires_at(due);
    alarm.async_wait([this](const boost::system::error_code& error) {
      if (!error) fire();
    });
  }

  void fire() {
    armed = false;
    const auto now = std::chrono::steady_clock::now();
    // Those that tasks add while we are here wait for the next round, so that a timer that sets
    // itself again cannot keep everything else out.
    const engine::TimerId newest = last_id;
    for (auto it = timers.begin(); it != timers.end() && it->first.first <= now;) {
      if (it->first.second > newest) {
        ++it;
        continue;
      }
      engine::Task task = std::move(it->second);
      due_of.erase(it->first.second);
      timers.erase(it);
      task();
      it = timers.begin();
    }
    arm();
  }

  boost::asio::io_context context;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  boost::asio::steady_timer alarm;
  std::map<Key, engine::Task> timers;
  std::unordered_map<engine::TimerId, engine::SteadyTime> due_of;
  engine::TimerId last_id = 0;
  engine::SteadyTime armed_for{};
  bool armed = false;
};

Reactor::Reactor() : impl_(std::make_unique<Impl>()) {}
Reactor::~Reactor() = default;

void Reactor::run() {
  impl_->context.run();
}
void Reactor::stop() {
  impl_->context.stop();
}

void Reactor::post(engine::Task task) {
  boost::asio::post(impl_->context, std::move(task));
}

engine::TimerId Reactor::call_after(Duration delay, engine::Task task) {
  return impl_->add(std::chrono::steady_clock::now() + std::max(delay, Duration{0}),
                    std::move(task));
}

void Reactor::cancel(engine::TimerId timer) {
  impl_->remove(timer);
}

engine::SteadyTime Reactor::now() const {
  return std::chrono::steady_clock::now();
}

boost::asio::io_context& io_context_of(Reactor& reactor) {
  return reactor.impl().context;
}

}  // namespace backstitch::asio

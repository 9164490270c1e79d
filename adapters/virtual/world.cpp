#include <backstitch/virtual/world.hpp>

#include <algorithm>
#include <utility>

namespace backstitch::virtual_time {

bool VirtualWorld::run_until(const std::function<bool()>& condition, Duration most) {
  const engine::SteadyTime end = now_ + most;
  while (!condition()) {
    if (run_one()) continue;
    const auto due = next_due();
    if (!due || *due > end) {
      now_ = end;
      return condition();
    }
    now_ = std::max(now_, *due);
  }
  return true;
}

void VirtualWorld::run_for(Duration time) {
  run_until([] { return false; }, time);
}

/// The threads take turns, so that none can keep the others waiting.
bool VirtualWorld::run_one() {
  bool ran = false;
  for (std::size_t i = 0; i < executors_.size(); ++i) ran |= executors_[i]->run_one();
  return ran;
}

std::optional<engine::SteadyTime> VirtualWorld::next_due() const {
  std::optional<engine::SteadyTime> first;
  for (const VirtualExecutor* executor : executors_) {
    const auto due = executor->next_due();
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

VirtualExecutor::~VirtualExecutor() {
  std::erase(world_.executors_, this);
}

engine::TimerId VirtualExecutor::call_after(Duration delay, engine::Task task) {
  const engine::TimerId id = ++last_timer_;
  timers_.emplace(std::pair(world_.now() + std::max(delay, Duration{0}), id), std::move(task));
  return id;
}

void VirtualExecutor::cancel(engine::TimerId timer) {
  std::erase_if(timers_, [&](const auto& entry) { return entry.first.second == timer; });
}

bool VirtualExecutor::run_one() {
  if (paused_) return false;
  if (ready_.empty() && !timers_.empty() && timers_.begin()->first.first <= world_.now()) {
    ready_.push_back(std::move(timers_.begin()->second));
    timers_.erase(timers_.begin());
  }
  if (ready_.empty()) return false;
  const engine::Task task = std::move(ready_.front());
  ready_.pop_front();
  task();
  return true;
}

std::optional<engine::SteadyTime> VirtualExecutor::next_due() const {
  if (paused_ || timers_.empty()) return std::nullopt;
  return timers_.begin()->first.first;
}

std::uint64_t SeededRandom::next() {
  std::uint64_t mixed = (state_ += 0x9e3779b97f4a7c15ULL);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31);
}

}  // namespace backstitch::virtual_time

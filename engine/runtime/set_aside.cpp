#include "set_aside.hpp"

#include <algorithm>

#include "reactor.hpp"

namespace backstitch::engine {

Duration SetAside::add(const SagaId& saga) {
  const std::lock_guard lock(mutex_);
  Duration& wait = waits_[saga];
  wait = std::clamp(wait * 2, wait_min, wait_max);
  size_.store(waits_.size(), std::memory_order_relaxed);
  return wait;
}

void SetAside::remove(const SagaId& saga) {
  if (size() == 0) return;
  const std::lock_guard lock(mutex_);
  waits_.erase(saga);
  size_.store(waits_.size(), std::memory_order_relaxed);
}

std::vector<SagaId> SetAside::first(std::size_t most) const {
  const std::lock_guard lock(mutex_);
  std::vector<SagaId> sagas;
  for (const auto& [saga, wait] : waits_) {
    if (sagas.size() >= most) break;
    sagas.push_back(saga);
  }
  return sagas;
}

void Reactor::set_aside(const Actor& actor) {
  const SagaId saga = actor->id;
  const Duration wait = node_.set_aside.add(saga);
  node_.ports.observer->note(Level::error, "saga-set-aside",
                             {{"saga", saga.text()}, {"retryAfter", backstitch::to_text(wait)}});
  // First, or what waits for the saga would have it read from its log at once.
  quarantined_.insert(saga);
  drop(actor);
  executor_.call_after(wait, [weak = weak_from_this(), saga] {
    const auto self = weak.lock();
    if (!self) return;
    self->quarantined_.erase(saga);
    if (!self->epochs_[saga.shard()] || !self->may_act()) return self->node_.set_aside.remove(saga);
    self->load({saga}, true, [] {});
  });
}

}  // namespace backstitch::engine

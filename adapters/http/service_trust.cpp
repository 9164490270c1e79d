#include "service_trust.hpp"

#include <utility>

namespace backstitch::http {
namespace {

std::int64_t milliseconds_of(engine::SteadyTime time) {
  return std::chrono::duration_cast<Duration>(time.time_since_epoch()).count();
}

}  // namespace

bool ServiceTrust::is_distrusted(engine::SteadyTime now) const {
  const std::int64_t until = until_ms_.load(std::memory_order_relaxed);
  return until != INT64_MIN && milliseconds_of(now) < until;
}

bool ServiceTrust::distrust(engine::SteadyTime now) {
  const std::int64_t until = milliseconds_of(now + distrusted_for);
  const bool was_trusted = until_ms_.exchange(until) <= milliseconds_of(now);
  const std::lock_guard lock(mutex_);
  for (const auto& on_distrust : watchers_) on_distrust();
  return was_trusted;
}

void ServiceTrust::watch(std::function<void()> on_distrust) {
  const std::lock_guard lock(mutex_);
  watchers_.push_back(std::move(on_distrust));
}

}  // namespace backstitch::http

#include "watchdog.hpp"

namespace backstitch::engine {
namespace {

constexpr Duration look_every_second{1'000};

}  // namespace

void Watchdog::begin() {
  node_.upkeep().call_after(look_every_second, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->look();
  });
}

void Watchdog::look() {
  if (node_.closing) return;
  const auto silent_max =
      static_cast<std::size_t>(node_.options.reactor_silent_max / look_every_second);
  for (std::size_t i = 0; i < reactors_.size(); ++i) {
    if (silent_for_[i]++ > 0) {
      if (silent_for_[i] == silent_max + 1) report(i);
      continue;
    }
    node_.ports.reactors[i].executor->post([weak = weak_from_this(), i] {
      const auto self = weak.lock();
      if (!self) return;
      self->node_.upkeep().post([self, i] { self->silent_for_[i] = 0; });
    });
  }
  begin();
}

void Watchdog::report(std::size_t reactor) {
  const auto saga = reactors_[reactor]->pulse.saga();
  const std::string seconds = std::to_string(node_.options.reactor_silent_max.count() / 1'000);
  const std::string at = saga ? saga->text() : "none";
  node_.ports.observer->note(
      Level::error, "reactor-stalled",
      {{"reactor", std::to_string(reactor)}, {"saga", at}, {"seconds", seconds}});
  if (node_.ports.supervisor == nullptr) return;
  node_.ports.supervisor->end_process(
      EndCause::broken, "reactor-stalled",
      "a reactor has not turned for " + seconds + " seconds; it is at the saga " + at);
}

}  // namespace backstitch::engine

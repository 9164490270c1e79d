/// What a reactor does every now and then: precise timers, looks after sub-sagas, removal.
#include <algorithm>

#include "reactor.hpp"

namespace backstitch::engine {
namespace {

constexpr std::size_t removal_page = 200;
constexpr int removal_rests = 4;  ///< times as long as it works
constexpr Duration removal_patience{600'000};
/// Tries in a row that failed before it is said, and after how many more it is said again.
constexpr std::size_t removal_failures_noted = 3;
constexpr std::size_t removal_failures_noted_again = 20;

}  // namespace

void Reactor::schedule(Duration every, void (Reactor::*run)()) {
  executor_.call_after(every, [weak = weak_from_this(), every, run] {
    const auto self = weak.lock();
    if (!self || self->node_.closing) return;
    ((*self).*run)();
    self->schedule(every, run);
  });
}

/// What ended long enough ago goes, page by page, and so slowly that live sagas do not feel it;
/// unless that has not been enough for long, for then more ends than goes.
void Reactor::remove_expired() {
  if (removing_since_) return;
  removing_since_ = executor_.now();
  remove_page();
}

void Reactor::remove_page() {
  if (shards_.empty() || !may_act() || node_.closing) return removing_since_.reset();
  node_.ports.store->remove_expired(
      shards_, removal_page, node_.options.key_retention,
      [weak = weak_from_this(), began = executor_.now()](Result<std::size_t> removed) {
        const auto self = weak.lock();
        if (!self) return;
        self->executor_.post([self, began, removed = std::move(removed)] {
          self->note_removal(removed);
          const bool more = removed && *removed == removal_page;
          if (!more) return self->removing_since_.reset();
          const SteadyTime now = self->executor_.now();
          const bool outrun = now - *self->removing_since_ > removal_patience;
          const auto took = std::chrono::ceil<Duration>(now - began);
          self->executor_.call_after(outrun ? Duration{0} : took * removal_rests,
                                     [weak = std::weak_ptr(self)] {
                                       if (const auto alive = weak.lock()) alive->remove_page();
                                     });
        });
      });
}

/// One may meet the lock of an open transaction; several have a cause that stays.
void Reactor::note_removal(const Result<std::size_t>& removed) {
  if (removed) {
    removals_failed_ = 0;
    return;
  }
  counters.removals_failed.fetch_add(1, std::memory_order_relaxed);
  if (++removals_failed_ % removal_failures_noted_again != removal_failures_noted) return;
  node_.ports.observer->note(Level::warning, "retention-failing",
                             {{"why", removed.error().message}});
}

/// Sets precise timers for what is due soon.
void Reactor::sweep() {
  check_lease();
  if (!may_act()) return;
  const TimePoint soon = now() + node_.options.due_scan_every + due_margin;
  std::vector<Actor> due;
  for (const auto& [id, actor] : actors_) {
    if (actor->timer == 0 && !actor->appending && actor->wake && *actor->wake <= soon)
      due.push_back(actor);
  }
  std::sort(due.begin(), due.end(), [](const Actor& a, const Actor& b) { return a->id < b->id; });
  for (const auto& actor : due) arm(actor);
  look_after_children();
}

/// Word of a sub-saga's end may get lost, and a parent in memory would wait for it for ever.
void Reactor::look_after_children() {
  std::vector<Actor> waiting;
  for (const auto& [id, actor] : actors_) {
    if (executor_.now() - actor->looked_around < child_look_every || actor->appending) continue;
    actor->looked_around = executor_.now();
    if (!effects_to_repeat(actor->state).empty()) waiting.push_back(actor);
  }
  std::sort(waiting.begin(), waiting.end(),
            [](const Actor& a, const Actor& b) { return a->id < b->id; });
  for (const auto& actor : waiting) {
    if (!actor->dropped && !actor->appending) repeat_effects(actor);
  }
}

}  // namespace backstitch::engine

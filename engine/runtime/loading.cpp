/// Sagas into memory: by take-over, when they are due, and for a command; and out of it with their
/// shards.
#include <algorithm>

#include "forwarder.hpp"
#include "reactor.hpp"

namespace backstitch::engine {
namespace {

/// Sagas read from the store in one call; bounds what a take-over holds in memory at a time.
constexpr std::size_t load_page = 200;
constexpr Duration due_margin{1'000};
constexpr std::size_t removal_page = 200;
constexpr int removal_rests = 4;  ///< times as long as it works
constexpr Duration removal_patience{600'000};

}  // namespace

void Reactor::command(SagaId saga, StimulusBody body, Settled settled, InboxRef inbox) {
  if (!epochs_[saga.shard()] || !may_act()) {
    if (inbox.id == 0) return node_.forwarder->forward(saga, body, std::move(settled));
    return settled(Error{ErrorCode::unavailable, "saga-owned-elsewhere",
                         "This node does not hold the saga's shard any more."});
  }
  if (const auto found = actors_.find(saga); found != actors_.end())
    return stimulate(found->second, std::move(body), std::move(settled), inbox);
  node_.ports.store->load(
      {saga}, [self = shared_from_this(), saga, inbox, body = std::move(body),
               settled = std::move(settled)](Result<std::vector<StoredSaga>> stored) mutable {
        auto& executor = self->executor_;
        executor.post([self = std::move(self), saga, inbox, body = std::move(body),
                       settled = std::move(settled), stored = std::move(stored)]() mutable {
          if (!stored) return settled(stored.error());
          if (stored->empty()) {
            return settled(Error{ErrorCode::not_found, "saga-not-found",
                                 "There is no saga " + saga.text() + "."});
          }
          // Meanwhile the shard may have gone, or the saga come into memory by another way.
          if (!self->epochs_[saga.shard()] || !self->may_act())
            return self->command(saga, std::move(body), std::move(settled), inbox);
          auto found = self->actors_.find(saga);
          const bool fresh = found == self->actors_.end();
          auto actor = fresh ? self->revived(stored->front()) : Result<Actor>(found->second);
          if (!actor) return settled(actor.error());
          // A suspended parent that asked its child whenever the child has told it something would
          // never be done with it.
          const bool is_news = std::holds_alternative<ChildChanged>(body);
          if (fresh && (is_active((*actor)->state) || !is_news))
            self->perform(*actor, effects_to_repeat((*actor)->state));
          // Calls that were on their way when it left memory are answered to nobody.
          if (fresh && has_call_in_flight((*actor)->state))
            self->stimulate(*actor, TakenOver{self->node_.options.node});
          self->stimulate(*actor, std::move(body), std::move(settled), inbox);
        });
      });
}

Result<Reactor::Actor> Reactor::revived(const StoredSaga& stored) {
  auto folded = folded_log(registry_, stored);
  if (!folded) return std::move(folded).error();
  auto actor = std::make_shared<SagaActor>();
  actor->id = stored.id;
  actor->epoch = *epochs_[stored.id.shard()];
  actor->program = std::move(folded->program);
  actor->state = std::move(folded->state);
  actor->wake = next_wake(*actor->program.definition, actor->state);
  actor->stored_status = to_text(actor->state.status);
  // Whatever the row says, the next append sets it right.
  actor->stored_wake = true;
  admit(actor);
  return actor;
}

void Reactor::loaded(const StoredSaga& stored, bool taken_over) {
  loading_.erase(stored.id);
  if (!epochs_[stored.id.shard()] || actors_.count(stored.id) > 0) return;
  const Result<Actor> actor = revived(stored);
  if (!actor) {
    node_.ports.observer->note(Level::error, "saga-not-revived",
                               {{"saga", stored.id.text()}, {"why", actor.error().message}});
    return;
  }
  perform(*actor, effects_to_repeat((*actor)->state));
  // Who decided the end of a sub-saga may not have lived to tell of it.
  if (taken_over && !is_active((*actor)->state)) tell_parent((*actor)->state);
  // A scan, too, may meet one with calls on their way: it was lost and found since it was asked
  // for.
  if (taken_over || has_call_in_flight((*actor)->state))
    stimulate(*actor, TakenOver{node_.options.node});
  else
    settle(*actor);
}

/// An append of this saga was written that its actor here did not live to see.
void Reactor::look_again(SagaId saga) {
  if (may_act() && epochs_[saga.shard()]) load({saga}, true, [] {});
}

void Reactor::load(const std::vector<SagaId>& ids, bool taken_over, std::function<void()> done) {
  std::vector<SagaId> wanted;
  for (const auto& id : ids) {
    if (actors_.count(id) == 0 && epochs_[id.shard()] && loading_.insert(id).second)
      wanted.push_back(id);
  }
  if (wanted.empty()) return done();
  auto asked = wanted;
  node_.ports.store->load(
      std::move(wanted), [self = shared_from_this(), asked = std::move(asked), taken_over,
                          done = std::move(done)](Result<std::vector<StoredSaga>> stored) mutable {
        auto& executor = self->executor_;
        executor.post([self = std::move(self), asked = std::move(asked), taken_over,
                       done = std::move(done), stored = std::move(stored)] {
          if (stored) {
            for (const auto& saga : *stored) self->loaded(saga, taken_over);
          }
          for (const auto& id : asked) self->loading_.erase(id);
          if (stored || !taken_over) return done();
          // Nobody else will look for what a dead node had in memory.
          self->executor_.call_after(self->node_.options.due_scan_every,
                                     [self, asked, done] { self->load(asked, true, done); });
        });
      });
}

/// Takes over what the former owner had in memory, page by page.
void Reactor::revive(std::vector<Shard> shards, SagaId after) {
  if (shards.empty()) return;
  DueQuery query{.shards = shards,
                 .horizon = node_.options.due_scan_every + due_margin,
                 .resident_too = true,
                 .after = after,
                 .limit = load_page};
  node_.ports.store->due(query, [self = shared_from_this(),
                                 shards](Result<std::vector<SagaId>> due) {
    auto& executor = self->executor_;
    executor.post([self, shards, due = std::move(due)] {
      if (!due) {
        self->node_.ports.observer->note(Level::warning, "take-over-delayed",
                                         {{"why", due.error().message}});
        self->executor_.call_after(self->node_.options.due_scan_every,
                                   [self, shards] { self->revive(shards, {}); });
        return;
      }
      if (due->empty()) return self->ask_parents(shards, {});
      self->load(*due, true, [self, shards, last = due->back(), more = due->size() == load_page] {
        if (more) return self->revive(shards, last);
        self->ask_parents(shards, {});
      });
    });
  });
}

/// What a parent and its child had to tell each other may be lost with the former owner. A parent
/// that sleeps would only ask at its next look, so each is had to ask now; it sleeps on.
void Reactor::ask_parents(std::vector<Shard> shards, SagaId after) {
  DueQuery query{.shards = shards,
                 .horizon = child_look_every + due_margin,
                 .parents_only = true,
                 .after = after,
                 .limit = load_page};
  const auto weak = weak_from_this();
  node_.ports.store->due(query, [weak, shards](Result<std::vector<SagaId>> due) {
    // Should this fail, the look comes by itself.
    const auto self = weak.lock();
    if (!self || !due || due->empty()) return;
    self->node_.ports.store->load(
        *due, [weak, shards, last = due->back(),
               more = due->size() == load_page](Result<std::vector<StoredSaga>> stored) {
          const auto alive = weak.lock();
          if (!alive || !stored) return;
          alive->executor_.post([self = alive, shards, last, more, stored = std::move(stored)] {
            for (const auto& saga : *stored) {
              if (!self->epochs_[saga.id.shard()] || self->actors_.count(saga.id) > 0) continue;
              const auto parent = self->revived(saga);
              if (!parent) continue;
              self->perform(*parent, effects_to_repeat((*parent)->state));
              if (!(*parent)->appending && (*parent)->pending.empty()) self->drop(*parent);
            }
            if (more) self->ask_parents(shards, last);
          });
        });
  });
}

void Reactor::scan_due() {
  if (scanning_ || shards_.empty() || !may_act()) return;
  // Once in a while all of it: what came late into the store, or found no room in memory.
  scanning_all_ = executor_.now() >= full_scan_at_;
  scanning_ = true;
  scan_due_page({});
}

/// By pages in the order of ids: those of one page are in memory and still due when the next is
/// read.
void Reactor::scan_due_page(SagaId after) {
  scanning_ = may_act() &&
              node_.resident.load(std::memory_order_relaxed) < node_.options.sagas_resident_max;
  if (!scanning_) return;
  DueQuery query{.shards = shards_,
                 .horizon = node_.options.due_scan_every + due_margin,
                 .after = after,
                 .limit = load_page};
  if (!scanning_all_) query.lookback = node_.options.due_lookback;
  node_.ports.store->due(query, [self = shared_from_this()](Result<std::vector<SagaId>> due) {
    auto& executor = self->executor_;
    executor.post([self, due = std::move(due)] {
      self->scanning_ = false;
      if (!due) return;
      const bool more = due->size() == load_page;
      // One that failed, or began before other shards came, is made again.
      if (!more && self->scanning_all_)
        self->full_scan_at_ = self->executor_.now() + self->node_.options.due_lookback;
      if (due->empty()) return;
      self->scanning_ = true;
      self->load(*due, false, [self, more, last = due->back()] {
        self->scanning_ = false;
        if (more) self->scan_due_page(last);
      });
    });
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
      shards_, removal_page,
      [weak = weak_from_this(), began = executor_.now()](Result<std::size_t> removed) {
        const auto self = weak.lock();
        if (!self) return;
        self->executor_.post([self, began, more = removed && *removed == removal_page] {
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
    if (!actor->dropped && !actor->appending) perform(actor, effects_to_repeat(actor->state));
  }
}

void Reactor::schedule(Duration every, void (Reactor::*run)()) {
  executor_.call_after(every, [weak = weak_from_this(), every, run] {
    const auto self = weak.lock();
    if (!self || self->node_.closing) return;
    ((*self).*run)();
    self->schedule(every, run);
  });
}

void Reactor::scan_all_again() {
  scanning_all_ = false;
  full_scan_at_ = {};
  for (auto& scan : inbox_scans_) {
    scan.all = false;
    scan.all_at = {};
  }
}

void Reactor::set_shards(const std::vector<ShardLease>& leases, SteadyTime act_until) {
  // What came while the lease was late was turned away, and nobody does it for this node: it begins
  // again from the log, whether or not anybody looked at the lease in between.
  check_lease();
  act_until_ = act_until;
  std::array<std::optional<Epoch>, shard_count> held{};
  for (const auto& lease : leases) {
    if (lease.shard % node_.ports.reactors.size() == index_) held[lease.shard] = lease.epoch;
  }
  std::vector<Shard> gained;
  std::vector<Shard> lost;
  for (int i = 0; i < shard_count; ++i) {
    const auto shard = static_cast<Shard>(i);
    const bool same = held[shard] == epochs_[shard];
    if (epochs_[shard] && !same) lost.push_back(shard);
    if (held[shard] && !same) gained.push_back(shard);
  }
  lose_shards(lost);
  epochs_ = held;
  shards_.clear();
  for (int i = 0; i < shard_count; ++i) {
    const auto shard = static_cast<Shard>(i);
    if (held[shard] && !leaving_.test(shard)) shards_.push_back(shard);
  }
  counters.shards.store(shards_.size(), std::memory_order_relaxed);
  // What waited for their former owners may be old.
  if (!gained.empty()) scan_all_again();
  revive(std::move(gained), {});
  if (timers_running_) return;
  timers_running_ = true;
  schedule(node_.options.due_scan_every, &Reactor::scan_due);
  schedule(node_.options.due_scan_every, &Reactor::look_into_inbox);
  schedule(node_.options.due_scan_every, &Reactor::sweep);
  schedule(node_.options.removal_every, &Reactor::remove_expired);
}

void Reactor::lose_everything() {
  std::vector<Shard> all;
  for (int i = 0; i < shard_count; ++i) all.push_back(static_cast<Shard>(i));
  lose_shards(all);
  shards_.clear();
  counters.shards.store(0, std::memory_order_relaxed);
}

void Reactor::lose_shards(const std::vector<Shard>& shards) {
  if (shards.empty()) return;
  std::bitset<shard_count> lost;
  for (const auto shard : shards) {
    lost.set(shard);
    epochs_[shard].reset();
    leaving_.reset(shard);
  }
  std::vector<Actor> gone;
  for (const auto& [id, actor] : actors_) {
    if (lost.test(id.shard())) gone.push_back(actor);
  }
  for (const auto& actor : gone) drop(actor);
}

/// Past two thirds of the lease without a renewal somebody else may soon own everything.
void Reactor::check_lease() {
  if (may_act()) return;
  const auto held = std::count_if(epochs_.begin(), epochs_.end(),
                                  [](const auto& epoch) { return epoch.has_value(); });
  if (held == 0) return;
  node_.ports.observer->note(Level::warning, "lease-not-renewed",
                             {{"shards", std::to_string(held)}});
  lose_everything();
}

}  // namespace backstitch::engine

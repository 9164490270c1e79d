/// Sagas into memory: by take-over, when they are due, and for a command.
#include "forwarder.hpp"
#include "reactor.hpp"

namespace backstitch::engine {
namespace {

/// Sagas read from the store in one call; bounds what a take-over holds in memory at a time.
constexpr std::size_t load_page = 200;

}  // namespace

void Reactor::command(SagaId saga, StimulusBody body, Settled settled, Origin origin) {
  if (!epochs_[saga.shard()] || !may_act()) {
    if (origin.inbox == 0)
      return node_.forwarder->forward(saga, body, origin.idempotency_key, std::move(settled));
    return settled(Error{ErrorCode::unavailable, "saga-owned-elsewhere",
                         "This node does not hold the saga's shard any more."});
  }
  if (quarantined_.count(saga) > 0) {
    return settled(Error{ErrorCode::unavailable, "saga-owned-elsewhere",
                         "The saga is being read from its log; try again."});
  }
  if (const auto found = actors_.find(saga); found != actors_.end())
    return stimulate(found->second, std::move(body), std::move(settled), std::move(origin));
  read_logs({saga}, [self = shared_from_this(), saga, origin, body = std::move(body),
                     settled = std::move(settled)](Result<std::vector<StoredSaga>> stored) mutable {
    auto& executor = self->executor_;
    executor.post([self = std::move(self), saga, origin, body = std::move(body),
                   settled = std::move(settled), stored = std::move(stored)]() mutable {
      if (!stored) return settled(stored.error());
      if (stored->empty())
        return self->command_unknown(saga, body, std::move(settled), std::move(origin));
      // Meanwhile the shard may have gone, or the saga come into memory by another way.
      if (!self->epochs_[saga.shard()] || !self->may_act())
        return self->command(saga, std::move(body), std::move(settled), std::move(origin));
      auto found = self->actors_.find(saga);
      const bool fresh = found == self->actors_.end();
      auto actor = fresh ? self->revived(stored->front()) : Result<Actor>(found->second);
      if (!actor) return settled(actor.error());
      // A suspended parent that asked its child whenever the child has told it something would
      // never be done with it.
      const bool is_news = std::holds_alternative<ChildChanged>(body);
      if (fresh && (is_active((*actor)->state) || !is_news)) self->repeat_effects(*actor);
      if (fresh) self->take_up(*actor, false);
      self->stimulate(*actor, std::move(body), std::move(settled), std::move(origin));
    });
  });
}

/// Behind a start by SQL that waits, the command waits as well.
void Reactor::command_unknown(SagaId saga, const StimulusBody& body, Settled settled,
                              Origin origin) {
  if (origin.inbox == 0 && is_command(body))
    return node_.forwarder->forward(saga, body, origin.idempotency_key, std::move(settled));
  settled(saga_not_found(saga));
}

Result<Reactor::Actor> Reactor::revived(const StoredSaga& stored) {
  auto folded = folded_log(registry_, stored);
  if (!folded) return std::move(folded).error();
  auto actor = std::make_shared<SagaActor>();
  actor->id = stored.id;
  actor->epoch = *epochs_[stored.id.shard()];
  actor->program = std::move(folded->program);
  begin_from(*actor, std::move(folded->state));
  admit(actor);
  return actor;
}

/// What was asked of other sagas may have been lost on the way.
void Reactor::repeat_effects(const Actor& actor) {
  guarded(actor, [&] { perform(actor, effects_to_repeat(actor->state)); });
}

/// The state is that of the log.
void Reactor::begin_from(SagaActor& actor, SagaState logged) {
  actor.state = std::move(logged);
  resume_questions(actor.state, now());
  actor.wake = next_wake(actor.state);
  actor.stored_status = to_text(actor.state.status);
  actor.ended = is_terminal(actor.state.status);
  // Whatever the row says, the next append sets it right.
  actor.stored_wake = true;
}

void Reactor::loaded(const StoredSaga& stored, const LoadOrder& order) {
  const auto asked = loading_.find(stored.id);
  // Its shard was lost meanwhile: if it has come back, whoever took it over has asked anew.
  if (asked == loading_.end() || asked->second != order.number) return;
  loading_.erase(asked);
  if (!epochs_[stored.id.shard()] || actors_.count(stored.id) > 0) return;
  const Result<Actor> actor = revived(stored);
  if (!actor) {
    node_.ports.observer->note(Level::error, "saga-not-revived",
                               {{"saga", stored.id.text()}, {"why", actor.error().message}});
    return;
  }
  repeat_effects(*actor);
  // Who decided the end of a sub-saga may not have lived to tell of it.
  if (order.taken_over && !is_active((*actor)->state)) tell_parent((*actor)->state);
  take_up(*actor, order.taken_over);
  settle(*actor);
}

/// Whichever way a saga comes into memory, it may have been lost since it was asked for: calls that
/// were on their way are answered to nobody, and a transition that was cut has to go on.
void Reactor::take_up(const Actor& actor, bool taken_over) {
  const bool is_set_back =
      actor->state.lineage < node_.lineage && !is_terminal(actor->state.status);
  if (taken_over || is_set_back || has_call_in_flight(actor->state))
    stimulate(actor,
              TakenOver{node_.options.node, suspects_.test(actor->id.shard()), node_.lineage});
  else if (is_active(actor->state))
    stimulate(actor, Tick{});
}

/// An append of this saga was written that its actor here did not live to see.
void Reactor::look_again(SagaId saga) {
  if (may_act() && epochs_[saga.shard()]) load({saga}, true, [] {});
}

void Reactor::load(const std::vector<SagaId>& ids, bool taken_over, std::function<void()> done) {
  std::vector<SagaId> at_once;
  std::vector<SagaId> carefully;
  for (const auto& id : ids) (suspects_.test(id.shard()) ? carefully : at_once).push_back(id);
  if (carefully.empty()) return load_at_once(ids, taken_over, std::move(done));
  load_at_once(at_once, taken_over,
               [self = shared_from_this(), carefully = std::move(carefully), taken_over,
                done = std::move(done)] { self->load_carefully(carefully, taken_over, done); });
}

void Reactor::load_at_once(const std::vector<SagaId>& ids, bool taken_over,
                           std::function<void()> done) {
  auto order = std::make_shared<LoadOrder>();
  order->number = ++load_orders_;
  for (const auto& id : ids) {
    if (actors_.count(id) == 0 && quarantined_.count(id) == 0 && epochs_[id.shard()] &&
        loading_.emplace(id, order->number).second)
      order->asked.push_back(id);
  }
  if (order->asked.empty()) return done();
  order->taken_over = taken_over;
  order->done = std::move(done);
  read_logs(order->asked, [self = shared_from_this(),
                           order](Result<std::vector<StoredSaga>> stored) {
    auto& executor = self->executor_;
    executor.post([self, order, stored = std::move(stored)] {
      if (stored)
        return self->all_loaded(std::make_shared<const std::vector<StoredSaga>>(*stored), 0, order);
      self->end_order(*order);
      if (!order->taken_over) return order->done();
      // Nobody else will look for what a dead node had in memory.
      self->executor_.call_after(self->node_.options.due_scan_every, [self, order] {
        self->load_at_once(order->asked, true, order->done);
      });
    });
  });
}

void Reactor::end_order(const LoadOrder& order) {
  std::erase_if(loading_, [&](const auto& one) { return one.second == order.number; });
}

/// A log may be long, so others get their turn between two.
void Reactor::all_loaded(const std::shared_ptr<const std::vector<StoredSaga>>& stored,
                         std::size_t from, const std::shared_ptr<const LoadOrder>& order) {
  const SteadyTime began = executor_.now();
  for (std::size_t i = from; i < stored->size(); ++i) {
    if (executor_.now() - began >= turn_max) {
      executor_.post(
          [self = shared_from_this(), stored, i, order] { self->all_loaded(stored, i, order); });
      return;
    }
    loaded((*stored)[i], *order);
  }
  end_order(*order);
  order->done();
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
      if (due->empty()) return self->all_revived(shards);
      self->load(*due, true, [self, shards, last = due->back(), more = due->size() == load_page] {
        if (more) return self->revive(shards, last);
        self->all_revived(shards);
      });
    });
  });
}

void Reactor::all_revived(const std::vector<Shard>& shards) {
  prove_later(shards);
  ask_parents(shards, {});
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
    self->read_logs(*due, [weak, shards, last = due->back(), more = due->size() == load_page](
                              Result<std::vector<StoredSaga>> stored) {
      const auto alive = weak.lock();
      if (!alive || !stored) return;
      alive->executor_.post([self = alive, shards, last, more, stored = std::move(stored)] {
        for (const auto& saga : *stored) {
          if (!self->epochs_[saga.id.shard()] || self->actors_.count(saga.id) > 0) continue;
          const auto parent = self->revived(saga);
          if (!parent) continue;
          self->repeat_effects(*parent);
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

void Reactor::scan_all_again() {
  scanning_all_ = false;
  full_scan_at_ = {};
}

}  // namespace backstitch::engine

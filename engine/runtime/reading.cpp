/// What callers see of a saga: only what is committed, from memory where this node has it.
#include <utility>

#include <nlohmann/json.hpp>

#include "reactor.hpp"

namespace backstitch::engine {
namespace {

/// How often a saga that is not in memory is read for somebody who waits for its end.
constexpr Duration foreign_look_every{250};

Error not_found(SagaId saga) {
  return {ErrorCode::not_found, "saga-not-found", "There is no saga " + saga.text() + "."};
}

bool at_rest(SagaStatus status) {
  return is_terminal(status) || status == SagaStatus::suspended;
}

}  // namespace

/// The state of an actor runs ahead of the log while its append is on the way.
std::optional<Json> Reactor::resident_view(SagaId saga) const {
  const auto found = actors_.find(saga);
  if (found == actors_.end() || found->second->appending || !may_act()) return std::nullopt;
  const SagaActor& actor = *found->second;
  return engine::view(*actor.program.definition, actor.state, actor.queued_calls());
}

void Reactor::view(SagaId saga, ViewDone done) {
  if (auto here = resident_view(saga)) return done(std::move(*here));
  read_view(saga, [done = std::move(done)](Result<Reading> reading) {
    if (!reading) return done(std::move(reading).error());
    done(std::move(reading->view));
  });
}

/// The stored log, folded. `done` runs on a thread of the store's, which spares this one the work.
void Reactor::read(SagaId saga, std::function<void(Result<FoldedLog>)> done) {
  node_.ports.store->load({saga}, [self = shared_from_this(), saga,
                                   done = std::move(done)](Result<std::vector<StoredSaga>> stored) {
    if (!stored) return done(std::move(stored).error());
    if (stored->empty() || stored->front().events.empty()) return done(not_found(saga));
    done(folded_log(self->registry_, stored->front()));
  });
}

void Reactor::read_view(SagaId saga, std::function<void(Result<Reading>)> done) {
  read(saga, [done = std::move(done)](Result<FoldedLog> folded) {
    if (!folded) return done(std::move(folded).error());
    done(Reading{folded->state.status, engine::view(*folded->program.definition, folded->state)});
  });
}

void Reactor::plan(SagaId saga, StimulusBody body,
                   std::function<void(Result<explore::Plan>)> done) {
  read(saga, [present = now(), body = std::move(body),
              done = std::move(done)](Result<FoldedLog> folded) mutable {
    if (!folded) return done(std::move(folded).error());
    done(explore::plan_of(folded->program, std::move(folded->state), std::move(body), present));
  });
}

void Reactor::await_end(SagaId saga, Duration wait, ViewDone done) {
  if (waiter_count_ >= node_.options.waiters_max) {
    return done(Error{ErrorCode::overloaded, "overloaded",
                      "Too many calls are waiting for sagas; ask for the saga later."});
  }
  const std::uint64_t number = ++last_waiter_;
  ++waiter_count_;
  Waiter& waiter = waiters_[saga][number];
  waiter.done = std::move(done);
  waiter.timer = executor_.call_after(wait, [weak = weak_from_this(), saga, number] {
    const auto self = weak.lock();
    if (!self) return;
    if (auto waited = self->take_waiter(saga, number)) self->view(saga, std::move(waited));
  });
  // Not in memory: it may have ended long ago, sleep, or run elsewhere.
  if (actors_.count(saga) == 0) look_for_waiter(saga, number);
}

void Reactor::look_for_waiter(SagaId saga, std::uint64_t number) {
  read_view(saga, [self = shared_from_this(), saga, number](Result<Reading> reading) {
    auto& executor = self->executor_;
    executor.post([self, saga, number, reading = std::move(reading)]() mutable {
      if (reading && !at_rest(reading->status)) return self->look_again(saga, number);
      auto waited = self->take_waiter(saga, number);
      if (!waited) return;
      if (!reading) return waited(std::move(reading).error());
      waited(std::move(reading->view));
    });
  });
}

/// Nobody tells this node of what another one runs.
void Reactor::look_again(SagaId saga, std::uint64_t number) {
  executor_.call_after(foreign_look_every, [weak = weak_from_this(), saga, number] {
    const auto self = weak.lock();
    if (!self || self->waiters_.count(saga) == 0) return;
    if (self->epochs_[saga.shard()] && self->actors_.count(saga) > 0)
      return self->look_again(saga, number);
    self->look_for_waiter(saga, number);
  });
}

Reactor::ViewDone Reactor::take_waiter(SagaId saga, std::uint64_t number) {
  const auto found = waiters_.find(saga);
  if (found == waiters_.end()) return {};
  const auto waiter = found->second.find(number);
  if (waiter == found->second.end()) return {};
  executor_.cancel(waiter->second.timer);
  ViewDone done = std::move(waiter->second.done);
  found->second.erase(waiter);
  --waiter_count_;
  if (found->second.empty()) waiters_.erase(found);
  return done;
}

/// To be called when the actor's state has just been committed.
void Reactor::answer_waiters(const SagaActor& actor) {
  if (!at_rest(actor.state.status)) return;
  const auto found = waiters_.find(actor.id);
  if (found == waiters_.end()) return;
  const auto waiting = std::move(found->second);
  waiters_.erase(found);
  waiter_count_ -= waiting.size();
  const Json view = engine::view(*actor.program.definition, actor.state, actor.queued_calls());
  for (const auto& [number, waiter] : waiting) {
    executor_.cancel(waiter.timer);
    waiter.done(view);
  }
}

}  // namespace backstitch::engine

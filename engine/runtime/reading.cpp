/// What callers see of a saga: only what is committed, from memory where this node has it.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/masking.hpp>
#include <backstitch/engine/runtime/look_up.hpp>

#include "reactor.hpp"

namespace backstitch::engine {
namespace {

/// How often a saga that is not in memory is read for somebody who waits for its end.
constexpr Duration foreign_look_every{250};

Error not_taken_up(SagaId saga) {
  return {ErrorCode::unavailable, "start-pending",
          "The start of " + saga.text() + " has not been taken up yet; try again."};
}

/// Then it is read from its log, on a thread of the store's.
bool is_long_to_mask(const SagaActor& actor) {
  const bool masks = actor.program.definition->taints != nullptr || !actor.state.sensitive.empty();
  return masks && actor.state.bytes > masked_at_once_max;
}

bool at_rest(SagaStatus status) {
  return is_terminal(status) || status == SagaStatus::suspended;
}

}  // namespace

/// The state of an actor runs ahead of the log while its append is on the way.
std::optional<Result<Json>> Reactor::resident_view(SagaId saga) const {
  const auto found = actors_.find(saga);
  if (found == actors_.end() || found->second->appending || !may_act()) return std::nullopt;
  if (is_long_to_mask(*found->second)) return std::nullopt;
  return view_of(*found->second);
}

Result<Json> Reactor::view_of(const SagaActor& actor) const {
  return attempted(actor.id, [&]() -> Result<Json> {
    return engine::view(actor.program, actor.state, actor.queued_calls());
  });
}

void Reactor::view(SagaId saga, ViewDone done) {
  if (auto here = resident_view(saga)) return done(std::move(*here));
  read_view(saga, [done = std::move(done)](Result<Reading> reading) {
    if (!reading) return done(std::move(reading).error());
    done(std::move(reading->view));
  });
}

/// Logs whose definitions this node knows, if need be after a look into the catalogue.
void Reactor::read_logs(std::vector<SagaId> sagas, LogsDone done) {
  node_.ports.store->load(std::move(sagas), [self = shared_from_this(), done = std::move(done)](
                                                Result<std::vector<StoredSaga>> stored) mutable {
    const auto unknown = [&](const StoredSaga& saga) {
      const auto program = program_of(self->registry_, saga);
      return !program && program.error().code == ErrorCode::not_found;
    };
    const bool all_known = !stored || std::none_of(stored->begin(), stored->end(), unknown);
    if (all_known) return done(std::move(stored));
    auto& registry = self->registry_;
    registry.refresh([done = std::move(done), stored = std::move(stored)](
                         const Result<Done>&) mutable { done(std::move(stored)); });
  });
}

/// The stored log, folded. `done` runs on a thread of the store's, which spares this one the work.
void Reactor::read(SagaId saga, ReadDone done) {
  read_logs({saga}, [self = shared_from_this(), saga,
                     done = std::move(done)](Result<std::vector<StoredSaga>> stored) mutable {
    if (!stored) return done(std::move(stored).error());
    if (stored->empty()) return self->read_promised(saga, std::move(done));
    done(folded_log(self->registry_, stored->front()));
  });
}

/// A start by SQL that has committed is a saga, though nobody has taken it up.
void Reactor::read_promised(SagaId saga, ReadDone done) {
  node_.ports.inbox->start_of(saga, [self = shared_from_this(), saga, done = std::move(done)](
                                        Result<std::optional<InboxItem>> start) mutable {
    if (!start) return done(std::move(start).error());
    auto& registry = self->registry_;
    if (*start) {
      return look_up(
          registry,
          [&registry, start = std::move(**start)] { return promised_log(registry, start); },
          std::move(done));
    }
    // It may have been taken up between the two looks.
    self->read_logs(
        {saga}, [&registry, saga, done = std::move(done)](Result<std::vector<StoredSaga>> stored) {
          if (!stored) return done(std::move(stored).error());
          done(stored->empty() ? saga_not_found(saga) : folded_log(registry, stored->front()));
        });
  });
}

void Reactor::read_view(SagaId saga, std::function<void(Result<Reading>)> done) {
  read(saga, [self = shared_from_this(), saga, done = std::move(done)](Result<FoldedLog> folded) {
    if (!folded) return done(std::move(folded).error());
    done(self->attempted(saga, [&]() -> Result<Reading> {
      Reading reading{folded->state.status, engine::view(folded->program, folded->state)};
      if (folded->state.sequence == Sequence{}) reading.view["steps"] = Json::array();
      return reading;
    }));
  });
}

void Reactor::plan(SagaId saga, StimulusBody body,
                   std::function<void(Result<explore::Plan>)> done) {
  read(saga, [self = shared_from_this(), saga, present = now(), body = std::move(body),
              done = std::move(done)](Result<FoldedLog> folded) mutable {
    if (!folded) return done(std::move(folded).error());
    if (folded->state.sequence == Sequence{}) return done(not_taken_up(saga));
    auto queued = self->node_.workers().submit([self, saga, folded = std::move(*folded),
                                                body = std::move(body), present, done]() mutable {
      done(self->attempted(saga, [&] {
        return explore::plan_of(folded.program, std::move(folded.state), std::move(body), present);
      }));
    });
    if (!queued) done(std::move(queued).error());
  });
}

void Reactor::await_end(SagaId saga, std::uint64_t number, Duration wait, ViewDone done) {
  if (node_.closing) return view(saga, std::move(done));
  if (waiter_count_ >= node_.options.waiters_max) {
    return done(Error{ErrorCode::overloaded, "overloaded",
                      "Too many calls are waiting for sagas; ask for the saga later."});
  }
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

void Reactor::stop_waiting(SagaId saga, std::uint64_t number) {
  if (auto waited = take_waiter(saga, number)) view(saga, std::move(waited));
}

/// This node stops: its callers get what there is.
void Reactor::answer_everybody() {
  std::vector<std::pair<SagaId, std::uint64_t>> all;
  for (const auto& [saga, waiting] : waiters_)
    for (const auto& [number, waiter] : waiting) all.emplace_back(saga, number);
  for (const auto& [saga, number] : all) stop_waiting(saga, number);
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
  for (const auto& [number, waiter] : waiting) executor_.cancel(waiter.timer);
  if (is_long_to_mask(actor)) {
    for (const auto& [number, waiter] : waiting) view(actor.id, waiter.done);
    return;
  }
  const Result<Json> view = view_of(actor);
  for (const auto& [number, waiter] : waiting) waiter.done(view);
}

}  // namespace backstitch::engine

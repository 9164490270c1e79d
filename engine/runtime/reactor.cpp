#include "reactor.hpp"

#include <algorithm>
#include <utility>

#include <backstitch/base/match.hpp>

#include <nlohmann/json.hpp>

namespace backstitch::engine {
namespace {

/// Timers farther away are left to the sweep, which is cheaper than a timer a saga.
constexpr Duration precise_timer_max{2'500};
/// After a log could not be read.
constexpr Duration log_read_again{5'000};

bool is_failure(const AppendResult& result) {
  return result.outcome == AppendOutcome::refused || result.outcome == AppendOutcome::failed;
}

bool is_by_content(const AppendResult& failure) {
  return failure.outcome == AppendOutcome::refused || failure.by_content;
}

const char* event_of(const AppendResult& failure) {
  if (is_by_content(failure)) return "content-refused";
  return "append-failed";
}

Error error_of(const AppendResult& failure) {
  if (failure.outcome == AppendOutcome::failed) return store_failed();
  return {ErrorCode::invalid, "content-refused",
          "The database cannot store this; nothing was changed."};
}

/// Only an answer, a signal or a time can move it, and the answer is not on its way to this node.
bool may_sleep(const SagaState& state) {
  return is_active(state) && state.status != SagaStatus::suspended && !has_call_in_flight(state);
}

/// A saga that nothing can move by itself needs no place in memory.
bool belongs_in_memory(const SagaState& state) {
  return is_active(state) || has_call_in_flight(state);
}

/// What was written all the same does not make a refused command one that was done, nor one that
/// was done before.
Settled answered_with(const Result<Done>& answer, Settled settled) {
  if (!settled || (answer && !answer->repeated)) return settled;
  return [answer, settled = std::move(settled)](const Result<Done>& written) {
    settled(written ? answer : written);
  };
}

}  // namespace

Reactor::Reactor(Node& node, Registry& registry, std::size_t index)
    : node_(node),
      registry_(registry),
      index_(index),
      executor_(*node.ports.reactors[index].executor),
      participants_(*node.ports.reactors[index].participants),
      journal_(*node.ports.store, index, Lanes{node.ports.reactors.size()}, executor_,
               node.options.batch_max, node.blocked_keys) {}

Reactor::~Reactor() = default;

Stimulus Reactor::stimulus_of(StimulusBody body) {
  return {now(), node_.ports.random->next(), std::move(body)};
}

void Reactor::stimulate(const Actor& actor, StimulusBody body, Settled settled, Origin origin) {
  if (actor->dropped || !may_act()) {
    if (settled)
      settled(Error{ErrorCode::unavailable, "saga-owned-elsewhere",
                    "This node lost the saga's shard; try again."});
    return;
  }
  if (actor->pending.size() >= SagaActor::pending_max) {
    if (settled)
      settled(Error{ErrorCode::overloaded, "overloaded",
                    "Too much is waiting for this saga; try again."});
    return;
  }
  auto audit = origin.by_sql ? audit_of_refused(body) : audit_of(body);
  actor->pending.push_back(
      {std::move(body), std::move(settled), std::move(audit), std::move(origin)});
  if (!actor->appending) decide_next(actor);
}

void Reactor::decide_next(const Actor& actor) {
  while (!actor->pending.empty() && !actor->appending && !actor->dropped && may_act()) {
    SagaActor::Pending next = std::move(actor->pending.front());
    actor->pending.pop_front();
    bool is_done = false;
    guarded(actor, [&] {
      look_up_services(*actor);
      SagaActor::Refusal refusal = refusal_of(next.body);
      Stimulus stimulus = stimulus_of(std::move(next.body));
      stimulus.queued = actor->queued_calls();
      stimulus.idempotency_key = next.origin.idempotency_key;
      Transition transition = decide(actor->program, std::move(actor->state), stimulus);
      decided(actor, std::move(transition), next, std::move(refusal));
      is_done = true;
    });
    if (!is_done && next.settled)
      next.settled(Error{ErrorCode::internal, "internal", "The engine tripped over a bug."});
  }
}

void Reactor::decided(const Actor& actor, Transition transition, SagaActor::Pending& cause,
                      SagaActor::Refusal refusal) {
  const Sequence before{transition.next.sequence.get() -
                        static_cast<std::int64_t>(transition.events.size())};
  auto records = records_of(transition);
  actor->notices = notices_of(*actor->program.definition, transition);
  actor->state = std::move(transition.next);
  actor->unfinished = transition.cut;
  withdraw_unwanted(*actor);
  actor->wake = next_wake(actor->state);
  const Result<Done> answer = transition.refused ? Result<Done>(*transition.refused)
                                                 : Result<Done>(Done{transition.repeated});
  if (cause.origin.inbox == 0 && records.empty()) {
    if (const auto settled = std::exchange(cause.settled, {})) settled(answer);
    perform(actor, transition.effects);
    go_on(*actor);
    return settle(actor);
  }
  const bool sleeping = !records.empty() && falls_asleep(actor);
  Append append;
  append.saga = actor->id;
  append.epoch = actor->epoch;
  append.expected = before;
  append.events = std::move(records);
  append.row = append.events.empty() ? std::nullopt : row_change(*actor, sleeping);
  const bool refused = transition.refused.has_value();
  if (cause.origin.inbox != 0) {
    append.inbox = InboxSettled{cause.origin.inbox, written_answer(answer)};
  }
  // Audited is what was done, and what is refused of SQL, where nobody waits for the answer.
  if (!transition.repeated && refused == cause.origin.by_sql) append.audit = std::move(cause.audit);
  if (refused && append.audit) append.audit->reason = transition.refused->message;
  if (append.row) {
    actor->stored_status = append.row->status;
    actor->stored_wake = append.row->wake_at.has_value();
  }
  actor->appending = true;
  const auto tries = refusal.again ? Journal::Tries::once : Journal::Tries::until_judged;
  const bool changes = !append.events.empty();
  journal_.append(
      std::move(append),
      [self = shared_from_this(), actor, effects = std::move(transition.effects),
       settled = answered_with(answer, std::move(cause.settled)), refusal = std::move(refusal),
       sleeping, changes](const AppendResult& result) {
        if (is_failure(result) && !changes) return self->settlement_failed(actor, settled, result);
        if (is_failure(result)) return self->append_failed(actor, settled, refusal, result);
        self->written(actor, result, effects, settled, sleeping);
      },
      tries);
}

/// What was decided never was: the saga is as its log has it. It stays `appending` until that is
/// read, so nothing else is decided meanwhile.
void Reactor::append_failed(const Actor& actor, const Settled& settled,
                            const SagaActor::Refusal& refusal, const AppendResult& failure) {
  node_.ports.observer->note(Level::error, event_of(failure),
                             {{"saga", actor->id.text()}, {"step", refusal.suspends.path}});
  read_logs({actor->id}, [self = shared_from_this(), actor, settled, refusal,
                          failure](Result<std::vector<StoredSaga>> stored) {
    self->executor_.post([self, actor, settled, refusal, failure, stored = std::move(stored)] {
      if (!stored && !actor->dropped) {
        self->executor_.call_after(log_read_again, [self, actor, settled, refusal, failure] {
          self->append_failed(actor, settled, refusal, failure);
        });
        return;
      }
      self->back_after_failure(actor, settled, refusal, failure, stored);
    });
  });
}

/// Of a command that has changed nothing: the saga is what it was.
void Reactor::settlement_failed(const Actor& actor, const Settled& settled,
                                const AppendResult& failure) {
  actor->appending = false;
  if (settled) settled(error_of(failure));
  if (actor->dropped) return;
  decide_next(actor);
  settle(actor);
}

void Reactor::back_after_failure(const Actor& actor, const Settled& settled,
                                 const SagaActor::Refusal& refusal, const AppendResult& failure,
                                 const Result<std::vector<StoredSaga>>& stored) {
  const bool by_content = is_by_content(failure);
  actor->appending = false;
  if (settled && (refusal.is_command || actor->dropped || !by_content)) settled(error_of(failure));
  if (actor->dropped || stored->empty()) return lost(actor, "refused by the store");
  go_back_to_log(actor, stored->front());
  if (actor->dropped) return;
  // Whether it is the saga or the database, not even its suspension can be written. Or nothing is
  // wrong with the saga, which goes on from its log once the database has what it lacks.
  if (refusal.again || (!by_content && !refusal.is_command)) return set_aside(actor);
  // The log has a call in flight that is neither in the queue any more nor sent.
  if (std::exchange(actor->withdrew, false) && refusal.is_command) {
    lost(actor, "a call was withdrawn in vain");
    return look_again(actor->id);
  }
  if (!refusal.is_command) actor->pending.push_front({refusal.suspends, {}, {}, {}});
  decide_next(actor);
  settle(actor);
}

void Reactor::go_back_to_log(const Actor& actor, const StoredSaga& stored) {
  actor->notices.clear();
  auto folded = folded_log(registry_, stored);
  if (!folded || folded->state.sequence >= actor->state.sequence) {
    lost(actor, "refused by the store");
    return look_again(actor->id);
  }
  begin_from(*actor, std::move(folded->state));
}

/// Decides whether the saga leaves memory with the append that is being made.
bool Reactor::falls_asleep(const Actor& actor) {
  actor->sleeps_until.reset();
  if (actor->unfinished || !may_sleep(actor->state)) return false;
  std::optional<TimePoint> until = actor->wake;
  if (!effects_to_repeat(actor->state).empty())
    until = std::min(until.value_or(TimePoint::max()), now() + child_look_every);
  if (!until || *until <= now() + node_.options.residence) return false;
  actor->sleeps_until = until;
  return true;
}

void Reactor::written(const Actor& actor, const AppendResult& result,
                      const std::vector<Effect>& effects, const Settled& settled, bool sleeping) {
  guarded(actor, [&] { go_on_from(actor, result, effects, settled, sleeping); });
}

void Reactor::go_on_from(const Actor& actor, const AppendResult& result,
                         const std::vector<Effect>& effects, const Settled& settled,
                         bool sleeping) {
  actor->appending = false;
  counters.appends.store(journal_.appends(), std::memory_order_relaxed);
  counters.commits.store(journal_.commits(), std::memory_order_relaxed);
  if (result.outcome != AppendOutcome::written) {
    const bool is_abandoned = result.outcome == AppendOutcome::abandoned;
    if (settled && is_abandoned)
      settled(
          Error{ErrorCode::outcome_unknown, "outcome-unknown",
                "It is not known whether this was done; look at the saga, or repeat it under its "
                "key."});
    else if (settled)
      settled(Error{ErrorCode::unavailable, "saga-owned-elsewhere",
                    "Another node runs this saga now; try again."});
    const char* why = result.outcome == AppendOutcome::fenced     ? "fenced"
                      : result.outcome == AppendOutcome::conflict ? "conflict"
                                                                  : "abandoned";
    lost(actor, why);
    // Somebody else wrote, though the shard is ours: read again and go on from there.
    if (result.outcome == AppendOutcome::conflict) look_again(actor->id);
    return;
  }
  node_.set_aside.remove(actor->id);
  actor->withdrew = false;
  for (const auto& notice : std::exchange(actor->notices, {}))
    notice.tell(*node_.ports.observer, actor->id);
  if (settled) settled(Done{});
  if (actor->dropped) return look_again(actor->id);
  // A callback that came too late is recorded after the end.
  const bool ended = is_terminal(actor->state.status);
  if (ended && !actor->ended) counters.ended.fetch_add(1, std::memory_order_relaxed);
  actor->ended = ended;
  answer_waiters(*actor);
  perform(actor, effects);
  go_on(*actor);
  decide_next(actor);
  if (actor->appending || actor->dropped) return;
  if (sleeping) return drop(actor);
  settle(actor);
}

/// What was cut comes before whatever waits. Should the node be lost, the one that takes the saga
/// over goes on.
void Reactor::go_on(SagaActor& actor) {
  if (!std::exchange(actor.unfinished, false)) return;
  counters.transitions_cut.fetch_add(1, std::memory_order_relaxed);
  actor.pending.push_front({Tick{}, {}, {}, {}});
}

/// Nothing is on its way for this saga: what now?
void Reactor::settle(const Actor& actor) {
  if (actor->dropped || actor->appending || !actor->pending.empty()) return;
  if (!belongs_in_memory(actor->state)) return drop(actor);
  if (may_act() && falls_asleep(actor)) return put_to_sleep(actor);
  arm(actor);
}

/// It came into memory for nothing: its row alone says that it leaves again.
void Reactor::put_to_sleep(const Actor& actor) {
  Append append;
  append.saga = actor->id;
  append.epoch = actor->epoch;
  append.expected = actor->state.sequence;
  append.row = row_change(*actor, true);
  actor->stored_wake = true;
  actor->appending = true;
  journal_.append(std::move(append),
                  [self = shared_from_this(), actor](const AppendResult& result) {
                    if (is_failure(result)) return self->set_aside(actor);
                    self->written(actor, result, {}, {}, true);
                  });
}

void Reactor::arm(const Actor& actor) {
  if (actor->timer != 0) {
    executor_.cancel(actor->timer);
    actor->timer = 0;
  }
  if (!actor->wake || actor->dropped) return;
  const Duration left = std::max(*actor->wake - now(), Duration{0});
  if (left > precise_timer_max) return;
  // One more millisecond, because both clocks are cut to whole ones: never early.
  actor->timer = executor_.call_after(left + Duration{1}, [weak = weak_from_this(), actor] {
    const auto self = weak.lock();
    if (!self) return;
    actor->timer = 0;
    if (!actor->appending) self->stimulate(actor, Tick{});
  });
}

void Reactor::perform(const Actor& actor, const std::vector<Effect>& effects) {
  for (const auto& effect : effects) {
    std::visit(Match{[&](const CallParticipant& e) { call(actor, e); },
                     [&](const StartChild& e) { start_child(actor, e.path); },
                     [&](const CancelChild& e) { cancel_child(actor, e.path); },
                     [&](const UndoChild& e) { undo_child(actor, e.path); },
                     [&](const RetryChild& e) { retry_child(actor, e); },
                     [&](const TellParent&) { tell_parent(actor->state); }},
               effect);
  }
}

void Reactor::admit(const Actor& actor) {
  actor->looked_around = executor_.now();
  actors_.emplace(actor->id, actor);
  counters.sagas.fetch_add(1, std::memory_order_relaxed);
  node_.resident.fetch_add(1, std::memory_order_relaxed);
}

/// The shard may have gone, or gone and come back, since the start was decided.
void Reactor::admit_written(const Actor& actor) {
  if (epochs_[actor->id.shard()] == actor->epoch && actors_.count(actor->id) == 0)
    admit(actor);
  else
    actor->dropped = true;
}

void Reactor::drop(const Actor& actor) {
  if (actor->dropped) return;
  actor->dropped = true;
  withdraw_all(*actor);
  if (actor->timer != 0) executor_.cancel(actor->timer);
  actor->timer = 0;
  if (const auto found = actors_.find(actor->id);
      found != actors_.end() && found->second == actor) {
    actors_.erase(found);
    counters.sagas.fetch_sub(1, std::memory_order_relaxed);
    node_.resident.fetch_sub(1, std::memory_order_relaxed);
  }
  auto pending = std::move(actor->pending);
  for (auto& left : pending) {
    if (!left.settled) continue;
    if (left.origin.inbox != 0) {
      left.settled(
          Error{ErrorCode::unavailable, "saga-owned-elsewhere", "It is still in the inbox."});
      continue;
    }
    // It left memory, not the world: the command finds it in the store.
    command(actor->id, std::move(left.body), std::move(left.settled), std::move(left.origin));
  }
}

void Reactor::lost(const Actor& actor, const char* why) {
  node_.ports.observer->note(Level::warning, "append-not-written",
                             {{"saga", actor->id.text()}, {"why", why}});
  drop(actor);
}

}  // namespace backstitch::engine

/// Calls on their way to participants: into the queue of the service, out of it, and their answers.
#include <algorithm>

#include <backstitch/engine/machine/answer_body.hpp>
#include <backstitch/engine/machine/situation.hpp>

#include "reactor.hpp"

namespace backstitch::engine {
namespace {

constexpr int server_error_min = 500;
/// Of the warning that calls to a service cannot be sent.
constexpr Duration unsent_told_every{60'000};

NotSent shard_leaves() {
  return {Lack::shard, "this node gives the saga to another one"};
}

/// A quarter of the slots is kept for what lets sagas end.
CallQueue::Lane lane_of(const SagaState& state, Phase phase) {
  const bool ending = phase == Phase::compensate || phase == Phase::probe || state.pivot_passed;
  return ending ? CallQueue::Lane::ending : CallQueue::Lane::ordinary;
}

/// Whether the call is still the one that the saga waits for.
bool is_wanted(const SagaState& state, const CallParticipant& effect) {
  const auto step = state.steps.find(effect.path);
  if (step == state.steps.end()) return false;
  const CallState& call = call_of(step->second, effect.phase);
  return call.in_flight && call.attempts == effect.attempt && call.request != nullptr;
}

/// No address of the service accepted a connection, or its name has none.
bool is_refused(const CallResult& result) {
  const auto* error = std::get_if<TransportError>(&result);
  return error != nullptr && !error->sent &&
         (error->kind == dsl::Transport::connect || error->kind == dsl::Transport::dns);
}

const RenderedRequest& request_of(const SagaActor& actor, const CallParticipant& effect) {
  return *call_of(actor.state.steps.find(effect.path)->second, effect.phase).request;
}

}  // namespace

Reactor::Called Reactor::called_by(const SagaActor& actor, const CallParticipant& effect) const {
  const std::string& name = request_of(actor, effect).service;
  const auto& definition = *actor.program.definition;
  const auto inline_service = definition.services.find(name);
  if (inline_service == definition.services.end()) return {name, nullptr};
  const dsl::Service& service = inline_service->second;
  if (service.use.empty())
    return {actor.state.definition + "/" + name,
            std::shared_ptr<const dsl::Service>(actor.program.definition, &service)};
  const auto& registered = *actor.program.services;
  const auto found = registered.find(service.use);
  return {service.use, found == registered.end() ? nullptr : found->second, true};
}

/// Services may be registered anew under a running saga.
void Reactor::look_up_services(SagaActor& actor) {
  const std::uint64_t changes = registry_.service_changes();
  if (services_seen_ != changes) {
    services_ = registry_.services_by_name();
    services_seen_ = changes;
  }
  if (actor.program.services != services_) actor.program.services = services_;
}

std::shared_ptr<CallQueue> Reactor::queue_of(const Called& called) {
  auto& queue = queues_[called.name];
  if (!queue) queue = node_.call_queues.of(called.name, called.service->limits);
  queue->set_limits(called.service->limits);
  return queue;
}

void Reactor::call(const Actor& actor, const CallParticipant& effect) {
  // A node that has lost its lease sends nothing more; whoever takes over sends it again.
  if (!may_act()) return;
  Called called = called_by(*actor, effect);
  if (!called.service) return call_nobody(actor, effect, called.name);
  const auto queue = queue_of(called);
  const auto lane = lane_of(actor->state, effect.phase);
  if (queue->try_take(lane, executor_.now()))
    return send(actor, effect, std::move(called), queue, std::nullopt);
  // A shard that is being given away waits for what was sent, not for what was not.
  if (leaving_.test(actor->id.shard())) return tell_unsent(actor, effect, shard_leaves());
  using Turn = CallQueue::Turn;
  const auto ticket =
      queue->wait(lane, executor_, [weak = weak_from_this(), actor, effect, queue](Turn turn) {
        const auto self = weak.lock();
        if (turn == Turn::held) return self ? self->hold(*actor, effect) : void();
        if (!self || !self->leave_queue(actor, effect, queue)) queue->release();
      });
  if (!ticket) {
    NotSent full{Lack::queue_place, "this node's queue for the service is full"};
    note_unsent(*queue, called.name, full);
    return tell_unsent(actor, effect, std::move(full));
  }
  actor->queued.push_back({effect, queue, ticket});
  watch_held(queue);
}

/// While every connection is refused, somebody has to look again.
void Reactor::watch_held(const std::shared_ptr<CallQueue>& queue) {
  if (queue->begin_watch()) turn_held_later(queue);
}

void Reactor::turn_held_later(const std::shared_ptr<CallQueue>& queue) {
  executor_.call_after(RefusalGate::tried_every, [weak = weak_from_this(), queue] {
    const bool again = queue->turn_held();
    const auto self = weak.lock();
    if (again && self) self->turn_held_later(queue);
  });
}

/// A held call uses no attempts, but its time runs: at the end of it the call goes out, as the
/// last.
void Reactor::hold(SagaActor& actor, const CallParticipant& effect) {
  const auto held = std::find_if(actor.queued.begin(), actor.queued.end(),
                                 [&](const auto& call) { return call.effect == effect; });
  if (held == actor.queued.end() || !is_wanted(actor.state, effect)) return;
  held->held = true;
  const auto until = held_until(actor.program, actor.state, effect.path, effect.phase);
  if (until) held->queue->hold_until(held->ticket, executor_.now() + (*until - now()));
}

/// The call that tries has no more time than those that are held meanwhile.
void Reactor::end_late(const SagaActor& actor, const CallParticipant& effect, CallResult& refused) {
  if (!is_wanted(actor.state, effect)) return;
  const auto until = held_until(actor.program, actor.state, effect.path, effect.phase);
  if (until && now() >= *until) std::get<TransportError>(refused).is_last = true;
}

void Reactor::tell_unsent(const Actor& actor, const CallParticipant& effect, NotSent why) {
  executor_.post([weak = weak_from_this(), actor, effect, why = std::move(why)] {
    if (const auto self = weak.lock())
      self->stimulate(actor, CallEnded{effect.path, effect.phase, effect.attempt, why});
  });
}

/// What the node lacks needs a person, who is told once in a while for each service.
void Reactor::note_unsent(CallQueue& queue, const std::string& service, const NotSent& why) {
  counters.calls_unsent[static_cast<std::size_t>(why.lack)].fetch_add(1, std::memory_order_relaxed);
  if (!queue.unsent_calls().tells(executor_.now(), unsent_told_every)) return;
  node_.ports.observer->note(
      Level::warning, "calls-not-sent",
      {{"service", service}, {"lack", to_text(why.lack)}, {"message", why.message}});
}

void Reactor::call_nobody(const Actor& actor, const CallParticipant& effect,
                          const std::string& service) {
  executor_.post([weak = weak_from_this(), actor, effect, service] {
    const auto self = weak.lock();
    if (!self) return;
    const TransportError error{dsl::Transport::connect, false,
                               "the service `" + service + "` is not registered"};
    self->watch_service(*self->node_.call_queues.of(service, {}), service, error);
    self->stimulate(actor, CallEnded{effect.path, effect.phase, effect.attempt, error});
  });
}

/// It has a slot. @return whether it uses it: not if it was withdrawn meanwhile, or the lease lost
bool Reactor::leave_queue(const Actor& actor, const CallParticipant& effect,
                          const std::shared_ptr<CallQueue>& queue) {
  bool was_held = false;
  const auto erased = std::erase_if(actor->queued, [&](const auto& call) {
    was_held = was_held || (call.effect == effect && call.held);
    return call.effect == effect;
  });
  const bool held = may_act() && epochs_[actor->id.shard()] == actor->epoch;
  if (erased == 0 || actor->dropped || !held) return false;
  if (!is_wanted(actor->state, effect)) {
    actor->withdrew = true;
    return false;
  }
  // The call may have waited for long.
  look_up_services(*actor);
  Called called = called_by(*actor, effect);
  if (!called.service) {
    call_nobody(actor, effect, called.name);
    return false;
  }
  // The time of a budget begins when its first attempt leaves the queue, but for one that was held.
  send(actor, effect, std::move(called), queue,
       was_held ? std::nullopt : std::optional<TimePoint>(now()));
  return true;
}

void Reactor::send(const Actor& actor, const CallParticipant& effect, Called called,
                   const std::shared_ptr<CallQueue>& queue, std::optional<TimePoint> sent_at) {
  Call call{actor->id,
            effect.path,
            effect.phase,
            effect.attempt,
            request_of(*actor, effect),
            std::move(called.service),
            std::move(called.name),
            called.is_registered,
            is_pivot(*actor->program.definition, effect.path)};
  const Duration timeout = call.request.attempt_timeout;
  const StepState& step = actor->state.steps.find(effect.path)->second;
  call.request.attempt_timeout = attempt_time(step, effect.phase, now());
  if (!step.callback_token.empty())
    node_.callbacks.load()->put_in(call.request, step.callback_token);
  const bool is_cut = call.request.attempt_timeout < timeout;
  const std::string call_name = call.service_name;
  participants_.call(
      std::move(call), [weak = weak_from_this(), actor, effect, queue, sent_at, service = call_name,
                        timeout, is_cut, began = executor_.now()](CallResult result) {
        const auto self = weak.lock();
        if (!self) return queue->release();
        if (const auto* unsent = std::get_if<NotSent>(&result)) {
          queue->release();
          self->note_unsent(*queue, service, *unsent);
          return self->stimulate(
              actor, CallEnded{effect.path, effect.phase, effect.attempt, std::move(result)});
        }
        self->counters.calls.fetch_add(1, std::memory_order_relaxed);
        self->return_slot(queue, result, timeout, is_cut, began);
        self->watch_service(*queue, service, result);
        self->guarded(actor, [&] {
          if (auto* answer = std::get_if<Response>(&result)) {
            AnswerBody body = admitted_body(std::move(answer->body), std::move(answer->unreadable));
            answer->body = std::move(body.value);
            answer->unreadable = std::move(body.unreadable);
            if (actor->program.expects_callbacks)
              self->node_.callbacks.load()->take_out(*answer, actor->id);
          }
          if (queue->holds() && is_refused(result)) self->end_late(*actor, effect, result);
          CallEnded ended{effect.path, effect.phase, effect.attempt, std::move(result)};
          ended.sent_at = sent_at;
          self->stimulate(actor, std::move(ended));
        });
      });
}

/// A participant that was given up on may be at work on the call for as long again.
void Reactor::return_slot(const std::shared_ptr<CallQueue>& queue, const CallResult& result,
                          Duration timeout, bool is_cut, SteadyTime began) {
  const SteadyTime at = executor_.now();
  const auto* error = std::get_if<TransportError>(&result);
  const bool timed_out = error != nullptr && error->kind == dsl::Transport::timeout;
  // An attempt that had less than its time says nothing about how busy the service is.
  if (timed_out && !is_cut) queue->on_timeout(timeout, at);
  const bool refused = is_refused(result);
  if (refused)
    queue->on_refused(at);
  else if (error == nullptr || error->sent)
    queue->on_reached();
  if (error == nullptr)
    queue->on_answer(std::chrono::duration_cast<Duration>(at - began), timeout, at);
  if (refused) watch_held(queue);
  if (!timed_out || !error->sent) return queue->release();
  executor_.call_after(timeout, [queue] { queue->release(); });
}

/// A service that fails again and again needs a person, who is told once in a while.
void Reactor::watch_service(CallQueue& queue, const std::string& service,
                            const CallResult& result) {
  const auto* error = std::get_if<TransportError>(&result);
  const auto* answer = std::get_if<Response>(&result);
  if (answer != nullptr && answer->status < server_error_min && answer->foreign.empty())
    return queue.failures().on_success();
  const std::uint32_t failures = queue.failures().on_failure(executor_.now());
  if (failures == 0) return;
  node_.ports.observer->note(
      Level::warning, "service-failing",
      {{"service", service},
       {"failures", std::to_string(failures)},
       {"last", error != nullptr          ? error->message
                : answer->foreign.empty() ? "HTTP_" + std::to_string(answer->status)
                                          : answer->foreign}});
}

/// After a decision: what the saga does not wait for any more leaves the queue unsent.
void Reactor::withdraw_unwanted(SagaActor& actor) {
  std::erase_if(actor.queued, [&](const SagaActor::Queued& call) {
    if (is_wanted(actor.state, call.effect)) return false;
    call.queue->withdraw(call.ticket);
    actor.withdrew = true;
    return true;
  });
}

/// The next owner sends them, and knows that this one did not.
void Reactor::withdraw_leaving() {
  for (const auto& [id, actor] : actors_) {
    if (!leaving_.test(id.shard())) continue;
    std::erase_if(actor->queued, [&, &actor = actor](const SagaActor::Queued& call) {
      const bool withdrawn = call.queue->withdraw(call.ticket);
      if (withdrawn) tell_unsent(actor, call.effect, shard_leaves());
      return withdrawn;
    });
  }
}

void Reactor::withdraw_all(SagaActor& actor) {
  for (const auto& call : actor.queued) call.queue->withdraw(call.ticket);
  actor.queued.clear();
}

}  // namespace backstitch::engine

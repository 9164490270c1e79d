#include <algorithm>

#include <backstitch/base/match.hpp>
#include <backstitch/engine/machine/machine.hpp>

#include "keys.hpp"
#include "limits.hpp"
#include "locate.hpp"

namespace backstitch::engine {
namespace {

void begin_call(CallState& call, const RenderedRequest& request, TimePoint at) {
  call.request = std::make_shared<const RenderedRequest>(request);
  call.attempts = 1;
  call.in_flight = true;
  call.first_at = call.sent_at = at;
  call.retry_at.reset();
  call.last_attempt = false;
}

/// Nothing will be sent any more, so the request need not be kept in memory.
void end_call(CallState& call) {
  call.request.reset();
  call.in_flight = false;
  call.retry_at.reset();
}

/// The first question is due; whoever asked the last one knows of a later one.
void await_poll(StepState& step) {
  step.poll.in_flight = false;
  step.poll.retry_at = *step.poll.first_at + step.poll_every;
}

/// Not so are attempts that are repeated, and the lives of nodes.
bool is_of_definition(const EventBody& body) {
  return !std::holds_alternative<AttemptStarted>(body) &&
         !std::holds_alternative<AttemptFailed>(body) && !std::holds_alternative<Resumed>(body);
}

/// What an operator's `retry` gives back to the call that was given up: time and attempts.
void renew_budget(StepState& step, Phase phase, TimePoint at) {
  CallState& call = call_of(step, phase);
  if (!call.request) return;
  call.attempts_before = call.attempts;
  call.unknowns = 0;
  call.first_at = at;
  call.retry_at = at;
  call.last_attempt = false;
  step.timeout_at.reset();
}

Json saga_view_of(const SagaState& state) {
  return {{"id", state.id.text()},
          {"name", state.definition},
          {"version", state.version},
          {"businessKey", state.business_key ? Json(*state.business_key) : Json()},
          {"startedAt", to_rfc3339(state.started_at)},
          {"root", public_root(state.root)},
          {"labels", state.labels}};
}

class Applier {
 public:
  Applier(const dsl::Definition& definition, SagaState& state, const Event& event)
      : definition_(definition), state_(state), at_(event.at), note_(event.attempt) {}

  void operator()(const SagaStarted& e) {
    state_.definition = e.definition;
    state_.version = e.version;
    state_.input = e.input;
    state_.sensitive = e.sensitive;
    state_.labels = e.labels;
    state_.business_key = e.business_key;
    state_.deadline = e.deadline;
    state_.parent = e.parent;
    state_.root = e.root;
    state_.lineage = e.lineage;
    state_.is_set_back = e.is_set_back;
    state_.started_at = e.accepted_at.value_or(at_);
    state_.status = SagaStatus::running;
    state_.bytes = json_size(e.input);
    state_.saga_view = saga_view_of(state_);
  }

  void operator()(const StepScheduled& e) {
    StepState& step = begin(e.path, StepStatus::running);
    step.key = e.request.key;
    step.timeout_at = e.timeout_at;
    step.callback_token = e.callback_token;
    begin_call(step.forward, e.request, at_);
    if (state_.is_set_back) step.forward.unknown_seen = true;
  }

  void operator()(const ChildScheduled& e) {
    StepState& step = begin(e.path, StepStatus::waiting);
    step.key = e.key;
    step.timeout_at = e.timeout_at;
    step.child = std::make_shared<const ChildSaga>(e.child);
    step.child_stopped = false;
    state_.bytes += json_size(e.child.input);
  }

  void operator()(const ChildStopped& e) { state_.steps[e.path].child_stopped = true; }

  void operator()(const BlockStarted& e) {
    BlockState& block = state_.blocks[e.path];
    block.chosen = e.chosen;
    block.items = e.items;
    block.keys = e.keys;
    if (e.items.is_array()) {
      block.yields = Json::array();
      block.yields.get_ref<Json::array_t&>().resize(e.items.size());
      state_.bytes += json_size(e.items);
    }
    begin(e.path, StepStatus::running);
  }

  void operator()(const IterationEnded& e) {
    BlockState& block = state_.blocks[e.path];
    block.next = std::max(block.next, e.index + 1);
    block.open.erase(e.index);
    block.yields[e.index] = e.output;
    state_.bytes += json_size(e.output);
    if (e.failure) note_failure(block, *e.failure);
    progress();
  }

  void operator()(const TryFailed& e) {
    BlockState& block = state_.blocks[e.path];
    block.caught = e.failure;
    block.failures.clear();
    progress();
  }

  void operator()(const CatchStarted& e) {
    state_.blocks[e.path].catch_chosen = e.index;
    progress();
  }

  void operator()(const CatchPassedOver&) {}

  void operator()(const StepWaiting& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::waiting;
    if (!step.started_at) step.started_at = at_;
    step.wait_until = e.until;
    step.forward.in_flight = false;
    progress();
    if (!e.poll) return;
    const std::uint32_t asked = step.poll.attempts;
    begin_call(step.poll, *e.poll, at_);
    step.poll.attempts = asked;
    step.poll_every = e.poll_every;
    await_poll(step);
  }

  void operator()(const SignalReceived& e) {
    state_.signals.push_back({state_.sequence.get() + 1, e.name, e.payload, e.by, e.roles, at_});
    state_.bytes += json_size(e.payload);
  }

  void operator()(const SignalConsumed& e) { remove_signal(e.sequence); }
  void operator()(const SignalDropped& e) { remove_signal(e.sequence); }

  void operator()(const CallbackReceived& e) {
    StepState& step = state_.steps[e.path];
    (e.note.empty() ? step.callback_used : step.callback_noted) = true;
    if (e.note.empty()) step.callback_body = e.body;
  }
  void operator()(const CallbackRefused& e) { state_.steps[e.path].callback_refused = true; }

  void operator()(const StepSkipped& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::skipped;
    settle(step);
  }

  void operator()(const AttemptStarted& e) {
    StepState& step = state_.steps[e.path];
    CallState& call = call_of(step, e.phase);
    call.attempts = e.attempt;
    call.sent_at = at_;
    call.in_flight = true;
    if (!call.first_at) call.first_at = at_;
    call.retry_at.reset();
    if (e.phase != Phase::forward) return;
    // Asked to begin again, it waits for no earlier answer.
    step.status = StepStatus::running;
    step.callback_used = false;
    step.wait_until.reset();
    end_call(step.poll);
  }

  void operator()(const AttemptFailed& e) {
    StepState& step = state_.steps[e.path];
    CallState& call = call_of(step, e.phase);
    if (e.phase != Phase::poll) count_attempt(call);
    call.in_flight = false;
    call.retry_at = e.retry_at;
    call.last_attempt = e.next_is_last;
    call.last = e.failure;
    if (call.last->step.empty()) call.last->step = e.path;
    if (e.phase == Phase::poll && e.outcome == dsl::OutcomeClass::pending) {
      ++step.poll_notes;
      await_poll(step);
    }
    if (e.outcome == dsl::OutcomeClass::unknown) call.unknown_seen = true;
    if (e.outcome != dsl::OutcomeClass::transient) ++call.unknowns;
    // A node that lived to see an answer was not brought down by the call.
    if (!e.lost) progress();
    if (e.phase != Phase::forward || step.status != StepStatus::waiting) return;
    // The answer that was to come later is not waited for any more.
    step.status = StepStatus::running;
    step.wait_until.reset();
    end_call(step.poll);
  }

  void operator()(const StepSucceeded& e) {
    StepState& step = state_.steps[e.path];
    const bool told = step.ended_at.has_value();
    step.status = StepStatus::succeeded;
    step.succeeded = true;
    step.output = e.output;
    step.captured = e.captured;
    step.failure = e.failure;
    step.effect_unknown = false;
    state_.bytes += json_size(e.output) + json_size(e.captured);
    settle(step);
    if (e.failure && !told) fails_block_around(e.path, *e.failure);
    if (is_pivot(definition_, e.path)) state_.pivot_passed = true;
  }

  void operator()(const StepFailed& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::failed;
    step.failure = e.failure;
    step.left_over = e.left_over;
    settle(step);
    fails_block_around(e.path, e.failure);
  }

  void operator()(const StepUnknown& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::unknown;
    step.failure = e.failure;
    step.effect_unknown = true;
    step.undo_not_before = e.undo_not_before;
    settle(step);
    fails_block_around(e.path, e.failure);
  }

  void operator()(const QuietPeriodEnded& e) { state_.steps[e.path].undo_not_before.reset(); }

  void operator()(const ProbeScheduled& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::running;
    step.wait_until.reset();
    // It has its own budget; the time for the attempts is over.
    step.timeout_at.reset();
    // Its request is kept: an unsealed "not seen" may have it sent again.
    step.forward.in_flight = false;
    step.forward.retry_at.reset();
    end_call(step.poll);
    const std::uint32_t asked = step.probe.attempts;
    begin_call(step.probe, e.request, at_);
    step.probe.attempts_before = asked;
    step.probe.attempts = asked + 1;
  }

  void operator()(const CompensationStarted& e) {
    state_.status = SagaStatus::compensating;
    state_.failure = e.failure;
    progress();
  }

  void operator()(const StepCompensationScheduled& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::compensating;
    step.undo_started_at = at_;
    begin_call(step.undo, e.request, at_);
  }

  void operator()(const ChildUndoScheduled& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::compensating;
    step.undo_started_at = at_;
  }

  void operator()(const StepCompensated& e) { end_undo(e.path, StepStatus::compensated); }
  void operator()(const StepCompensationFailed& e) {
    end_undo(e.path, StepStatus::compensation_failed);
    state_.steps[e.path].undo_failure = e.failure;
  }
  void operator()(const StepCompensationSkipped& e) {
    end_undo(e.path, StepStatus::compensation_skipped);
    state_.steps[e.path].undo_given_up = e.reason == "operator";
  }

  void operator()(const HandlersStarted&) { state_.handlers_started = true; }
  void operator()(const CancelRequested& e) {
    state_.cancel_requested = true;
    note_act({at_, "cancel", {}, {}, e.by, e.reason});
  }
  void operator()(const DeadlinePassed&) { state_.deadline_passed = true; }

  void operator()(const SagaSuspended& e) {
    const bool noticed = std::any_of(state_.suspensions.begin(), state_.suspensions.end(),
                                     [](const auto& one) { return !one.by_operator; });
    if (!noticed && !e.suspension.by_operator) ++state_.suspended_times;
    std::erase_if(state_.suspensions,
                  [&](const auto& one) { return one.step == e.suspension.step; });
    state_.suspensions.push_back(e.suspension);
    state_.suspensions.back().since = at_;
    state_.status = SagaStatus::suspended;
    if (const auto step = state_.steps.find(e.suspension.step); step != state_.steps.end())
      call_of(step->second, e.suspension.phase).retry_at.reset();
  }

  void operator()(const OperatorActed& e) {
    // A callback is the participant's act; a cancellation is noted as a whole.
    if (e.action != "callback" && e.action != "cancel")
      note_act({at_, e.action, e.path, e.resolution, e.by, e.reason});
    if (e.action == "retry-child" || e.action == "retry-now" || e.action == "suspend") return;
    const auto found = std::find_if(state_.suspensions.begin(), state_.suspensions.end(),
                                    [&](const auto& one) { return one.step == e.path; });
    BACKSTITCH_INVARIANT(found != state_.suspensions.end(),
                         "an operator acts on what is suspended");
    const Suspension suspension = *found;
    state_.suspensions.erase(found);
    if (state_.suspensions.empty()) state_.status = suspension.from;
    if (const auto step = state_.steps.find(e.path); e.renewed && step != state_.steps.end())
      renew_budget(step->second, *e.renewed, at_);
    progress();
  }

  void operator()(const Resumed& e) {
    // Whoever takes a saga over has only its log.
    forget_questions(state_);
    // A saga that only waits has brought nobody down.
    const auto wake = next_wake(state_);
    const bool due = wake && *wake <= at_;
    if (!e.is_struck && (due || has_call_in_flight(state_))) ++state_.resumes_without_progress;
    if (e.lineage) set_back(*e.lineage);
  }

  /// What is settled is known; what is open, and what begins from now on, may have been sent
  /// before.
  void set_back(std::int64_t lineage) {
    state_.lineage = lineage;
    state_.is_set_back = true;
    for (const auto& path : state_.open) {
      StepState& step = state_.steps[path];
      if (step.forward.request && !step.succeeded) step.forward.unknown_seen = true;
    }
  }

  void operator()(const SagaReopened& e) {
    state_.status = SagaStatus::compensating;
    state_.failure = e.failure;
    state_.ended_at.reset();
    progress();
  }

  void operator()(const SagaEnded& e) {
    state_.status = e.status;
    if (e.status == SagaStatus::completed) state_.output = e.output;
    state_.ended_at = at_;
    // A notice that is still on its way is answered to nobody.
    state_.open.clear();
  }

 private:
  void note_act(OperatorNote note) {
    auto& acted = state_.acted;
    if (acted.size() == SagaState::acted_max) acted.erase(acted.begin());
    acted.push_back(std::move(note));
  }

  void remove_signal(std::int64_t sequence) {
    const auto gone = std::find_if(state_.signals.begin(), state_.signals.end(),
                                   [&](const auto& one) { return one.sequence == sequence; });
    if (gone == state_.signals.end()) return;
    state_.bytes -= std::min(state_.bytes, json_size(gone->payload));
    state_.signals.erase(gone);
  }

  /// A budget begins when its first attempt leaves the queue; what never left it is no attempt.
  void count_attempt(CallState& call) const {
    const bool first = call.attempts == call.attempts_before + 1;
    if (first && note_.sent_at) call.first_at = note_.sent_at;
    if (!note_.unsent) return left_node(call);
    if (first) call.first_at.reset();
    --call.attempts;
    ++call.unsent;
    if (!call.unsent_since) call.unsent_since = at_;
    call.unsent_reported = call.unsent_reported || note_.needs_person;
  }

  static void left_node(CallState& call) {
    call.unsent = 0;
    call.unsent_since.reset();
    call.unsent_reported = false;
  }

  StepState& begin(const StepPath& path, StepStatus status) {
    StepState& step = state_.steps[path];
    step.status = status;
    step.started_at = at_;
    if (!state_.pivot_sent && is_pivot(definition_, path)) state_.pivot_sent = true;
    return step;
  }

  void settle(StepState& step) {
    if (!step.started_at) step.started_at = at_;
    step.ended_at = at_;
    step.settled_sequence = state_.sequence.get() + 1;
    step.timeout_at.reset();
    step.wait_until.reset();
    for (auto* call : {&step.forward, &step.probe, &step.poll}) end_call(*call);
    progress();
  }

  void end_undo(const StepPath& path, StepStatus status) {
    StepState& step = state_.steps[path];
    step.status = status;
    step.undo_ended_at = at_;
    end_call(step.undo);
    progress();
  }

  static void note_failure(BlockState& block, const Failure& failure) {
    if (block.failures.size() < BlockState::failures_max) block.failures.push_back(failure);
  }

  void fails_block_around(const StepPath& path, const Failure& failure) {
    if (const StepPath around = block_around(definition_, path); !around.empty())
      note_failure(state_.blocks[around], failure);
  }

  void progress() { state_.resumes_without_progress = 0; }

  const dsl::Definition& definition_;
  SagaState& state_;
  TimePoint at_;
  const AttemptNote& note_;
};

/// Keeps SagaState::open.
void note_open(SagaState& state, const StepPath& path) {
  const auto found = state.steps.find(path);
  if (found == state.steps.end() || state.blocks.count(path) > 0) return;
  const StepState& step = found->second;
  const bool open = step.status == StepStatus::running || step.status == StepStatus::waiting ||
                    step.status == StepStatus::compensating ||
                    (step.status == StepStatus::unknown && step.undo_not_before);
  if (open)
    state.open.insert(path);
  else
    state.open.erase(path);
}

/// A step inside an iteration shows that this iteration has begun.
void note_iteration(const dsl::Definition& definition, SagaState& state, const StepPath& path) {
  if (path.find('[') == StepPath::npos || state.failure) return;
  const auto at = locate(definition, path);
  if (!at) return;
  for (const auto& frame : at->frames) {
    if (!std::holds_alternative<dsl::ForEach>(frame.block->body)) continue;
    BlockState& block = state.blocks[frame.path];
    if (frame.index < block.next) continue;
    block.next = frame.index + 1;
    block.open.insert(frame.index);
  }
}

void note_details(SagaState& state, const EventBody& body) {
  const Failure* failure = failure_of(body);
  if (failure == nullptr || failure->details.is_null() || !keeps_failure(body)) return;
  const std::size_t bytes = json_size(failure->details);
  state.bytes += bytes;
  state.details_bytes += bytes;
}

}  // namespace

void apply(const dsl::Definition& definition, SagaState& state, const Event& event) {
  std::visit(Applier(definition, state, event), event.body);
  note_details(state, event.body);
  if (!event.command.key.empty()) state.commands[event.command.key] = event.command.request;
  state.sequence = Sequence{state.sequence.get() + 1};
  if (is_of_definition(event.body)) ++state.events;
  const StepPath& path = path_of(event);
  if (path.empty()) return;
  note_iteration(definition, state, path);
  note_open(state, path);
}

}  // namespace backstitch::engine

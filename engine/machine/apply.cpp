#include <backstitch/base/match.hpp>
#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine {
namespace {

void begin_call(CallState& call, const RenderedRequest& request, TimePoint at) {
  call.request = request;
  call.attempts = 1;
  call.in_flight = true;
  call.first_at = at;
  call.retry_at.reset();
}

void end_call(CallState& call) {
  call.in_flight = false;
  call.retry_at.reset();
}

/// What an operator's `retry` gives back to the call that was given up: time and attempts.
void renew_budget(SagaState& state, const Suspension& suspension, TimePoint at) {
  const auto found = state.steps.find(suspension.step);
  if (found == state.steps.end()) return;
  CallState& call = call_of(found->second, suspension.phase);
  if (!call.request) return;
  call.attempts_before = call.attempts;
  call.first_at = at;
  call.retry_at = at;
  found->second.timeout_at.reset();
}

Json saga_view_of(const SagaState& state) {
  return {{"id", state.id.text()},
          {"name", state.definition},
          {"version", state.version},
          {"businessKey", state.business_key ? Json(*state.business_key) : Json()},
          {"startedAt", to_rfc3339(state.started_at)},
          {"labels", state.labels}};
}

bool is_pivot(const dsl::Definition& definition, const StepPath& path) {
  for (const auto& step : definition.steps) {
    if (step.name == path)
      return std::holds_alternative<dsl::Action>(step.body) && step.kind == dsl::StepKind::pivot;
  }
  return false;
}

class Applier {
 public:
  Applier(const dsl::Definition& definition, SagaState& state, TimePoint at)
      : definition_(definition), state_(state), at_(at) {}

  void operator()(const SagaStarted& e) {
    state_.definition = e.definition;
    state_.version = e.version;
    state_.input = e.input;
    state_.labels = e.labels;
    state_.business_key = e.business_key;
    state_.deadline = e.deadline;
    state_.started_at = at_;
    state_.status = SagaStatus::running;
    state_.saga_view = saga_view_of(state_);
  }

  void operator()(const StepScheduled& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::running;
    step.started_at = at_;
    step.started_sequence = state_.sequence.get() + 1;
    step.timeout_at = e.timeout_at;
    begin_call(step.forward, e.request, at_);
  }

  void operator()(const StepSkipped& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::skipped;
    settle(step);
    progress();
  }

  void operator()(const AttemptStarted& e) {
    CallState& call = call_of(state_.steps[e.path], e.phase);
    call.attempts = e.attempt;
    call.in_flight = true;
    call.retry_at.reset();
  }

  void operator()(const AttemptFailed& e) {
    CallState& call = call_of(state_.steps[e.path], e.phase);
    call.in_flight = false;
    call.retry_at = e.retry_at;
    call.last = e.failure;
    if (e.outcome == dsl::OutcomeClass::unknown) call.unknown_seen = true;
  }

  void operator()(const StepSucceeded& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::succeeded;
    step.succeeded = true;
    step.output = e.output;
    step.captured = e.captured;
    step.failure.reset();
    step.effect_unknown = false;
    settle(step);
    if (is_pivot(definition_, e.path)) state_.pivot_passed = true;
    progress();
  }

  void operator()(const StepFailed& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::failed;
    step.failure = e.failure;
    settle(step);
    progress();
  }

  void operator()(const StepUnknown& e) {
    StepState& step = state_.steps[e.path];
    step.status = StepStatus::unknown;
    step.failure = e.failure;
    step.effect_unknown = true;
    step.undo_not_before = e.undo_not_before;
    settle(step);
    progress();
  }

  void operator()(const ProbeScheduled& e) {
    StepState& step = state_.steps[e.path];
    end_call(step.forward);
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
  void operator()(const CancelRequested&) { state_.cancel_requested = true; }
  void operator()(const DeadlinePassed&) { state_.deadline_passed = true; }

  void operator()(const SagaSuspended& e) {
    state_.suspension = e.suspension;
    state_.suspension->since = at_;
    state_.status = SagaStatus::suspended;
  }

  void operator()(const OperatorActed& e) {
    BACKSTITCH_INVARIANT(state_.suspension.has_value(), "an operator acts on a suspended saga");
    const Suspension suspension = *state_.suspension;
    state_.status = suspension.from;
    state_.suspension.reset();
    if (e.action == "retry") renew_budget(state_, suspension, at_);
    progress();
  }

  void operator()(const Resumed&) { ++state_.resumes_without_progress; }

  void operator()(const SagaEnded& e) {
    state_.status = e.status;
    state_.output = e.output;
    state_.ended_at = at_;
  }

 private:
  void settle(StepState& step) {
    if (!step.started_at) step.started_at = at_;
    step.ended_at = at_;
    step.timeout_at.reset();
    end_call(step.forward);
    end_call(step.probe);
  }

  void end_undo(const StepPath& path, StepStatus status) {
    StepState& step = state_.steps[path];
    step.status = status;
    step.undo_ended_at = at_;
    end_call(step.undo);
    progress();
  }

  void progress() { state_.resumes_without_progress = 0; }

  const dsl::Definition& definition_;
  SagaState& state_;
  TimePoint at_;
};

}  // namespace

void apply(const dsl::Definition& definition, SagaState& state, const Event& event) {
  std::visit(Applier(definition, state, event.at), event.body);
  state.sequence = Sequence{state.sequence.get() + 1};
}

}  // namespace backstitch::engine

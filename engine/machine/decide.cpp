#include <algorithm>
#include <iterator>
#include <utility>

#include <backstitch/base/match.hpp>
#include <backstitch/engine/machine/masking.hpp>

#include "decider.hpp"
#include "keys.hpp"
#include "limits.hpp"

namespace backstitch::engine {
namespace {

/// A saga that takes one node after the other down with it has to be stopped.
constexpr std::uint32_t take_overs_max = 3;

}  // namespace

const dsl::Service* Program::service(std::string_view name) const {
  const auto inline_service = definition->services.find(std::string(name));
  if (inline_service == definition->services.end()) return nullptr;
  if (inline_service->second.use.empty()) return &inline_service->second;
  if (services == nullptr) return nullptr;
  const auto registered = services->find(inline_service->second.use);
  return registered == services->end() ? nullptr : registered->second.get();
}

Transition decide(const Program& program, SagaState state, const Stimulus& stimulus) {
  Transition out;
  out.next = std::move(state);
  Decider decider(program, out, stimulus);
  if (decider.is_repeated()) return out;
  std::visit(
      Match{[&](const Start& s) { decider.start(s); },
            [&](const CallEnded& s) { decider.call_ended(s); },
            [&](const Tick&) { decider.tick(); },
            [&](const TakenOver& s) { decider.taken_over(s); },
            [&](const Cancel& s) { decider.cancel(s); }, [&](const Retry& s) { decider.retry(s); },
            [&](const Suspend& s) { decider.suspend_waiting(s); },
            [&](const Skip& s) { decider.skip(s); },
            [&](const Resolve& s) { decider.resolve_step(s); },
            [&](const Signal& s) { decider.signal(s); },
            [&](const Callback& s) { decider.callback(s); },
            [&](const ChildChanged& s) { decider.child_changed(s); },
            [&](const UndoneByParent& s) { decider.undone_by_parent(s); },
            [&](const ContentRefused& s) { decider.content_refused(s); },
            [&](const Quarantine& s) { decider.quarantine(s); }},
      stimulus.body);
  if (out.refused) {
    const auto* start = std::get_if<Start>(&stimulus.body);
    out.refused = without_values(std::move(*out.refused), *program.definition,
                                 start != nullptr ? start->sensitive : out.next.sensitive);
  }
  return out;
}

Transition decide_to_rest(const Program& program, SagaState state, const Stimulus& stimulus) {
  Transition whole = decide(program, std::move(state), stimulus);
  while (std::exchange(whole.cut, false)) {
    Transition rest = decide(program, std::move(whole.next),
                             {.now = stimulus.now,
                              .random = stimulus.random,
                              .body = Tick{},
                              .queued = stimulus.queued});
    whole.next = std::move(rest.next);
    whole.cut = rest.cut;
    std::move(rest.events.begin(), rest.events.end(), std::back_inserter(whole.events));
    std::move(rest.effects.begin(), rest.effects.end(), std::back_inserter(whole.effects));
  }
  return whole;
}

namespace {

/// What an event costs beside what is evaluated for it.
constexpr std::uint32_t steps_an_event = 100;

/// What is tried or asked again leaves little behind: `path` is the event's, and the reasons stand
/// with the attempt that is the last.
void shorten_repeated(EventBody& body) {
  auto* failed = std::get_if<AttemptFailed>(&body);
  const bool repeated = failed != nullptr && (failed->retry_at || failed->phase == Phase::poll);
  if (!repeated || failed->outcome == dsl::OutcomeClass::failure) return;
  failed->failure.details = nullptr;
  failed->failure.step.clear();
  failed->failure.message = cut_repeated_message(std::move(failed->failure.message));
}

}  // namespace

bool Decider::has_room() {
  // An event follows whatever it costs, or the saga would not get on.
  const bool is_full = meter_.spent + dsl::event_steps_max > program_.transition_steps_max;
  out_.cut = out_.cut || (is_full && !out_.events.empty());
  if (!out_.cut) meter_.left = dsl::event_steps_max;
  return !out_.cut;
}

void Decider::emit(EventBody body) {
  meter_.spent += steps_an_event;
  shorten_repeated(body);
  if (Failure* failure = failure_of(body)) {
    const std::size_t most = keeps_failure(body) ? details_room() : details_bytes_max;
    failure->details = bounded_details(std::move(failure->details), most);
    failure->message = cut_message(std::move(failure->message));
  }
  Event event{now(), std::move(body)};
  if (noted_ && path_of(event) == noted_->first) {
    event.attempt = std::move(noted_->second);
    noted_.reset();
  }
  event.command = std::exchange(command_, {});
  apply(definition(), state(), event);
  out_.events.push_back(std::move(event));
}

/// What participants and definitions put into failures must leave room for the steps to come.
std::size_t Decider::details_room() const {
  if (state().bytes >= state_bytes_max / 2) return 0;
  return state().details_bytes >= details_all_max ? details_small_max : details_bytes_max;
}

void Decider::call(const StepPath& path, Phase phase) {
  out_.effects.push_back(CallParticipant{path, phase, call_of(step_state(path), phase).attempts});
}

void Decider::suspend(std::string reason, std::string message, const StepPath& path, Phase phase) {
  // A notice is a favour: what becomes of it needs nobody.
  if (const auto at = locate(definition(), path); at && at->area == Area::on_suspended)
    return emit(StepFailed{path, failure(std::move(reason), "failure", std::move(message), path)});
  suspend({std::move(reason), std::move(message), path, phase});
}

void Decider::suspend(Suspension suspension) {
  suspension.since = now();
  suspension.from =
      state().status == SagaStatus::suspended ? state().suspensions.front().from : state().status;
  suspension.message = cut_message(std::move(suspension.message));
  emit(SagaSuspended{std::move(suspension)});
  if (state().parent) out_.effects.push_back(TellParent{});
}

Failure Decider::failure(std::string code, std::string failure_class, std::string message,
                         const StepPath& path) const {
  return {std::move(code), std::move(failure_class), cut_message(std::move(message)), path,
          nullptr};
}

void Decider::refuse(std::string reason, std::string message, ErrorCode code) {
  out_.refused = Error{code, std::move(reason), std::move(message)};
}

void Decider::end(SagaStatus status, Json output) {
  emit(SagaEnded{status, std::move(output)});
  if (state().parent) out_.effects.push_back(TellParent{});
}

void Decider::start(const Start& start) {
  state().id = start.id;
  SagaStarted started;
  started.definition = definition().name;
  started.version = definition().version;
  started.input = start.input;
  started.parent = start.parent;
  started.root = root_of_start(program_, start, start.business_key);
  started.accepted_at = start.accepted_at;
  started.sensitive = start.sensitive;
  started.lineage = start.lineage;
  started.is_set_back = start.is_set_back;
  if (start.refusal) {
    started.business_key = start.business_key;
    started.labels = start.labels;
    emit(std::move(started));
    emit(CompensationStarted{*start.refusal});
    return end(SagaStatus::failed);
  }
  if (start.quarantine) {
    started.business_key = start.business_key;
    started.labels = start.labels;
    emit(std::move(started));
    return quarantine(*start.quarantine);
  }
  auto business_key = start.business_key ? Result<std::optional<std::string>>(start.business_key)
                                         : business_key_of(program_, start.input);
  if (!business_key) {
    out_.refused = business_key.error();
    return;
  }
  started.business_key = *business_key;
  started.root = root_of_start(program_, start, started.business_key);
  // Labels and the timeout may read the input and the saga, so these are put in place first.
  SagaState preview;
  preview.id = start.id;
  apply(definition(), preview, {now(), started});
  const SagaScope scope(program_, preview, &meter_);
  for (const auto& label : definition().labels) {
    dsl::Budget budget;
    auto text = label.value.render_text(scope, budget);
    if (!text) {
      out_.refused = text.error();
      return;
    }
    started.labels.emplace(label.name, std::move(*text));
  }
  for (const auto& [name, value] : start.labels) started.labels.insert_or_assign(name, value);
  if (auto flaw = label_flaw(started.labels)) {
    out_.refused = std::move(flaw);
    return;
  }
  const auto timeout = duration_of(definition().timeout, scope);
  if (!timeout) {
    out_.refused = timeout.error();
    return;
  }
  started.deadline = now() + *timeout;
  emit(std::move(started));
  advance();
}

void Decider::advance() {
  see_what_failed();
  if (state().status == SagaStatus::running) run_main_line();
  if (state().status == SagaStatus::compensating) recover();
  if (state().status != SagaStatus::suspended) return;
  go_on_undoing();
  run_suspension_handlers();
}

std::vector<Located> Decider::open_steps() const {
  std::vector<Located> steps;
  for (const auto& path : state().open) {
    if (state().status == SagaStatus::suspended && !goes_on_while_suspended(state(), path))
      continue;
    if (auto at = locate(definition(), path)) steps.push_back(std::move(*at));
  }
  return steps;
}

void Decider::tick() {
  if (is_terminal(state().status)) return;
  if (state().status == SagaStatus::running && state().deadline && *state().deadline <= now() &&
      !state().deadline_passed) {
    emit(DeadlinePassed{});
  }
  // What is decided for one step may end others.
  for (const auto& at : open_steps()) {
    if (!has_room()) return;
    const bool stands = state().status == SagaStatus::suspended &&
                        state().open.count(at.path) > 0 &&
                        !goes_on_while_suspended(state(), at.path);
    if (state().open.count(at.path) > 0 && !stands && !is_terminal(state().status)) tick_step(at);
  }
  advance();
  end_quiet_periods();
}

/// A quiet period that is over wakes the saga no more, though other compensations come first.
void Decider::end_quiet_periods() {
  if (is_terminal(state().status)) return;
  for (const auto& at : open_steps()) {
    const auto& until = step_state(at.path).undo_not_before;
    if (step_state(at.path).status == StepStatus::unknown && until && *until <= now())
      emit(QuietPeriodEnded{at.path});
  }
}

void Decider::tick_step(const Located& at) {
  const StepState& step = step_state(at.path);
  const bool forward = step.status == StepStatus::running || step.status == StepStatus::waiting;
  if (forward && step.timeout_at && *step.timeout_at <= now()) return step_timed_out(at);
  if (step.status == StepStatus::waiting && step.wait_until && *step.wait_until <= now()) {
    if (!std::holds_alternative<dsl::Action>(at.step->body)) return wait_ended(at);
    // The last question is due at the timeout itself, and is waited for like any call.
    const bool asks_once_more = step.poll.retry_at && *step.poll.retry_at <= *step.wait_until;
    if (asks_once_more) return send_again(at, Phase::poll);
    return step.poll.in_flight ? void() : completion_timed_out(at);
  }
  for (const Phase phase : all_phases) {
    const CallState& call = call_of(step, phase);
    if (call.retry_at && *call.retry_at <= now()) return send_again(at, phase);
  }
}

void Decider::taken_over(const TakenOver& taken_over) {
  const bool lost_calls = !is_terminal(state().status) && has_call_in_flight(state());
  const bool is_set_back = !is_terminal(state().status) && taken_over.lineage > state().lineage;
  // A suspended saga goes on some day, and has to know by then.
  if (!is_active(state()) && !lost_calls && !is_set_back) return;
  emit(Resumed{taken_over.node, taken_over.is_struck,
               is_set_back ? std::optional(taken_over.lineage) : std::nullopt});
  resume_questions(state(), now());
  const bool dangerous =
      !taken_over.is_struck && state().resumes_without_progress >= take_overs_max;
  Verdict lost;
  lost.outcome = dsl::OutcomeClass::unknown;
  lost.code = "OUTCOME_UNKNOWN";
  lost.message = "the node that had sent the request was lost before the answer";
  lost.lost = true;
  const std::set<StepPath, std::less<>> open = state().open;
  for (const auto& path : open) {
    const auto at = locate(definition(), path);
    if (!at || is_terminal(state().status)) continue;
    for (const Phase phase : all_phases) {
      if (!call_of(step_state(path), phase).in_flight) continue;
      attempt_ended(*at, phase, lost);
      break;
    }
  }
  if (!dangerous) return tick();
  suspend("TAKEN_OVER_REPEATEDLY",
          "the saga was taken over " + std::to_string(take_overs_max) +
              " times in a row without getting any further; does it bring its node down?",
          "", Phase::forward);
}

/// Small, so that it can be stored whatever the answer was.
void Decider::content_refused(const ContentRefused& refused) {
  constexpr const char* reason = "CONTENT_REFUSED";
  constexpr const char* message =
      "the database cannot store what this came to; the server's log has its reason";
  if (is_terminal(state().status)) return;
  const auto found = state().steps.find(refused.path);
  const bool open = found != state().steps.end() && state().open.count(refused.path) > 0;
  if (!open) return suspend(reason, message, "", Phase::forward);
  const bool poll = refused.phase == Phase::poll;
  const CallState& call = call_of(found->second, refused.phase);
  if (poll || (call.in_flight && call.attempts == refused.attempt)) {
    emit(AttemptFailed{refused.path, refused.phase, refused.attempt,
                       poll ? dsl::OutcomeClass::pending : dsl::OutcomeClass::unknown,
                       failure(reason, poll ? "pending" : "unknown", message, refused.path),
                       std::nullopt});
  }
  suspend(reason, message, refused.path, refused.phase);
}

/// A call in flight is as good as lost. Whether it is sent again is for an operator to say.
void Decider::quarantine(const Quarantine& quarantine) {
  if (is_terminal(state().status)) return;
  const auto open = state().open;
  for (const auto& path : open) {
    for (const Phase phase : {Phase::forward, Phase::probe, Phase::compensate}) {
      const CallState& call = call_of(step_state(path), phase);
      if (!call.in_flight) continue;
      emit(AttemptFailed{path, phase, call.attempts, dsl::OutcomeClass::unknown,
                         failure(quarantine.reason, "unknown", quarantine.message, path),
                         std::nullopt, true});
      suspend({quarantine.reason, quarantine.message, path, phase});
    }
  }
  if (suspension_at("") == nullptr)
    suspend({quarantine.reason, quarantine.message, "", Phase::forward});
}

Result<Json> admit_input(const dsl::Definition& definition, const Json& input) {
  if (!definition.input) return input;
  Json filled = definition.input->with_defaults(input);
  auto errors = definition.input->validate(filled);
  if (errors.empty()) return filled;
  return Error{ErrorCode::invalid, "INPUT_INVALID",
               "The input does not match the schema of " + definition.name + " version " +
                   std::to_string(definition.version) + ".",
               std::move(errors)};
}

Result<std::optional<std::string>> business_key_of(const Program& program, const Json& input) {
  const auto& source = program.definition->business_key;
  if (!source) return std::optional<std::string>{};
  SagaState state;
  state.input = input;
  const SagaScope scope(program, state);
  dsl::Budget budget;
  auto key = source->render_text(scope, budget);
  if (!key) return std::move(key).error();
  return std::optional<std::string>{std::move(*key)};
}

}  // namespace backstitch::engine

#include <backstitch/engine/explore/plan.hpp>
#include <backstitch/engine/machine/masking.hpp>

#include <algorithm>
#include <deque>

#include <nlohmann/json.hpp>

#include <backstitch/base/match.hpp>

#include "answers.hpp"
#include "judge.hpp"

namespace backstitch::engine::explore {
namespace {

constexpr std::size_t steps_max = 1'000;
constexpr std::size_t moves_max = 100'000;
/// What a plan decides is never run, so any number does for what chance decides.
constexpr std::uint64_t chance = 1;

class Planner {
 public:
  Planner(const Program& program, SagaState state, TimePoint now)
      : program_(program),
        state_(std::move(state)),
        now_(now),
        answers_(answers_of(program)),
        masking_(*program.definition, state_) {}

  Result<Plan> plan(StimulusBody command) {
    if (const auto* resolve = std::get_if<Resolve>(&command)) warn_of(*resolve);
    for (const auto& path : state_.open) await_call(path);
    if (auto done = decide_on(std::move(command)); !done) return std::move(done).error();
    for (std::size_t moves = 0; goes_on(); ++moves) {
      if (moves >= moves_max || plan_.steps.size() >= steps_max) {
        plan_.complete = false;
        break;
      }
      if (!move()) break;
    }
    plan_.end = state_.status;
    return std::move(plan_);
  }

 private:
  bool goes_on() const { return !is_terminal(state_.status); }

  void await_call(const StepPath& path) {
    const StepState& step = state_.steps.at(path);
    for (const Phase phase : all_phases) {
      const CallState& call = call_of(step, phase);
      if (!call.in_flight) continue;
      plan_.steps.push_back({path, PlannedAction::await, request_of(path, phase)});
      expect(answer_to({path, phase, call.attempts}));
    }
  }

  /// That a pivot was not done is a person's word against a request that may still arrive.
  void warn_of(const Resolve& resolve) {
    if (resolve.as != Resolution::not_done) return;
    for (const auto& suspension : state_.suspensions) {
      const auto* step = standing_of(*program_.definition, suspension.step).step;
      const bool meant =
          step != nullptr && (resolve.step == suspension.step || resolve.step == step->name);
      if (meant && step->kind == dsl::StepKind::pivot && suspension.phase != Phase::compensate)
        warn_of_pivot(suspension.step);
    }
  }

  void warn_of_pivot(const StepPath& path) {
    const CallState& call = state_.steps.at(path).forward;
    if (!call.request) return;
    const auto* service = program_.service(call.request->service);
    const std::string base = service == nullptr ? call.request->service + ": " : service->base_url;
    plan_.warnings.push_back(
        "`" + path + "` is the pivot. It was sent as " + call.request->method + " " + base +
        masking_.target(path, Phase::forward, call.request->target) + " with the key " +
        call.request->key + "; attempt " + std::to_string(call.attempts) + ", the last, at " +
        to_rfc3339(call.sent_at) + ".");
    plan_.warnings.push_back(
        "A late copy of the request may still arrive and take effect; everything before the pivot "
        "is compensated then all the same.");
    plan_.warnings.push_back(
        "A later start under the same business key (businessKeyReuse: afterFailed) has other keys: "
        "the participant will not recognise it as the same request.");
  }

  std::string request_of(const StepPath& path, Phase phase) const {
    const auto& request = call_of(state_.steps.at(path), phase).request;
    if (!request) return "";
    return request->method + " " + masking_.target(path, phase, request->target);
  }

  Result<Done> decide_on(StimulusBody body) {
    Transition made = decide_to_rest(program_, std::move(state_), {now_, chance, std::move(body)});
    state_ = std::move(made.next);
    if (made.refused) return *made.refused;
    for (const auto& event : made.events) {
      if (const auto* waiting = std::get_if<StepWaiting>(&event.body))
        plan_.steps.push_back({waiting->path, PlannedAction::wait});
    }
    for (const auto& effect : made.effects) note(effect);
    return Done{};
  }

  void note(const Effect& effect) {
    std::visit(
        Match{[&](const CallParticipant& call) { note_call(call); },
              [&](const StartChild& child) {
                plan_.steps.push_back({child.path, PlannedAction::start_saga});
                expect(child_ends(child.path, SagaStatus::completed));
              },
              [&](const UndoChild& child) {
                plan_.steps.push_back({child.path, PlannedAction::undo_saga});
                expect(child_ends(child.path, SagaStatus::failed));
              },
              [&](const CancelChild& child) {
                plan_.steps.push_back({child.path, PlannedAction::undo_saga});
                expect(child_ends(child.path, SagaStatus::failed));
              },
              [&](const RetryChild& child) {
                plan_.steps.push_back({child.path, PlannedAction::retry_saga});
                const bool back = state_.steps.at(child.path).status == StepStatus::compensating;
                expect(child_ends(child.path, back ? SagaStatus::failed : SagaStatus::completed));
              },
              [](const TellParent&) {}},
        effect);
  }

  void note_call(const CallParticipant& call) {
    const auto action = call.phase == Phase::compensate ? PlannedAction::undo
                        : call.phase == Phase::forward  ? PlannedAction::run
                                                        : PlannedAction::probe;
    plan_.steps.push_back({call.path, action, request_of(call.path, call.phase)});
    expect(answer_to(call));
  }

  void expect(StimulusBody body) { expected_.push_back(std::move(body)); }

  StimulusBody answer_to(const CallParticipant& call) {
    CallResult result = Response{200, {}, Json::object()};
    const auto found = answers_.steps.find(standing_of(*program_.definition, call.path).step);
    if (found != answers_.steps.end()) {
      const auto& list = found->second.of(call.phase);
      const auto success = std::find_if(list.begin(), list.end(), [](const Answer& answer) {
        return answer.meaning == Meaning::success;
      });
      if (success != list.end()) result = success->result;
    }
    return CallEnded{call.path, call.phase, call.attempt, std::move(result)};
  }

  StimulusBody child_ends(const StepPath& path, SagaStatus status) {
    ChildChanged changed{state_.steps.at(path).child->id, status, nullptr, std::nullopt};
    if (status == SagaStatus::failed)
      changed.failure = Failure{"CANCELLED", "cancelled", "", "", nullptr};
    const auto found = answers_.steps.find(standing_of(*program_.definition, path).step);
    if (status != SagaStatus::completed || found == answers_.steps.end()) return changed;
    for (const auto& answer : found->second.child) {
      if (answer.status != SagaStatus::completed) continue;
      changed.output = answer.output;
      break;
    }
    return changed;
  }

  /// What comes next: an answer, a signal, or time. @return false: nothing does
  bool move() {
    if (!expected_.empty()) {
      StimulusBody next = std::move(expected_.front());
      expected_.pop_front();
      return decide_on(std::move(next)).has_value();
    }
    if (auto signal = awaited_signal()) return decide_on(std::move(*signal)).has_value();
    const auto wake = is_active(state_) ? next_wake(state_) : std::nullopt;
    if (!wake) return false;
    now_ = std::max(now_, *wake);
    return decide_on(Tick{}).has_value();
  }

  std::optional<StimulusBody> awaited_signal() {
    if (state_.status == SagaStatus::suspended) return std::nullopt;
    for (const auto& path : state_.open) {
      if (state_.steps.at(path).status != StepStatus::waiting || !asked_.insert(path).second)
        continue;
      const auto found = answers_.steps.find(standing_of(*program_.definition, path).step);
      if (found == answers_.steps.end()) continue;
      for (const auto& answer : found->second.signals) {
        if (answer.admitted) return answer.signal;
      }
    }
    return std::nullopt;
  }

  const Program& program_;
  SagaState state_;
  TimePoint now_;
  Answers answers_;
  Masking masking_;
  Plan plan_;
  std::deque<StimulusBody> expected_;
  std::set<StepPath> asked_;
};

}  // namespace

const char* to_text(PlannedAction action) {
  switch (action) {
    case PlannedAction::await:
      return "await";
    case PlannedAction::run:
      return "run";
    case PlannedAction::probe:
      return "probe";
    case PlannedAction::wait:
      return "wait";
    case PlannedAction::start_saga:
      return "start-saga";
    case PlannedAction::undo:
      return "undo";
    case PlannedAction::undo_saga:
      return "undo-saga";
    case PlannedAction::retry_saga:
      return "retry-saga";
  }
  return "";
}

Result<Plan> plan_of(const Program& program, SagaState state, StimulusBody command, TimePoint now) {
  return Planner(program, std::move(state), now).plan(std::move(command));
}

}  // namespace backstitch::engine::explore

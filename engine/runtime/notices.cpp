#include "notices.hpp"

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/engine/machine/masking.hpp>

namespace backstitch::engine {
namespace {

/// A compensation is told of with its third attempt that failed: once a budget.
constexpr std::uint32_t failing_attempts = 3;
constexpr std::size_t steps_named_max = 10;

/// The stored form of the event with what is sensitive masked: there is one place for that.
Json masked_data(const dsl::Definition& definition, const SagaState& state, const Event& event) {
  return dsl::stored_json(Masking(definition, state).masked(encode(event, Sequence{})).data);
}

/// The last attempt of a budget is told of by what follows.
bool keeps_failing(const Event& event, const AttemptFailed& failed, const SagaState& state) {
  if (failed.phase != Phase::compensate || event.attempt.unsent || !failed.retry_at) return false;
  const CallState& call = state.steps.find(failed.path)->second.undo;
  return failed.attempt - call.attempts_before == failing_attempts;
}

std::string left_over(const SagaState& state) {
  std::string text;
  std::size_t named = 0;
  for (const auto& [path, step] : state.steps) {
    const bool left =
        step.status == StepStatus::compensation_failed || step.undo_given_up || step.left_over;
    if (!left) continue;
    if (++named > steps_named_max) return text + ", and more";
    text += (named == 1 ? "not undone: " : ", ") + path;
  }
  return text;
}

std::optional<Notice> of_attempt(const Event& event, const AttemptFailed& failed,
                                 const SagaState& state) {
  Notice notice{.step = failed.path, .phase = to_text(failed.phase), .reason = failed.failure.code};
  if (event.attempt.needs_person) {
    notice.event = "saga-held-up";
  } else if (keeps_failing(event, failed, state)) {
    notice.level = Level::warning;
    notice.event = "compensation-failing";
  } else {
    return std::nullopt;
  }
  return notice;
}

Notice of_suspension(const SagaSuspended& suspended, const Json& data) {
  const Suspension& one = suspended.suspension;
  // An operator who suspends a saga knows of it.
  return {.level = one.by_operator ? Level::info : Level::error,
          .event = "saga-suspended",
          .step = one.step,
          .phase = to_text(one.phase),
          .reason = one.reason,
          .message = data.value("message", "")};
}

}  // namespace

void Notice::tell(Observer& observer, SagaId saga) const {
  observer.note(level, event,
                {{"saga", saga.text()},
                 {"definition", definition},
                 {"step", step},
                 {"phase", phase},
                 {"reason", reason},
                 {"message", message}});
}

std::vector<Notice> notices_of(const dsl::Definition& definition, const Transition& transition) {
  std::vector<Notice> all;
  const SagaState& state = transition.next;
  for (const auto& event : transition.events) {
    const std::size_t before = all.size();
    if (const auto* suspended = std::get_if<SagaSuspended>(&event.body)) {
      all.push_back(of_suspension(*suspended, masked_data(definition, state, event)));
    } else if (const auto* ended = std::get_if<SagaEnded>(&event.body)) {
      if (ended->status == SagaStatus::failed_incomplete)
        all.push_back({.event = "saga-failed-incomplete",
                       .reason = state.failure ? state.failure->code : "",
                       .message = left_over(state)});
    } else if (const auto* failed = std::get_if<AttemptFailed>(&event.body)) {
      if (auto notice = of_attempt(event, *failed, state)) {
        notice->message = masked_data(definition, state, event)["failure"].value("message", "");
        all.push_back(std::move(*notice));
      }
    }
    if (all.size() > before) all.back().definition = state.definition;
  }
  return all;
}

}  // namespace backstitch::engine

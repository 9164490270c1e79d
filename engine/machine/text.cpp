#include <backstitch/base/match.hpp>
#include <backstitch/engine/machine/text.hpp>

namespace backstitch::engine {
namespace {

std::string event_text(const Event& event) {
  std::string text(type_name(event));
  if (const auto& path = path_of(event); !path.empty()) text += " " + path;
  std::visit(Match{[&](const AttemptStarted& e) {
                     text += std::string(" ") + to_text(e.phase) + " #" + std::to_string(e.attempt);
                   },
                   [&](const AttemptFailed& e) {
                     text += std::string(" ") + to_text(e.phase) + " #" +
                             std::to_string(e.attempt) + " " + dsl::to_text(e.outcome);
                     if (e.retry_at)
                       text += " again in " + backstitch::to_text(*e.retry_at - event.at);
                   },
                   [&](const StepFailed& e) { text += " " + e.failure.code; },
                   [&](const StepUnknown& e) { text += " " + e.failure.code; },
                   [&](const CompensationStarted& e) { text += " " + e.failure.code; },
                   [&](const StepCompensationFailed& e) { text += " " + e.failure.code; },
                   [&](const StepCompensationSkipped& e) { text += " " + e.reason; },
                   [&](const SagaSuspended& e) { text += " " + e.suspension.reason; },
                   [&](const OperatorActed& e) { text += " " + e.action; },
                   [&](const SagaEnded& e) { text += std::string(" ") + to_text(e.status); },
                   [](const SagaStarted&) {},
                   [](const StepScheduled&) {},
                   [](const StepSkipped&) {},
                   [](const StepSucceeded&) {},
                   [](const ProbeScheduled&) {},
                   [](const StepCompensationScheduled&) {},
                   [](const StepCompensated&) {},
                   [](const HandlersStarted&) {},
                   [](const CancelRequested&) {},
                   [](const DeadlinePassed&) {},
                   [](const Resumed&) {}},
             event.body);
  return text;
}

}  // namespace

std::string to_text(const Transition& transition) {
  if (transition.refused) return "refused " + transition.refused->reason;
  std::string text;
  for (const auto& event : transition.events)
    text += (text.empty() ? "" : ", ") + event_text(event);
  for (const auto& effect : transition.effects) {
    const auto& call = std::get<CallParticipant>(effect);
    text +=
        " | call " + call.path + " " + to_text(call.phase) + " #" + std::to_string(call.attempt);
  }
  return text;
}

}  // namespace backstitch::engine

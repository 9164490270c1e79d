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
                   [&](const OperatorActed& e) {
                     text += " " + e.action;
                     if (!e.resolution.empty()) text += " " + e.resolution;
                   },
                   [&](const SagaEnded& e) { text += std::string(" ") + to_text(e.status); },
                   [&](const IterationEnded& e) {
                     text += " #" + std::to_string(e.index);
                     if (e.failure) text += " " + e.failure->code;
                   },
                   [&](const TryFailed& e) { text += " " + e.failure.code; },
                   [&](const CatchStarted& e) { text += " #" + std::to_string(e.index); },
                   [&](const CatchPassedOver& e) { text += " #" + std::to_string(e.index); },
                   [&](const BlockStarted& e) {
                     if (e.chosen != 0) text += " #" + std::to_string(e.chosen);
                     if (e.items.is_array())
                       text += " " + std::to_string(e.items.size()) + " items";
                   },
                   [&](const StepWaiting& e) {
                     if (e.until) text += " for " + backstitch::to_text(*e.until - event.at);
                   },
                   [&](const SignalReceived& e) { text += " " + e.name; },
                   [&](const SagaReopened& e) { text += " " + e.failure.code; },
                   [&](const StepSucceeded& e) {
                     if (e.failure) text += " but " + e.failure->code;
                   },
                   [&](const ChildScheduled& e) { text += " " + e.child.definition; },
                   [](const SagaStarted&) {},
                   [](const StepScheduled&) {},
                   [](const ChildStopped&) {},
                   [](const SignalConsumed&) {},
                   [&](const SignalDropped& e) { text += " " + e.reason; },
                   [](const CallbackReceived&) {},
                   [](const CallbackRefused&) {},
                   [](const QuietPeriodEnded&) {},
                   [](const ChildUndoScheduled&) {},
                   [](const StepSkipped&) {},
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

std::string effect_text(const Effect& effect) {
  return std::visit(Match{[](const CallParticipant& e) {
                            return "call " + e.path + " " + to_text(e.phase) + " #" +
                                   std::to_string(e.attempt);
                          },
                          [](const StartChild& e) { return "start child " + e.path; },
                          [](const CancelChild& e) { return "cancel child " + e.path; },
                          [](const UndoChild& e) { return "undo child " + e.path; },
                          [](const RetryChild& e) { return "retry child " + e.path; },
                          [](const TellParent&) { return std::string("tell parent"); }},
                    effect);
}

}  // namespace

std::string to_text(const Transition& transition) {
  std::string text;
  if (transition.refused) text = "refused " + transition.refused->reason;
  if (transition.repeated) text = "repeated";
  for (const auto& event : transition.events)
    text += (text.empty() ? "" : ", ") + event_text(event);
  for (const auto& effect : transition.effects) text += " | " + effect_text(effect);
  return text;
}

}  // namespace backstitch::engine

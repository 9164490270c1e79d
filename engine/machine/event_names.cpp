#include <type_traits>
#include <utility>

#include <backstitch/base/match.hpp>
#include <backstitch/engine/machine/event.hpp>

namespace backstitch::engine {

std::string_view type_name(const Event& event) {
  return std::visit(
      Match{[](const SagaStarted&) { return "SagaStarted"; },
            [](const StepScheduled&) { return "StepScheduled"; },
            [](const ChildScheduled&) { return "ChildScheduled"; },
            [](const ChildStopped&) { return "ChildStopped"; },
            [](const BlockStarted&) { return "BlockStarted"; },
            [](const IterationEnded&) { return "IterationEnded"; },
            [](const TryFailed&) { return "TryFailed"; },
            [](const CatchStarted&) { return "CatchStarted"; },
            [](const CatchPassedOver&) { return "CatchPassedOver"; },
            [](const StepWaiting&) { return "StepWaiting"; },
            [](const SignalReceived&) { return "SignalReceived"; },
            [](const SignalConsumed&) { return "SignalConsumed"; },
            [](const SignalDropped&) { return "SignalDropped"; },
            [](const CallbackReceived&) { return "CallbackReceived"; },
            [](const CallbackRefused&) { return "CallbackRefused"; },
            [](const StepSkipped&) { return "StepSkipped"; },
            [](const AttemptStarted&) { return "AttemptStarted"; },
            [](const AttemptFailed&) { return "AttemptFailed"; },
            [](const StepSucceeded&) { return "StepSucceeded"; },
            [](const StepFailed&) { return "StepFailed"; },
            [](const StepUnknown&) { return "StepUnknown"; },
            [](const QuietPeriodEnded&) { return "QuietPeriodEnded"; },
            [](const ProbeScheduled&) { return "ProbeScheduled"; },
            [](const CompensationStarted&) { return "CompensationStarted"; },
            [](const StepCompensationScheduled&) { return "StepCompensationScheduled"; },
            [](const ChildUndoScheduled&) { return "ChildUndoScheduled"; },
            [](const StepCompensated&) { return "StepCompensated"; },
            [](const StepCompensationFailed&) { return "StepCompensationFailed"; },
            [](const StepCompensationSkipped&) { return "StepCompensationSkipped"; },
            [](const HandlersStarted&) { return "HandlersStarted"; },
            [](const CancelRequested&) { return "CancelRequested"; },
            [](const DeadlinePassed&) { return "DeadlinePassed"; },
            [](const SagaSuspended&) { return "SagaSuspended"; },
            [](const OperatorActed&) { return "OperatorActed"; },
            [](const Resumed&) { return "Resumed"; },
            [](const SagaReopened&) { return "SagaReopened"; },
            [](const SagaEnded&) { return "SagaEnded"; }},
      event.body);
}

const StepPath& path_of(const Event& event) {
  static const StepPath none;
  return std::visit(
      [](const auto& body) -> const StepPath& {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, SagaSuspended>)
          return body.suspension.step;
        else if constexpr (requires { body.path; })
          return body.path;
        else
          return none;
      },
      event.body);
}

const Failure* failure_of(const EventBody& body) {
  return std::visit(
      [](const auto& event) -> const Failure* {
        if constexpr (requires { event.failure.details; })
          return &event.failure;
        else if constexpr (requires { event.failure->details; })
          return event.failure ? &*event.failure : nullptr;
        else
          return nullptr;
      },
      body);
}

Failure* failure_of(EventBody& body) {
  return const_cast<Failure*>(failure_of(std::as_const(body)));
}

bool keeps_failure(const EventBody& body) {
  return !std::holds_alternative<AttemptFailed>(body);
}

}  // namespace backstitch::engine

#include <array>

#include <backstitch/base/invariant.hpp>
#include <backstitch/engine/machine/state.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::engine {
namespace {

template <class Enum, std::size_t Size>
using Names = std::array<std::pair<Enum, const char*>, Size>;

constexpr Names<SagaStatus, 6> saga_statuses{{{SagaStatus::running, "RUNNING"},
                                              {SagaStatus::compensating, "COMPENSATING"},
                                              {SagaStatus::completed, "COMPLETED"},
                                              {SagaStatus::failed, "FAILED"},
                                              {SagaStatus::failed_incomplete, "FAILED_INCOMPLETE"},
                                              {SagaStatus::suspended, "SUSPENDED"}}};
constexpr Names<StepStatus, 11> step_statuses{
    {{StepStatus::pending, "pending"},
     {StepStatus::skipped, "skipped"},
     {StepStatus::running, "running"},
     {StepStatus::waiting, "waiting"},
     {StepStatus::succeeded, "succeeded"},
     {StepStatus::failed, "failed"},
     {StepStatus::unknown, "unknown"},
     {StepStatus::compensating, "compensating"},
     {StepStatus::compensated, "compensated"},
     {StepStatus::compensation_failed, "compensation-failed"},
     {StepStatus::compensation_skipped, "compensation-skipped"}}};
constexpr Names<Phase, 4> phases{{{Phase::forward, "forward"},
                                  {Phase::probe, "probe"},
                                  {Phase::poll, "poll"},
                                  {Phase::compensate, "compensate"}}};
constexpr Names<Lack, lack_count> lacks{{{Lack::queue_place, "queue-full"},
                                         {Lack::shard, "shard-leaving"},
                                         {Lack::descriptor, "descriptors"},
                                         {Lack::port, "ports"},
                                         {Lack::memory, "memory"},
                                         {Lack::secret, "secret-missing"}}};
constexpr Names<SuspensionCause, 3> suspension_causes{
    {{SuspensionCause::step, "step"},
     {SuspensionCause::child_suspended, "child-suspended"},
     {SuspensionCause::child_incomplete, "child-incomplete"}}};

template <class Enum, std::size_t Size>
const char* name_of(const Names<Enum, Size>& names, Enum value) {
  for (const auto& [candidate, name] : names) {
    if (candidate == value) return name;
  }
  throw InvariantViolation("an enumerator without a name");
}

template <class Enum, std::size_t Size>
std::optional<Enum> value_of(const Names<Enum, Size>& names, std::string_view text) {
  for (const auto& [candidate, name] : names) {
    if (text == name) return candidate;
  }
  return std::nullopt;
}

}  // namespace

const char* to_text(SagaStatus status) {
  return name_of(saga_statuses, status);
}
const char* to_text(StepStatus status) {
  return name_of(step_statuses, status);
}
const char* to_text(Lack lack) {
  return name_of(lacks, lack);
}
const char* to_text(Phase phase) {
  return name_of(phases, phase);
}
const char* to_text(SuspensionCause cause) {
  return name_of(suspension_causes, cause);
}
std::optional<SuspensionCause> parse_suspension_cause(std::string_view text) {
  return value_of(suspension_causes, text);
}
std::optional<SagaStatus> parse_saga_status(std::string_view text) {
  return value_of(saga_statuses, text);
}
std::optional<StepStatus> parse_step_status(std::string_view text) {
  return value_of(step_statuses, text);
}
std::optional<Phase> parse_phase(std::string_view text) {
  return value_of(phases, text);
}

bool is_terminal(SagaStatus status) {
  return status == SagaStatus::completed || status == SagaStatus::failed ||
         status == SagaStatus::failed_incomplete;
}

Json to_json(const Failure& failure) {
  return {{"code", failure.code},
          {"class", failure.failure_class},
          {"message", failure.message},
          {"step", failure.step.empty() ? Json() : Json(failure.step)},
          {"details", failure.details}};
}

Failure failure_from_json(const Json& json) {
  Failure failure;
  const auto text = [&](const char* member) {
    const auto found = json.find(member);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  failure.code = text("code");
  failure.failure_class = text("class");
  failure.message = text("message");
  failure.step = text("step");
  if (const auto details = json.find("details"); details != json.end()) failure.details = *details;
  return failure;
}

CallState& call_of(StepState& step, Phase phase) {
  switch (phase) {
    case Phase::forward:
      return step.forward;
    case Phase::probe:
      return step.probe;
    case Phase::poll:
      return step.poll;
    case Phase::compensate:
      return step.undo;
  }
  throw InvariantViolation("unknown phase");
}

const CallState& call_of(const StepState& step, Phase phase) {
  return call_of(const_cast<StepState&>(step), phase);
}

}  // namespace backstitch::engine

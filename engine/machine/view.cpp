#include <backstitch/base/match.hpp>
#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/masking.hpp>

namespace backstitch::engine {
namespace {

Json time_json(const std::optional<TimePoint>& time) {
  return time ? Json(to_rfc3339(*time)) : Json();
}

template <class T>
Json failure_json(const std::optional<T>& failure) {
  return failure ? to_json(*failure) : Json();
}

Json compensation_json(const StepState& step) {
  Json json{
      {"status", "pending"},
      {"attempts", step.undo.attempts},
      {"startedAt", time_json(step.undo_started_at)},
      {"endedAt", time_json(step.undo_ended_at)},
      {"nextAttemptAt", time_json(step.undo.retry_at)},
      {"failure", step.undo_failure ? to_json(*step.undo_failure) : failure_json(step.undo.last)}};
  switch (step.status) {
    case StepStatus::compensating:
      json["status"] = "running";
      break;
    case StepStatus::compensated:
      json["status"] = "compensated";
      json["failure"] = nullptr;
      break;
    case StepStatus::compensation_failed:
      json["status"] = "compensation-failed";
      break;
    case StepStatus::compensation_skipped:
      json["status"] = "compensation-skipped";
      break;
    case StepStatus::pending:
    case StepStatus::skipped:
    case StepStatus::running:
    case StepStatus::waiting:
    case StepStatus::succeeded:
    case StepStatus::failed:
    case StepStatus::unknown:
      break;
  }
  return json;
}

const char* type_of(const dsl::Step& step) {
  return std::visit(
      Match{[](const dsl::Action&) { return "action"; }, [](const dsl::SubSaga&) { return "saga"; },
            [](const dsl::Parallel&) { return "parallel"; },
            [](const dsl::Switch&) { return "switch"; },
            [](const dsl::ForEach&) { return "forEach"; }, [](const dsl::Try&) { return "try"; },
            [](const dsl::Wait&) { return "wait"; }, [](const dsl::Sleep&) { return "sleep"; },
            [](const dsl::Value&) { return "value"; }, [](const dsl::Fail&) { return "fail"; }},
      step.body);
}

bool has_kind(const dsl::Step& step) {
  return std::holds_alternative<dsl::Action>(step.body) ||
         std::holds_alternative<dsl::SubSaga>(step.body);
}

Json step_json(const dsl::Step& definition, const StepPath& path, const StepState& step) {
  Json json{{"name", definition.name},
            {"path", path},
            {"type", type_of(definition)},
            {"kind", has_kind(definition) ? Json(dsl::to_text(definition.kind)) : Json()},
            {"status", to_text(step.status)},
            {"attempts", step.forward.attempts},
            {"startedAt", time_json(step.started_at)},
            {"endedAt", time_json(step.ended_at)},
            {"nextAttemptAt", time_json(step.forward.retry_at)},
            {"output", step.output},
            {"failure", failure_json(step.failure)}};
  if (step.status == StepStatus::running && !step.failure)
    json["failure"] = failure_json(step.forward.last);
  if (step.probe.attempts > 0) json["probeAttempts"] = step.probe.attempts;
  if (std::holds_alternative<dsl::Compensation>(definition.undo))
    json["compensation"] = compensation_json(step);
  else
    json["compensation"] = nullptr;
  return json;
}

Json suspension_json(const Suspension& suspension) {
  return {{"reason", suspension.reason},
          {"message", suspension.message},
          {"step", suspension.step.empty() ? Json() : Json(suspension.step)},
          {"phase", to_text(suspension.phase)},
          {"since", to_rfc3339(suspension.since)},
          {"from", to_text(suspension.from)}};
}

void add_steps(Json& list, const dsl::Steps& steps, const std::string& prefix,
               const SagaState& state, bool pending_too) {
  static const StepState pending;
  for (const auto& step : steps) {
    const StepPath path = prefix + step.name;
    const auto found = state.steps.find(path);
    if (found == state.steps.end() && !pending_too) continue;
    list.push_back(step_json(step, path, found == state.steps.end() ? pending : found->second));
  }
}

/// Not the whole view: a sensitive year would hide every time.
void mask(const Masking& masking, Json& view) {
  for (const char* member : {"input", "output", "failure", "suspension", "labels", "businessKey"})
    masking.apply(view[member]);
  for (Json& step : view["steps"]) {
    masking.apply(step["output"]);
    masking.apply(step["failure"]);
    if (step["compensation"].is_object()) masking.apply(step["compensation"]["failure"]);
  }
}

}  // namespace

Json view(const dsl::Definition& definition, const SagaState& state) {
  Json steps = Json::array();
  add_steps(steps, definition.steps, "", state, true);
  // Handlers are of interest only once they run.
  add_steps(steps, definition.on_failure, "onFailure/", state, state.handlers_started);
  Json view{{"id", state.id.text()},
            {"definition", state.definition},
            {"version", state.version},
            {"status", to_text(state.status)},
            {"businessKey", state.business_key ? Json(*state.business_key) : Json()},
            {"labels", state.labels},
            {"input", definition.input ? definition.input->masked(state.input) : state.input},
            {"output", state.output},
            {"failure", failure_json(state.failure)},
            {"suspension", state.suspension ? suspension_json(*state.suspension) : Json()},
            {"pivotPassed", state.pivot_passed},
            {"cancelRequested", state.cancel_requested},
            {"startedAt", to_rfc3339(state.started_at)},
            {"endedAt", time_json(state.ended_at)},
            {"deadline", time_json(state.deadline)},
            {"parent", nullptr},
            {"steps", std::move(steps)}};
  mask(Masking(definition, state.input), view);
  return view;
}

}  // namespace backstitch::engine

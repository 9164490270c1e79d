#include "scope.hpp"

namespace backstitch::engine {
namespace {

const StepState* find_step(const SagaState& state, std::string_view name) {
  if (const auto found = state.steps.find(name); found != state.steps.end()) return &found->second;
  for (const char* handlers : {"onFailure/", "onSuspended/"}) {
    const auto found = state.steps.find(handlers + std::string(name));
    if (found != state.steps.end()) return &found->second;
  }
  return nullptr;
}

Json time_json(const std::optional<TimePoint>& time) {
  return time ? Json(to_rfc3339(*time)) : Json();
}

}  // namespace

void SagaScope::set_response(const Response& response) {
  Json headers = Json::object();
  for (const auto& [name, value] : response.headers) headers[name] = value;
  extra_["response"] = {
      {"status", response.status}, {"headers", std::move(headers)}, {"body", response.body}};
}

const Json* SagaScope::find(std::string_view name) const {
  if (name == "input") return &state_.input;
  if (name == "saga") return &state_.saga_view;
  const auto found = extra_.find(name);
  return found == extra_.end() ? nullptr : &found->second;
}

const Json* SagaScope::step(std::string_view name) const {
  if (const auto known = steps_.find(name); known != steps_.end()) return &known->second;
  const StepState* step = find_step(state_, name);
  if (step == nullptr || !step->succeeded) return nullptr;
  Json view{{"output", step->output},
            {"status", to_text(step->status)},
            {"startedAt", time_json(step->started_at)},
            {"completedAt", time_json(step->ended_at)},
            {"attempts", step->forward.attempts}};
  return &steps_.emplace(name, std::move(view)).first->second;
}

const Json* SagaScope::step_output(std::string_view name) const {
  const StepState* step = find_step(state_, name);
  return step != nullptr && step->succeeded ? &step->output : nullptr;
}

Json forward_self(const std::string& key) {
  return {{"key", key}};
}

Json undo_self(const StepState& step, const std::string& key) {
  return {{"key", key},
          {"outcome", step.effect_unknown ? "unknown" : "succeeded"},
          {"output", step.effect_unknown ? Json() : step.output},
          {"captured", step.captured}};
}

}  // namespace backstitch::engine

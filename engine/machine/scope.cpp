#include "scope.hpp"

namespace backstitch::engine {
Json time_json(const std::optional<TimePoint>& time) {
  return time ? Json(to_rfc3339(*time)) : Json();
}

SagaScope::SagaScope(const Program& program, const SagaState& state,
                     const std::vector<Frame>& frames, const std::vector<std::uint32_t>& indexes,
                     dsl::Meter* meter)
    : SagaScope(program, state, meter) {
  indexes_ = indexes;
  for (const auto& frame : frames) {
    const auto* loop = std::get_if<dsl::ForEach>(&frame.block->body);
    if (loop == nullptr) continue;
    const auto block = state.blocks.find(frame.path);
    if (block == state.blocks.end()) continue;
    items_[loop->as] = &block->second.items[frame.index];
    if (!loop->index_as.empty()) extra_[loop->index_as] = frame.index;
  }
}

const StepState* SagaScope::find_step(std::string_view name) const {
  if (const auto found = state_.steps.find(name); found != state_.steps.end())
    return &found->second;
  const auto found = state_.steps.find(path_of_name(definition_, name, indexes_));
  return found == state_.steps.end() ? nullptr : &found->second;
}

void SagaScope::set_response(const Response& response, const char* from) {
  Json headers = Json::object();
  for (const auto& [name, value] : response.headers) headers[name] = value;
  extra_["response"] = {{"status", response.status},
                        {"headers", std::move(headers)},
                        {"body", response.body},
                        {"unreadable", !response.unreadable.empty()},
                        {"from", from}};
  unreadable_ = response.unreadable;
}

const Json* SagaScope::find(std::string_view name) const {
  if (name == "input") return &state_.input;
  if (name == "saga") return &state_.saga_view;
  if (const auto found = extra_.find(name); found != extra_.end()) return &found->second;
  const auto found = items_.find(name);
  return found == items_.end() ? nullptr : found->second;
}

const Json* SagaScope::step(std::string_view name) const {
  if (const auto known = steps_.find(name); known != steps_.end()) return &known->second;
  const StepState* step = find_step(name);
  if (step == nullptr || !step->succeeded) return nullptr;
  Json view{{"output", step->output},
            {"status", to_text(step->status)},
            {"startedAt", time_json(step->started_at)},
            {"completedAt", time_json(step->ended_at)},
            {"attempts", step->forward.attempts}};
  return &steps_.emplace(name, std::move(view)).first->second;
}

const Json* SagaScope::step_output(std::string_view name) const {
  const StepState* step = find_step(name);
  return step != nullptr && step->succeeded ? &step->output : nullptr;
}

Json forward_self(const std::string& key, const std::string& callback_url) {
  Json self{{"key", key}};
  if (!callback_url.empty()) self["callbackUrl"] = callback_url;
  return self;
}

Json undo_self(const StepState& step, const std::string& key) {
  return {{"key", key},
          {"outcome", step.effect_unknown ? "unknown" : "succeeded"},
          {"output", step.effect_unknown ? Json() : step.output},
          {"captured", step.captured}};
}

}  // namespace backstitch::engine

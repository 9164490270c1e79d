#pragma once
/// The whole of a saga's state as JSON, but for what only saves walking (BlockState::undo_*): two
/// states with the same digest are the same saga.
#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::test {

inline Json digest(const std::optional<TimePoint>& time) {
  return time ? Json(time->time_since_epoch().count()) : Json();
}
inline Json digest(const std::optional<engine::Failure>& failure) {
  return failure ? engine::to_json(*failure) : Json();
}

inline Json digest(const engine::CallState& call) {
  Json json{{"attempts", call.attempts},        {"before", call.attempts_before},
            {"inFlight", call.in_flight},       {"unknownSeen", call.unknown_seen},
            {"firstAt", digest(call.first_at)}, {"retryAt", digest(call.retry_at)},
            {"last", digest(call.last)},        {"request", nullptr}};
  if (call.request) {
    const auto& request = *call.request;
    json["request"] = {request.service,     request.method,   request.target,
                       request.headers,     request.body,     request.key,
                       request.compensates, request.callback, request.attempt_timeout.count()};
  }
  return json;
}

inline Json digest(const engine::StepState& step) {
  Json json{{"status", to_text(step.status)},
            {"forward", digest(step.forward)},
            {"probe", digest(step.probe)},
            {"poll", digest(step.poll)},
            {"undo", digest(step.undo)},
            {"output", step.output},
            {"captured", step.captured},
            {"failure", digest(step.failure)},
            {"undoFailure", digest(step.undo_failure)},
            {"flags",
             {step.succeeded, step.effect_unknown, step.undo_given_up, step.callback_used,
              step.child_stopped}},
            {"token", step.callback_token},
            {"settled", step.settled_sequence},
            {"times",
             {digest(step.undo_not_before), digest(step.timeout_at), digest(step.wait_until),
              digest(step.started_at), digest(step.ended_at), digest(step.undo_started_at),
              digest(step.undo_ended_at)}}};
  if (step.child) {
    json["child"] = {step.child->id.text(), step.child->definition, step.child->version,
                     step.child->input, step.child->business_key.value_or("")};
  }
  return json;
}

inline Json digest(const engine::BlockState& block) {
  Json failures = Json::array();
  for (const auto& failure : block.failures) failures.push_back(engine::to_json(failure));
  return {{"chosen", block.chosen},
          {"failures", std::move(failures)},
          {"caught", digest(block.caught)},
          {"catch", block.catch_chosen ? Json(*block.catch_chosen) : Json()},
          {"items", block.items},
          {"keys", block.keys},
          {"yields", block.yields},
          {"next", block.next},
          {"open", block.open}};
}

inline Json digest(const engine::SagaState& state) {
  Json steps = Json::object();
  for (const auto& [path, step] : state.steps) steps[path] = digest(step);
  Json blocks = Json::object();
  for (const auto& [path, block] : state.blocks) blocks[path] = digest(block);
  Json signals = Json::array();
  for (const auto& s : state.signals) {
    signals.push_back(
        {s.sequence, s.name, s.payload, s.by, s.roles, s.at.time_since_epoch().count()});
  }
  Json suspensions = Json::array();
  for (const auto& s : state.suspensions) {
    suspensions.push_back({s.reason, s.message, s.step, to_text(s.phase),
                           s.since.time_since_epoch().count(), to_text(s.from)});
  }
  return {
      {"id", state.id.text()},
      {"status", to_text(state.status)},
      {"input", state.input},
      {"labels", state.labels},
      {"key", state.business_key.value_or("")},
      {"output", state.output},
      {"failure", digest(state.failure)},
      {"suspensions", std::move(suspensions)},
      {"parent", state.parent
                     ? Json{state.parent->saga.text(), state.parent->step, state.parent->depth}
                     : Json()},
      {"flags",
       {state.pivot_sent, state.pivot_passed, state.cancel_requested, state.deadline_passed,
        state.handlers_started}},
      {"times",
       {digest(std::optional(state.started_at)), digest(state.ended_at), digest(state.deadline)}},
      {"sequence", state.sequence.get()},
      {"resumes", state.resumes_without_progress},
      {"suspendedTimes", state.suspended_times},
      {"steps", std::move(steps)},
      {"blocks", std::move(blocks)},
      {"open", state.open},
      {"signals", std::move(signals)},
      {"bytes", state.bytes},
      {"view", state.saga_view}};
}

}  // namespace backstitch::test

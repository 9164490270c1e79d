#pragma once
/// The whole of a saga's state as text, but for what only saves walking (BlockState::undo_*): two
/// states with the same digest are the same saga. A text, as JSON objects would take most of the
/// time of the tests that compare states after every transition.
#include <concepts>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::test {

class DigestWriter {
 public:
  template <class... Values>
  void line(const char* name, const Values&... values) {
    text_ += name;
    (put(values), ...);
    text_ += '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  void put(std::integral auto value) { text_ += ' ' + std::to_string(value); }
  /// With its size, so that no text can look like two.
  void put(const std::string& value) { text_ += ' ' + std::to_string(value.size()) + ':' + value; }
  void put(const char* value) { put(std::string(value)); }
  void put(const Json& value) { put(value.dump()); }
  void put(TimePoint value) { put(value.time_since_epoch().count()); }
  void put(engine::StepStatus value) { put(to_text(value)); }
  void put(const engine::Failure& value) {
    for (const std::string* part :
         {&value.code, &value.failure_class, &value.message, &value.step}) {
      put(*part);
    }
    put(value.details);
  }
  template <class First, class Second>
  void put(const std::pair<First, Second>& value) {
    put(value.first);
    put(value.second);
  }
  template <class Value>
  void put(const std::optional<Value>& value) {
    if (value)
      put(*value);
    else
      text_ += " -";
  }
  template <class Value>
  void put(const std::vector<Value>& values) {
    put_all(values);
  }
  template <class Value, class Less>
  void put(const std::set<Value, Less>& values) {
    put_all(values);
  }
  void put(const std::map<std::string, std::string>& values) { put_all(values); }
  void put_all(const auto& values) {
    text_ += " [";
    for (const auto& value : values) put(value);
    text_ += " ]";
  }

  std::string text_;
};

inline void write_digest(DigestWriter& out, const char* name, const engine::CallState& call) {
  out.line(name, call.attempts, call.attempts_before, call.unknowns, call.in_flight,
           call.unknown_seen, call.last_attempt, call.sent_at, call.first_at, call.retry_at,
           call.last);
  if (!call.request) return;
  const auto& request = *call.request;
  out.line("  request", request.service, request.method, request.target, request.headers,
           request.body, request.key, request.compensates, request.probes, request.callback,
           request.attempt_timeout.count());
}

inline void write_digest(DigestWriter& out, const std::string& path,
                         const engine::StepState& step) {
  out.line("step", path, step.key, step.status, step.output, step.captured, step.failure,
           step.undo_failure, step.succeeded, step.effect_unknown, step.undo_given_up,
           step.left_over, step.callback_used, step.callback_noted, step.callback_refused,
           step.child_stopped, step.callback_token, step.callback_body, step.settled_sequence,
           step.undo_not_before, step.timeout_at, step.wait_until, step.started_at, step.ended_at,
           step.undo_started_at, step.undo_ended_at);
  write_digest(out, " forward", step.forward);
  write_digest(out, " probe", step.probe);
  // How often and when it was asked is not in the log.
  engine::CallState poll = step.poll;
  poll.attempts = 0;
  poll.sent_at = {};
  write_digest(out, " poll", poll);
  out.line(" polled", step.poll_every.count(), step.poll_notes);
  write_digest(out, " undo", step.undo);
  if (step.child) {
    out.line(" child", step.child->id.text(), step.child->definition, step.child->version,
             step.child->input, step.child->business_key);
  }
}

inline std::string digest(const engine::SagaState& state) {
  DigestWriter out;
  out.line("saga", state.id.text(), state.root, state.definition, state.version,
           to_text(state.status), state.input, state.labels, state.business_key, state.output,
           state.failure, state.pivot_sent, state.pivot_passed, state.cancel_requested,
           state.deadline_passed, state.handlers_started, state.started_at, state.ended_at,
           state.deadline, state.sequence.get(), state.resumes_without_progress,
           state.suspended_times, state.open, state.bytes, state.details_bytes, state.commands,
           state.saga_view);
  if (state.parent)
    out.line("parent", state.parent->saga.text(), state.parent->step, state.parent->depth);
  for (const auto& s : state.suspensions)
    out.line("suspension", s.reason, s.message, s.step, to_text(s.phase), s.since, to_text(s.from),
             s.by_operator, to_text(s.cause));
  for (const auto& s : state.signals)
    out.line("signal", s.sequence, s.name, s.payload, s.by, s.roles, s.at);
  for (const auto& one : state.acted)
    out.line("acted", one.at, one.action, one.step, one.as, one.by, one.reason);
  for (const auto& [path, step] : state.steps) write_digest(out, path, step);
  for (const auto& [path, block] : state.blocks) {
    out.line("block", path, block.chosen, block.failures, block.caught, block.catch_chosen,
             block.items, block.keys, block.yields, block.next, block.open);
  }
  return out.take();
}

}  // namespace backstitch::test

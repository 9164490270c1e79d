#include <backstitch/base/match.hpp>
#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/masking.hpp>
#include <backstitch/engine/machine/situation.hpp>

#include "scope.hpp"

namespace backstitch::engine {
namespace {

/// A loop of ten thousand items would make an answer of many megabytes; steps outside loops are
/// always shown.
constexpr std::size_t steps_shown_max = 2'000;

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
  if (step.poll.last) json["lastPoll"] = failure_json(step.poll.last);
  if (step.wait_until) json["waitsUntil"] = time_json(step.wait_until);
  if (step.callback_refused) json["callbackRefused"] = true;
  if (step.child) json["child"] = step.child->id.text();
  if (const auto* wait = std::get_if<dsl::Wait>(&definition.body)) json["signals"] = wait->signals;
  const bool undoes_child = step.child && definition.kind == dsl::StepKind::compensatable &&
                            !std::holds_alternative<dsl::WaivedCompensation>(definition.undo);
  if (std::holds_alternative<dsl::Compensation>(definition.undo) || undoes_child)
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
          {"from", to_text(suspension.from)},
          {"byOperator", suspension.by_operator}};
}

Json awaited_json(const SagaState& state, const std::vector<QueuedCall>& queued) {
  Json all = Json::array();
  for (const auto& one : awaited(state, queued))
    all.push_back({{"step", one.step}, {"what", one.what}, {"until", time_json(one.until)}});
  return all;
}

Json text_json(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json answer_json(const Failure& answer) {
  return {{"code", answer.code}, {"class", answer.failure_class}, {"message", answer.message}};
}

Json participant_json(const Why& why, const Masking& masking) {
  if (!why.participant) return nullptr;
  const auto& one = *why.participant;
  const bool known = !one.base_url.empty();
  return {
      {"url", known ? Json(masking.url(why.step, one.phase, one.base_url, one.target)) : Json()},
      {"key", one.key}};
}

Json why_json(const std::optional<Why>& why, const Masking& masking) {
  if (!why) return nullptr;
  return {{"code", why->code},
          {"sentence", why->sentence},
          {"reason", text_json(why->reason)},
          {"step", text_json(why->step)},
          {"phase", to_text(why->phase)},
          {"since", to_rfc3339(why->since)},
          {"until", time_json(why->until)},
          {"nextAttemptAt", time_json(why->next_attempt_at)},
          {"participant", participant_json(*why, masking)},
          {"lastAnswer", why->last_answer ? answer_json(*why->last_answer) : Json()},
          {"possiblyDone", why->possibly_done}};
}

Json actions_json(const std::vector<PossibleCommand>& actions) {
  Json all = Json::array();
  for (const auto& one : actions) {
    all.push_back({{"action", one.action},
                   {"step", text_json(one.step)},
                   {"as", text_json(one.as)},
                   {"signal", text_json(one.signal)},
                   {"needs", text_json(one.needs)},
                   {"does", one.does}});
  }
  return all;
}

Json acted_json(const SagaState& state) {
  Json all = Json::array();
  for (const auto& one : state.acted) {
    all.push_back({{"at", to_rfc3339(one.at)},
                   {"action", one.action},
                   {"step", text_json(one.step)},
                   {"as", text_json(one.as)},
                   {"by", one.by},
                   {"reason", text_json(one.reason)}});
  }
  return all;
}

/// The phase that a step is suspended in; null: it is not suspended.
Json suspended_json(const SagaState& state, const StepPath& path) {
  for (const auto& suspension : state.suspensions)
    if (suspension.step == path) return to_text(suspension.phase);
  return nullptr;
}

/// Collects the steps in the order of the definition, those inside blocks behind their block.
class StepList {
 public:
  StepList(const SagaState& state) : state_(state) {}

  void add(const ListPlace& list, bool pending_too = true) {
    for (const auto& step : *list.steps) {
      const Located at = locate_in(list, step);
      const auto found = state_.steps.find(at.path);
      const bool known = found != state_.steps.end();
      if (!known && !pending_too) continue;
      if (steps.size() >= steps_shown_max && !list.indexes.empty()) {
        ++omitted;
      } else {
        steps.push_back(step_json(step, at.path, known ? found->second : absent()));
        steps.back()["suspended"] = suspended_json(state_, at.path);
      }
      add_inside(at, known);
    }
  }

  Json steps = Json::array();
  std::size_t omitted = 0;

 private:
  /// A list that was not chosen is passed over as a whole.
  void add_arm(const ListPlace& list, bool passed_over) {
    const bool before = passed_over_;
    passed_over_ = passed_over_ || passed_over;
    add(list);
    passed_over_ = before;
  }

  void add_inside(const Located& at, bool begun) {
    const auto found = state_.blocks.find(at.path);
    const BlockState* known = found == state_.blocks.end() ? nullptr : &found->second;
    if (const auto* parallel = std::get_if<dsl::Parallel>(&at.step->body)) {
      for (std::uint32_t i = 0; i < parallel->branches.size(); ++i)
        add_arm(inside(at, parallel->branches[i].steps, i), begun && known == nullptr);
    } else if (const auto* loop = std::get_if<dsl::ForEach>(&at.step->body)) {
      for (std::uint32_t i = 0; known != nullptr && i < known->next; ++i)
        add(inside(at, loop->steps, i));
    } else if (const auto* choice = std::get_if<dsl::Switch>(&at.step->body)) {
      for (std::uint32_t i = 0; i <= choice->cases.size(); ++i) {
        const auto& one = i < choice->cases.size() ? choice->cases[i] : *choice->otherwise;
        const bool other = known != nullptr ? known->chosen != i : begun;
        add_arm(inside(at, one.steps, i), other);
      }
    } else if (const auto* attempt = std::get_if<dsl::Try>(&at.step->body)) {
      add_arm(inside(at, attempt->steps, 0), begun && known == nullptr);
      const auto step = state_.steps.find(at.path);
      const bool ended = step != state_.steps.end() && step->second.ended_at;
      for (std::uint32_t i = 0; i < attempt->catches.size(); ++i) {
        const bool chosen = known != nullptr && known->catch_chosen == i;
        const bool other = known != nullptr && known->catch_chosen && !chosen;
        add_arm(inside(at, attempt->catches[i].steps, i + 1), other || (ended && !chosen));
      }
    }
  }

  const StepState& absent() const {
    static const StepState pending;
    static const StepState skipped = [] {
      StepState step;
      step.status = StepStatus::skipped;
      return step;
    }();
    return passed_over_ ? skipped : pending;
  }

  const SagaState& state_;
  bool passed_over_ = false;
};

}  // namespace

Json view(const Program& program, const SagaState& state, const std::vector<QueuedCall>& queued) {
  const dsl::Definition& definition = *program.definition;
  const Masking masking(definition, state);
  const Situation situation = situation_of(program, state, queued);
  StepList list(state);
  list.add(main_line(definition));
  // Handlers are of interest only once they run.
  list.add(failure_handlers(definition), state.handlers_started);
  for (std::uint32_t i = 1; i <= state.suspended_times && !definition.on_suspended.empty(); ++i)
    list.add(suspension_handlers(definition, i), false);
  Json suspensions = Json::array();
  for (const auto& suspension : state.suspensions)
    suspensions.push_back(suspension_json(suspension));
  Json view{{"id", state.id.text()},
            {"definition", state.definition},
            {"version", state.version},
            {"status", to_text(state.status)},
            {"businessKey", state.business_key ? Json(*state.business_key) : Json()},
            {"labels", state.labels},
            {"input", state.input},
            {"output", state.output},
            {"failure", failure_json(state.failure)},
            {"suspension", suspensions.empty() ? Json() : suspensions.front()},
            {"suspensions", std::move(suspensions)},
            {"pivotPassed", state.pivot_passed},
            {"cancelRequested", state.cancel_requested},
            {"why", why_json(situation.why, masking)},
            {"awaits", awaited_json(state, queued)},
            {"actions", actions_json(situation.actions)},
            {"acted", acted_json(state)},
            {"startedAt", to_rfc3339(state.started_at)},
            {"endedAt", time_json(state.ended_at)},
            {"deadline", time_json(state.deadline)},
            {"parent", state.parent
                           ? Json{{"saga", state.parent->saga.text()}, {"step", state.parent->step}}
                           : Json()},
            {"steps", std::move(list.steps)}};
  if (list.omitted > 0) view["stepsOmitted"] = list.omitted;
  masking.mask_view(view);
  return view;
}

}  // namespace backstitch::engine

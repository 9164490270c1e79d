#include "stand_ins.hpp"

#include <algorithm>
#include <utility>

#include <backstitch/engine/machine/answer_body.hpp>

#include "faults.hpp"

namespace backstitch::rehearsal {
namespace {

using engine::CallResult;
using engine::Phase;
using engine::Response;
using engine::TransportError;

constexpr Duration answers_after{10};
constexpr Duration decides_after{1'000};
constexpr const char* html_page = "<html><body>It works!</body></html>";

Target target_of(Phase phase) {
  switch (phase) {
    case Phase::forward:
      return Target::action;
    case Phase::probe:
      return Target::probe;
    case Phase::poll:
      return Target::poll;
    case Phase::compensate:
      return Target::undo;
  }
  return Target::action;
}

/// Nothing to undo, nothing to ask for, nothing to leave behind.
bool only_reads(const dsl::Step& step) {
  const auto* action = std::get_if<dsl::Action>(&step.body);
  if (action == nullptr) return false;
  const dsl::Method method = action->request.method;
  return step.kind == dsl::StepKind::readonly ||
         (action->request.path && (method == dsl::Method::get || method == dsl::Method::head));
}

/// What was answered, with other bytes for a body.
Response with_body(Response answer, const std::string& bytes) {
  auto body = engine::read_body("text/html", "", bytes);
  answer.body = std::move(body.value);
  answer.unreadable = std::move(body.unreadable);
  return answer;
}

bool is_pending(const StandIns::Effect& effect) {
  return effect.entry.standing == Standing::accepted;
}

/// How the rules want to hear that the work is not decided yet.
Response not_yet(const Rules& rules, int otherwise) {
  for (const auto* rule : rules) {
    if (rule->is != dsl::OutcomeClass::pending || rule->transport) continue;
    return {
        rule->status.empty() ? 200 : rule->status.front().first, {}, Answers::of_rule(*rule, 1)};
  }
  return {otherwise, {}, Json::object()};
}

/// 200, unless the rules take it for something else and name a status for success.
int success_status(const Rules& rules) {
  const auto claims_200 = [](const dsl::OutcomeRule& rule) {
    return !rule.when && std::any_of(rule.status.begin(), rule.status.end(), [](const auto& range) {
      return range.first <= 200 && range.last >= 200;
    });
  };
  int other = 200;
  for (const auto* rule : rules) {
    const bool success = rule->is == dsl::OutcomeClass::success;
    if (success && other == 200 && !rule->status.empty()) other = rule->status.front().first;
    if (claims_200(*rule)) return success ? 200 : other;
  }
  return 200;
}

}  // namespace

StandIns::StandIns(engine::Executor& executor, const Answers& answers, const Options& options,
                   Links links)
    : executor_(executor), answers_(answers), options_(options), links_(std::move(links)) {
  for (const auto& fault : options.faults) faults_.push_back({fault, 0, std::nullopt});
}

void StandIns::call(engine::Call call, std::function<void(CallResult)> done) {
  const dsl::Definition& definition = links_.definition(call.saga);
  const dsl::Step* step = dsl::find_step(definition, name_in(call.path));
  BACKSTITCH_INVARIANT(step != nullptr, "a call is made for a step");
  Reaction reaction = react({call, definition, *step});
  executor_.call_after(reaction.after, [done = std::move(done),
                                        result = std::move(reaction.result)] { done(result); });
}

StandIns::Reaction StandIns::react(const Scene& scene) {
  ArmedFault* armed = fault_for(scene);
  if (armed == nullptr) return {work(scene), answers_after};
  ++armed->met;
  if (!armed->first_met) armed->first_met = executor_.now();
  return disturbed(scene, armed->fault);
}

StandIns::ArmedFault* StandIns::fault_for(const Scene& scene) {
  const Target target = target_of(scene.call.phase);
  const auto found = std::find_if(faults_.begin(), faults_.end(), [&](const ArmedFault& armed) {
    const Fault& fault = armed.fault;
    if (fault.target != target || !names_path(fault.step, scene.call.path)) return false;
    if (fault.times && armed.met >= *fault.times) return false;
    return !fault.lasts || !armed.first_met || executor_.now() < *armed.first_met + *fault.lasts;
  });
  return found == faults_.end() ? nullptr : &*found;
}

StandIns::Reaction StandIns::disturbed(const Scene& scene, const Fault& fault) {
  const Duration timeout = scene.call.request.attempt_timeout;
  Reaction lost{TransportError{dsl::Transport::timeout, true,
                               "no answer within " + backstitch::to_text(timeout)},
                timeout};
  switch (fault.trouble) {
    case Trouble::refuse: {
      const auto rules = rules_of(answers_, scene.definition, scene.step, fault.target);
      // Two sagas may have a step of that name, and only one of them the code.
      const auto answer = refusal(rules, fault.target, fault.code);
      return {answer.value_or(Response{422, {}, Json::object()}), answers_after};
    }
    case Trouble::transient:
      return {Response{429, {}, {{"error", "busy"}}}, answers_after};
    case Trouble::unknown_done:
      work(scene);
      return lost;
    case Trouble::unknown_lost:
      return lost;
    case Trouble::down:
      return {TransportError{dsl::Transport::connect, false, "connection refused"}, answers_after};
    case Trouble::unanswered:
      return {work(scene, true), answers_after};
    case Trouble::empty_body:
      return {with_body(work(scene), ""), answers_after};
    case Trouble::html_body:
      return {with_body(work(scene), html_page), answers_after};
  }
  return lost;
}

Response StandIns::work(const Scene& scene, bool never_decided) {
  switch (scene.call.phase) {
    case Phase::forward:
      return act(scene, never_decided);
    case Phase::probe:
    case Phase::poll:
      return look_up(scene);
    case Phase::compensate:
      return undo(scene);
  }
  return {};
}

Response StandIns::act(const Scene& scene, bool never_decided) {
  const auto& action = std::get<dsl::Action>(scene.step.body);
  const std::string& key = scene.call.request.key;
  const bool is_new = !effects_.contains(key);
  if (is_new && only_reads(scene.step) && !action.completion) return success(scene);
  Effect& effect = effect_of(scene, key);
  if (is_new) effect.answer = success(scene);
  if (is_new && action.completion) {
    effect.entry.standing = Standing::accepted;
    effect.never_decided = never_decided;
    executor_.call_after(decides_after, [this, key, callback = scene.call.request.callback] {
      decide(key, callback);
    });
  } else if (is_new) {
    effect.done = executor_.now();
  }
  switch (effect.entry.standing) {
    case Standing::accepted:
      return {202, {}, Json::object()};
    case Standing::exists:
      return effect.answer;
    case Standing::undone:
    case Standing::closed:
      return {409, {}, {{"error", "undone"}}};
  }
  return {};
}

void StandIns::decide(const std::string& key, const std::string& callback) {
  Effect& effect = effects_.at(key);
  if (!is_pending(effect) || effect.never_decided) return;
  effect.entry.standing = Standing::exists;
  effect.done = executor_.now();
  if (callback.empty()) return;
  links_.post({callback.substr(callback.rfind('/') + 1), effect.answer});
}

Response StandIns::undo(const Scene& scene) {
  const std::string& key = scene.call.request.compensates;
  const bool of_saga = std::holds_alternative<dsl::SubSaga>(scene.step.body);
  const bool is_new = !effects_.contains(key);
  Effect& effect = effect_of(scene, key);
  const bool done = effect.entry.standing == Standing::exists && (!is_new || of_saga);
  if (done) {
    effect.entry.standing = Standing::undone;
    effect.undone = executor_.now();
  } else if (is_new || is_pending(effect)) {
    effect.entry.standing = Standing::closed;
    effect.undone = executor_.now();
  }
  const Rules rules = rules_of(answers_, scene.definition, scene.step, Target::undo);
  return {
      success_status(rules),
      {},
      answers_.of_undo(scene.definition.name, scene.step.name, static_cast<int>(order_.size()))};
}

Response StandIns::look_up(const Scene& scene) {
  const std::string& key = scene.call.request.probes;
  const auto& action = std::get<dsl::Action>(scene.step.body);
  const bool probe = scene.call.phase == Phase::probe;
  const auto found = effects_.find(key);
  if (found == effects_.end()) {
    if (probe && action.probe->sealed) {
      Effect& effect = effect_of(scene, key);
      effect.entry.standing = Standing::closed;
      effect.undone = executor_.now();
    }
    return not_seen(scene);
  }
  const Effect& effect = found->second;
  if (effect.entry.standing == Standing::exists) return effect.answer;
  if (!is_pending(effect)) return not_seen(scene);
  const Rules rules =
      rules_of(answers_, scene.definition, scene.step, probe ? Target::probe : Target::poll);
  return not_yet(rules, probe ? 425 : 202);
}

/// A probe is answered in the way that its rules take for "not seen".
Response StandIns::not_seen(const Scene& scene) const {
  if (scene.call.phase == Phase::probe) {
    const auto answer =
        refusal(rules_of(answers_, scene.definition, scene.step, Target::probe), Target::probe, "");
    if (answer && std::holds_alternative<Response>(*answer)) return std::get<Response>(*answer);
  }
  return {404, {}, {{"error", "not seen"}}};
}

StandIns::Effect& StandIns::effect_of(const Scene& scene, const std::string& key) {
  const auto [at, is_new] = effects_.try_emplace(key);
  Effect& effect = at->second;
  if (is_new) {
    order_.push_back(key);
    const auto& request = scene.call.request;
    const std::string& service = scene.call.service_name;
    effect.saga = scene.call.saga;
    effect.entry.service = service.substr(service.rfind('/') + 1);
    effect.entry.definition = scene.definition.name;
    effect.entry.path = scene.call.path;
    effect.entry.request =
        request.method.empty() ? request.target : request.method + " " + request.target;
    effect.entry.key = key;
  }
  ++effect.entry.calls;
  return effect;
}

Response StandIns::success(const Scene& scene) const {
  const int status =
      success_status(rules_of(answers_, scene.definition, scene.step, Target::action));
  for (const auto& [step, body] : options_.answers) {
    if (names_path(step, scene.call.path)) return {status, {}, body};
  }
  return {
      status,
      {},
      answers_.of_action(scene.definition.name, scene.step.name, static_cast<int>(order_.size()))};
}

std::vector<const StandIns::Effect*> StandIns::effects() const {
  std::vector<const Effect*> list;
  for (const auto& key : order_) list.push_back(&effects_.at(key));
  return list;
}

}  // namespace backstitch::rehearsal

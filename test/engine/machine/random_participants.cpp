#include "random_participants.hpp"

#include <algorithm>
#include <functional>

namespace backstitch::test {
namespace {

constexpr std::uint32_t disturbances_max = 3;
constexpr std::uint32_t strays_max = 2;
constexpr std::uint32_t unsure_attempts = 8;
constexpr const char* page = "<!doctype html><title>Sign in</title>";

std::uint64_t mixed(std::uint64_t seed, const std::string& text) {
  for (const char c : text) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return seed;
}

engine::CallResult response(int status, Json body = nullptr) {
  return engine::Response{status, {}, std::move(body)};
}
/// Refusals have bodies of every shape.
Json error_page(Dice dice) {
  if (dice.chance(10)) return std::string(dice.pick({60'000U, 70'000U, 200'000U}), 'x');
  switch (dice.below(8)) {
    case 0:
      return "<html>\r\n<h1>Conflict</h1></html>";
    case 1:
      return Json::array({"refused", {{"reason", "none"}}});
    case 2:
      return 409;
    case 3:
      return {{"reason", {{"code", 7}}}};
    case 4:
      return {{"reason", "sold out"}};
    case 5:
      return true;
    default:
      return nullptr;
  }
}

engine::CallResult no_answer() {
  return engine::TransportError{dsl::Transport::timeout, true, "no answer"};
}

bool has_rule(const Json& owner, const std::function<bool(const Json&)>& is_it) {
  const Json rules = owner.is_object() ? owner.value("outcomes", Json::array()) : Json::array();
  return std::any_of(rules.begin(), rules.end(), is_it);
}
/// A page with status 200 is not taken for a success.
bool is_guarded(const Json& owner) {
  return has_rule(owner, [](const Json& rule) { return rule["is"] == "unknown"; });
}

const Json* written(const Json& node, const std::string& name) {
  if (node.is_object() && node.contains("action") && node.value("name", "") == name) return &node;
  for (const auto& inner : node) {
    if (!inner.is_structured()) continue;
    if (const Json* found = written(inner, name)) return found;
  }
  return nullptr;
}

/// Repeating a call is harmless there, and its second answer says nothing about the first.
bool forgets_keys(const dsl::Definition& definition) {
  return definition.services.at("s").idempotency == dsl::Idempotency::natural;
}

bool uses_try(const Json& node) {
  if (node.is_object() && node.contains("try")) return true;
  for (const auto& inner : node) {
    if (inner.is_structured() && uses_try(inner)) return true;
  }
  return false;
}

}  // namespace

const dsl::Step& step_of(const dsl::Definition& definition, const std::string& path) {
  const auto slash = path.rfind('/');
  const auto* step =
      dsl::find_step(definition, slash == std::string::npos ? path : path.substr(slash + 1));
  BACKSTITCH_INVARIANT(step != nullptr, "a path ends with the name of a step: " + path);
  return *step;
}

RandomParticipants::RandomParticipants(const dsl::Definition& definition, std::uint64_t seed)
    : definition_(definition), seed_(seed), has_try_(uses_try(definition.document)) {}

const dsl::Step& RandomParticipants::step(const std::string& path) const {
  return step_of(definition_, path);
}

Json RandomParticipants::output(const std::string& path) const {
  return {{"n", Dice(mixed(seed_, path)).below(10)}};
}

engine::CallResult RandomParticipants::answer(const engine::CallParticipant& call,
                                              Latitude latitude) {
  const Dice dice(mixed(seed_, call.path + "#" + to_text(call.phase)));
  switch (call.phase) {
    case engine::Phase::forward:
      return forward(call, dice, latitude);
    case engine::Phase::probe:
      return probe(call, dice);
    case engine::Phase::poll:
      return poll(call, dice);
    case engine::Phase::compensate:
      return undo(call, dice);
  }
  return no_answer();
}

std::optional<engine::CallResult> RandomParticipants::stray(const engine::CallParticipant& call) {
  Effect& effect = effects_[call.path];
  Dice dice(mixed(seed_, call.path + to_text(call.phase) + std::to_string(call.attempt) + "stray"));
  if (effect.strays >= strays_max || !dice.chance(20)) return std::nullopt;
  ++effect.strays;
  const bool probe = call.phase == engine::Phase::probe;
  const Json step = definition_of(call.path);
  if (step.empty()) return std::nullopt;
  const Json owner = probe ? step.value("probe", Json::object()) : step;
  if (call.phase != engine::Phase::compensate && is_guarded(owner) && dice.chance(40))
    return response(200, page);
  // A status that some rule speaks of would be taken for the participant's own.
  const bool taken = has_rule(
      owner, [](const Json& rule) { return rule["status"] == 409 && !rule.contains("when"); });
  const bool not_found = probe ? has_rule(owner,
                                          [](const Json& rule) {
                                            return rule["status"] == 404 && rule.contains("when");
                                          })
                               : call.phase == engine::Phase::compensate ||
                                     !definition_.document["services"]["s"].contains("outcomes");
  const int status = dice.pick({302, 307, 400, 401, 403, 405, 409, 404});
  if (status == 409 && taken) return response(403, page);
  if (status == 404 && !not_found) return response(401);
  return response(status, dice.chance(50) ? Json(page) : Json::object());
}

/// As it is written; of a step of a handler nothing, which has no rules then.
Json RandomParticipants::definition_of(const std::string& path) const {
  const auto slash = path.rfind('/');
  const Json* found = written(definition_.document["steps"],
                              slash == std::string::npos ? path : path.substr(slash + 1));
  return found == nullptr ? Json::object() : *found;
}

engine::CallResult RandomParticipants::not_seen() const {
  return response(404, {{"error", "NOT_SEEN"}});
}

void RandomParticipants::lose(const engine::CallParticipant& call, bool left) {
  Effect& effect = effects_[call.path];
  effect.lost = true;
  if (!left || Dice(mixed(seed_, call.path + "lost")).chance(50)) return;
  if (call.phase == engine::Phase::forward && !effect.undone) effect.there = true;
  if (call.phase == engine::Phase::compensate) effect = {false, true};
}

engine::CallResult RandomParticipants::forward(const engine::CallParticipant& call, Dice dice,
                                               Latitude latitude) {
  Effect& effect = effects_[call.path];
  const std::size_t meant = dice.below(100);
  const auto& action = std::get<dsl::Action>(step(call.path).body);
  // Without remembered keys a refusal is believed only if nothing before it may have arrived.
  const bool forgets = forgets_keys(definition_);
  const bool forgotten = forgets && latitude == Latitude::settled && effect.lost;
  const bool refuses = meant < 14 && latitude != Latitude::done && !forgotten;
  const bool stays_silent = meant >= 14 && meant < 24 && latitude == Latitude::any;
  const bool undisturbed = forgets && refuses && latitude == Latitude::settled;
  const bool disturbed = dice.chance(30) && !undisturbed;
  // For a while somebody in between shows a page of his own, or the participant does not know.
  const bool unsure = disturbed && is_guarded(definition_of(call.path)) && dice.chance(40);
  const std::uint32_t disturbances =
      unsure      ? unsure_attempts
      : disturbed ? 1 + static_cast<std::uint32_t>(dice.below(disturbances_max))
                  : 0;
  if (effect.undone) return response(410);
  Dice of_attempt(mixed(seed_, call.path + std::to_string(call.attempt)));
  if (call.attempt <= disturbances || stays_silent) {
    const bool arrives = of_attempt.chance(50) && !refuses;
    if (arrives) effect.there = true;
    const std::size_t how = of_attempt.below(4);
    if (!stays_silent && unsure)
      return response(200, of_attempt.chance(50) ? Json{{"n", -1}} : Json(page));
    if (!stays_silent && !arrives && how == 0) return response(429);
    if (!stays_silent && !arrives && how == 1)
      return engine::TransportError{dsl::Transport::connect, false, "refused"};
    // Frameworks answer a form that was processed with a redirect.
    if (arrives && how == 3 && !reads(call.path)) return response(302);
    if (!arrives && how == 2 && is_guarded(definition_of(call.path))) return response(200, page);
    return how == 2 ? response(503) : no_answer();
  }
  if (refuses && !effect.there) {
    // Only a rule makes 409 a refusal that is believed after an unknown attempt.
    const bool rule = std::any_of(
        action.outcomes.begin(), action.outcomes.end(),
        [](const dsl::OutcomeRule& one) { return one.is == dsl::OutcomeClass::failure; });
    const bool says_409 = (rule || latitude == Latitude::any) && dice.chance(60);
    if (!says_409) return response(422, error_page(dice));
    return response(409, rule ? Json{{"why", "taken"}} : error_page(dice));
  }
  // A second copy may meet somebody else than the participant.
  if (call.attempt > 1 && effect.there) {
    if (auto other = stray(call)) return *other;
  }
  // Then "it exists already" is what a second call may get, too.
  const bool echoes = forgets && effect.there;
  effect.there = true;
  if (echoes && latitude == Latitude::any && dice.chance(30)) return response(409);
  if (action.completion) return response(202, {{"n", 0}, {"state", "PENDING"}});
  // Accepted is done where nothing more is waited for.
  return response(dice.chance(8) ? 202 : 200, output(call.path));
}

engine::CallResult RandomParticipants::probe(const engine::CallParticipant& call, Dice dice) {
  if (call.attempt == 1 && dice.chance(20)) return dice.chance(50) ? response(429) : no_answer();
  Effect& effect = effects_[call.path];
  if (auto other = stray(call)) return *other;
  if (effect.there) return response(200, output(call.path));
  const auto& action = std::get<dsl::Action>(step(call.path).body);
  // Who is sealed has closed the key by saying that it never saw it.
  if (action.probe && action.probe->sealed) effect.undone = true;
  return not_seen();
}

/// The work takes a few questions, and what lies between may answer some of them.
engine::CallResult RandomParticipants::poll(const engine::CallParticipant& call, Dice dice) {
  Effect& effect = effects_[call.path];
  const std::uint32_t questions = static_cast<std::uint32_t>(dice.below(4));
  if (auto other = stray(call)) return *other;
  if (effect.asked++ < questions) {
    return dice.chance(70) ? response(200, {{"state", "PENDING"}}) : response(200, page);
  }
  Json done = output(call.path);
  done["state"] = "DONE";
  return response(200, std::move(done));
}

bool RandomParticipants::reads(const std::string& path) const {
  const auto method = std::get<dsl::Action>(step(path).body).request.method;
  return method == dsl::Method::get || method == dsl::Method::head;
}

engine::CallResult RandomParticipants::undo(const engine::CallParticipant& call, Dice dice) {
  const auto* undo = std::get_if<dsl::Compensation>(&step(call.path).undo);
  const bool goes_on = undo != nullptr && undo->on_exhausted == dsl::OnExhausted::continue_;
  const std::size_t meant = dice.below(100);
  if (goes_on && !has_try_ && meant < 25) return response(500);
  if (undo != nullptr && is_stuck(*undo, call.attempt, meant)) return response(500);
  // Busy, and polite about it: with one attempt left to be made it is done.
  if (!goes_on && meant >= 70 && meant < 80) {
    if (call.attempt == 1) return engine::Response{503, {{"retry-after", "200000"}}, nullptr};
    effects_[call.path] = {false, true};
    return response(200);
  }
  const std::uint32_t disturbances = meant < 80 ? 0 : goes_on ? 1 : 2;
  if (call.attempt <= disturbances) {
    const bool arrives = dice.chance(50);
    if (arrives) effects_[call.path] = {false, true};
    return dice.chance(50) ? no_answer() : response(dice.chance(50) ? 503 : 409);
  }
  if (auto other = goes_on ? std::nullopt : stray(call)) return *other;
  effects_[call.path] = {false, true};
  return response(dice.chance(8) ? 202 : 200);
}

/// Until an operator looks at it.
bool RandomParticipants::is_stuck(const dsl::Compensation& undo, std::uint32_t attempt,
                                  std::size_t meant) {
  return undo.on_exhausted == dsl::OnExhausted::suspend && undo.retry.attempts_max &&
         attempt <= *undo.retry.attempts_max + 1 && meant < 50;
}

std::string RandomParticipants::still_standing() const {
  for (const auto& [path, effect] : effects_) {
    const auto* undo = std::get_if<dsl::Compensation>(&step(path).undo);
    if (effect.there && undo != nullptr && !undo->when) return path;
  }
  return "";
}

bool RandomParticipants::has_effect(const std::string& path) const {
  const auto found = effects_.find(path);
  return found != effects_.end() && found->second.there;
}

}  // namespace backstitch::test

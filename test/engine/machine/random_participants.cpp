#include "random_participants.hpp"

#include <functional>

namespace backstitch::test {
namespace {

constexpr std::uint32_t disturbances_max = 3;

std::uint64_t mixed(std::uint64_t seed, const std::string& text) {
  for (const char c : text) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return seed;
}

engine::CallResult response(int status, Json body = nullptr) {
  return engine::Response{status, {}, std::move(body)};
}
/// Refusals have bodies of every shape.
Json error_page(Dice dice) {
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
    case engine::Phase::poll:
      return probe(call, dice);
    case engine::Phase::compensate:
      return undo(call, dice);
  }
  return no_answer();
}

void RandomParticipants::lose(const engine::CallParticipant& call) {
  Effect& effect = effects_[call.path];
  if (Dice(mixed(seed_, call.path + "lost")).chance(50)) return;
  if (call.phase == engine::Phase::forward && !effect.undone) effect.there = true;
  if (call.phase == engine::Phase::compensate) effect = {false, true};
}

engine::CallResult RandomParticipants::forward(const engine::CallParticipant& call, Dice dice,
                                               Latitude latitude) {
  Effect& effect = effects_[call.path];
  const std::size_t meant = dice.below(100);
  const bool refuses = meant < 14 && latitude != Latitude::done;
  const bool stays_silent = meant >= 14 && meant < 24 && latitude == Latitude::any;
  // Without remembered keys a refusal is believed only if nothing before it may have arrived.
  const auto& service = definition_.services.at("s");
  const bool forgets = service.idempotency == dsl::Idempotency::natural;
  const bool undisturbed = forgets && refuses && latitude == Latitude::settled;
  const bool disturbed = dice.chance(30) && !undisturbed;
  const std::uint32_t disturbances =
      disturbed ? 1 + static_cast<std::uint32_t>(dice.below(disturbances_max)) : 0;
  if (effect.undone) return response(410);
  Dice of_attempt(mixed(seed_, call.path + std::to_string(call.attempt)));
  if (call.attempt <= disturbances || stays_silent) {
    const bool arrives = of_attempt.chance(50) && !refuses;
    if (arrives) effect.there = true;
    const std::size_t how = of_attempt.below(4);
    if (!stays_silent && !arrives && how == 0) return response(429);
    if (!stays_silent && !arrives && how == 1)
      return engine::TransportError{dsl::Transport::connect, false, "refused"};
    return how == 2 ? response(503) : no_answer();
  }
  if (refuses && !effect.there) return response(dice.chance(60) ? 409 : 422, error_page(dice));
  // Then "it exists already" is what a second call may get, too.
  const bool echoes = forgets && effect.there;
  effect.there = true;
  if (echoes && latitude == Latitude::any && dice.chance(30)) return response(409);
  return response(200, output(call.path));
}

engine::CallResult RandomParticipants::probe(const engine::CallParticipant& call, Dice dice) {
  if (call.attempt == 1 && dice.chance(20)) return dice.chance(50) ? response(429) : no_answer();
  Effect& effect = effects_[call.path];
  if (effect.there) return response(200, output(call.path));
  const auto& action = std::get<dsl::Action>(step(call.path).body);
  // Who is sealed has closed the key by saying that it never saw it.
  if (action.probe && action.probe->sealed) effect.undone = true;
  return response(404);
}

engine::CallResult RandomParticipants::undo(const engine::CallParticipant& call, Dice dice) {
  const auto* undo = std::get_if<dsl::Compensation>(&step(call.path).undo);
  const bool goes_on = undo != nullptr && undo->on_exhausted == dsl::OnExhausted::continue_;
  const std::size_t meant = dice.below(100);
  if (goes_on && !has_try_ && meant < 25) return response(500);
  if (undo != nullptr && is_stuck(*undo, call.attempt, meant)) return response(500);
  const std::uint32_t disturbances = meant < 80 ? 0 : goes_on ? 1 : 2;
  if (call.attempt <= disturbances) {
    const bool arrives = dice.chance(50);
    if (arrives) effects_[call.path] = {false, true};
    return dice.chance(50) ? no_answer() : response(dice.chance(50) ? 503 : 409);
  }
  effects_[call.path] = {false, true};
  return response(200);
}

/// Until an operator looks at it.
bool RandomParticipants::is_stuck(const dsl::Compensation& undo, std::uint32_t attempt,
                                  std::size_t meant) {
  return undo.on_exhausted == dsl::OnExhausted::suspend && undo.retry.attempts_max &&
         attempt <= *undo.retry.attempts_max && meant < 50;
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

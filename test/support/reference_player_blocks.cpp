#include <algorithm>

#include <backstitch/dsl/payload_schema.hpp>

#include "reference_player_inside.hpp"

namespace backstitch::test {
namespace {

constexpr std::size_t default_items_max = 100;
constexpr std::size_t events_max = 100'000;

bool satisfies(const Json& schema, const Json& value) {
  std::shared_ptr<const dsl::PayloadSchema> compiled;
  dsl::PayloadSchema::compile(schema, "", compiled);
  return compiled != nullptr && compiled->validate(value).empty();
}

bool names(const Json& one, const char* member, const std::string& word) {
  if (!one.contains(member)) return true;
  const Json& list = one[member];
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string place_inside(const char* what, std::size_t number, const Json& step) {
  return std::string(what) + " " + std::to_string(number) + " of " +
         step["name"].get<std::string>();
}

PlayedPlace inside(const PlayedPlace& place, const std::string& name) {
  return {place.frame, place.path + name + "-", place.iteration};
}

}  // namespace

Outcome SagaPlayer::steps(const Json& list, const PlayedPlace& place) {
  for (const auto& one : list) {
    if (Outcome stop = stopped()) return stop;
    if (steps_left_ && --*steps_left_ < 0)
      return PlayedFailure{"CANCELLED", "cancelled", one["name"], nullptr, true};
    if (Outcome failure = step(one, place)) return failure;
  }
  return std::nullopt;
}

/// After the pivot what fails by itself has no way back: a person is needed.
Outcome SagaPlayer::step(const Json& step, const PlayedPlace& place) {
  std::optional<bool> taken = true;
  if (step.contains("when")) taken = holds(step["when"], *place.frame);
  if (taken == false) return std::nullopt;
  world_.reached.insert(step["name"].get<std::string>());
  Outcome failure = taken ? body(step, place) : broken(step);
  if (failure && failure->by_itself && (pivot_passed_ || in_handler_))
    throw PlayedSuspension{failure->step, failure->code};
  return failure;
}

Outcome SagaPlayer::body(const Json& step, const PlayedPlace& place) {
  if (step.contains("action")) return action(step, place);
  if (step.contains("parallel")) return parallel(step, place);
  if (step.contains("switch")) return choice(step, place);
  if (step.contains("forEach")) return loop(step, place);
  if (step.contains("try")) return attempt(step, place);
  if (step.contains("saga")) return child(step, place);
  if (step.contains("wait")) return wait(step, place);
  if (step.contains("sleep")) return sleep(step, place);
  if (step.contains("value")) return finish(step, place, &step["value"]);
  const Json& how = step["fail"];
  const auto details = render(how.value("details", Json()), *place.frame);
  const auto message = render(how.value("message", Json("")), *place.frame);
  if (!details || !message) return broken(step);
  return PlayedFailure{how["code"], "failure", step["name"], *details, false};
}

/// Sets `steps.<name>`; without a source the output is null.
Outcome SagaPlayer::finish(const Json& step, const PlayedPlace& place, const Json* source) {
  const auto value =
      source == nullptr ? std::optional<Json>(Json()) : render(*source, *place.frame);
  if (!value) return broken(step);
  place.frame->steps[step["name"]] = {{"output", *value},
                                      {"status", "succeeded"},
                                      {"startedAt", to_rfc3339(world_.now)},
                                      {"completedAt", to_rfc3339(world_.now)},
                                      {"attempts", 1}};
  return std::nullopt;
}

/// The branches are played one after another from the same moment on. Once one has failed, of each
/// other only what had begun goes on.
Outcome SagaPlayer::parallel(const Json& step, const PlayedPlace& place) {
  const Json& block = step["parallel"];
  const bool cancels = block.value("onFailure", "cancel") == "cancel";
  const auto outer_limit = steps_left_;
  const TimePoint start = world_.now;
  TimePoint end = start;
  Outcome first;
  std::vector<std::string> order;
  for (const auto& [name, branch] : block["branches"].items()) order.push_back(name);
  Dice dice = world_.participants.dice_at("order " + step["name"].get<std::string>());
  std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(dice.below(order.size())),
              order.end());
  for (const auto& name : order) {
    world_.now = start;
    if (first && cancels) steps_left_ = std::min(steps_left_.value_or(1), 1);
    Outcome failure = steps(block["branches"][name], inside(inside(place, step["name"]), name));
    end = std::max(end, world_.now);
    if (!first) first = std::move(failure);
  }
  world_.now = end;
  steps_left_ = outer_limit;
  return first ? first : finish(step, place, nullptr);
}

Outcome SagaPlayer::choice(const Json& step, const PlayedPlace& place) {
  const Json& block = step["switch"];
  const Json* taken = &block["otherwise"];
  std::size_t number = 0;
  for (const auto& one : block["cases"]) {
    const auto matches = holds(one["when"], *place.frame);
    if (!matches) return broken(step);
    ++number;
    if (!*matches) continue;
    taken = &one;
    break;
  }
  if (taken == &block["otherwise"]) ++number;
  world_.reached.insert(place_inside("case", number, step));
  if (Outcome failure = steps((*taken)["steps"], inside(place, step["name"]))) return failure;
  return finish(step, place, taken->contains("output") ? &(*taken)["output"] : nullptr);
}

Outcome SagaPlayer::loop(const Json& step, const PlayedPlace& place) {
  const Json& block = step["forEach"];
  const auto items = render(block["in"], *place.frame);
  if (!items || !items->is_array()) return broken(step);
  if (items->size() > block.value("maxItems", default_items_max))
    return broken(step, "LIMIT_EXCEEDED");
  // What cannot fit fails before its first iteration.
  if (items->size() * (block["steps"].size() + 1) > events_max)
    return broken(step, "LIMIT_EXCEEDED");
  Json yields = Json::array();
  if (Outcome failure = iterations(step, place, *items, yields)) return failure;
  if (Outcome failure = finish(step, place, nullptr)) return failure;
  place.frame->steps[step["name"]]["output"] = std::move(yields);
  return std::nullopt;
}

Outcome SagaPlayer::iterations(const Json& step, const PlayedPlace& place, const Json& items,
                               Json& yields) {
  const Json& block = step["forEach"];
  const bool cancels = block.value("onFailure", "cancel") == "cancel";
  Outcome first;
  for (std::size_t i = 0; i < items.size() && !(first && cancels); ++i) {
    auto frame = std::make_shared<PlayedFrame>();
    frame->outer = place.frame;
    frame->variables[block["as"]] = items[i];
    if (block.contains("indexAs")) frame->variables[block["indexAs"]] = i;
    const auto key = render(block.value("key", Json(i)), *frame);
    if (!key) return broken(step);
    const PlayedPlace within{frame,
                             place.path + step["name"].get<std::string>() + "-" + key->dump() + "-",
                             place.iteration + "[" + std::to_string(i) + "]"};
    Outcome failure = steps(block["steps"], within);
    if (!failure) {
      const auto yield = render(block.value("yield", Json()), *frame);
      if (yield)
        yields.push_back(*yield);
      else
        failure = broken(step);
    }
    if (!first) first = std::move(failure);
  }
  return first;
}

Outcome SagaPlayer::attempt(const Json& step, const PlayedPlace& place) {
  const Json& block = step["try"];
  const std::size_t mark = world_.deeds.size();
  Outcome failure = steps(block["steps"], inside(place, step["name"]));
  if (!failure) return finish(step, place, block.contains("output") ? &block["output"] : nullptr);
  if (failure->is_stop) return failure;
  const bool incomplete_before = world_.incomplete;
  undo_to(mark, *failure);
  if (world_.incomplete && !incomplete_before) return failure;
  return caught(step, place, *failure);
}

Outcome SagaPlayer::caught(const Json& step, const PlayedPlace& place,
                           const PlayedFailure& failure) {
  auto frame = std::make_shared<PlayedFrame>();
  frame->outer = place.frame;
  frame->failure = failure_to_json(failure);
  std::size_t number = 0;
  for (const auto& one : step["try"]["catch"]) {
    ++number;
    if (!catches(one, *frame, failure)) continue;
    world_.reached.insert(place_inside("catch", number, step));
    const PlayedPlace within{frame, place.path + step["name"].get<std::string>() + "-",
                             place.iteration};
    if (Outcome again = steps(one["steps"], within)) return again;
    const auto value = render(one.value("output", Json()), *frame);
    if (!value) return broken(step);
    // What a catch did may be read after the block, as what may have happened.
    for (const auto& [name, view] : frame->steps) place.frame->steps[name] = view;
    finish(step, place, nullptr);
    place.frame->steps[step["name"]]["output"] = *value;
    return std::nullopt;
  }
  return failure;
}

bool SagaPlayer::catches(const Json& one, const PlayedFrame& frame,
                         const PlayedFailure& failure) const {
  if (!names(one, "codes", failure.code) || !names(one, "classes", failure.failure_class))
    return false;
  return !one.contains("when") || holds(one["when"], frame) == true;
}

/// A child that failed has undone itself, so that there is nothing to undo.
Outcome SagaPlayer::child(const Json& step, const PlayedPlace& place) {
  const Json& how = step["saga"];
  const std::string name = step["name"];
  const auto found = world_.children.find(how["name"]);
  const auto input = render(how["input"], *place.frame);
  if (!input) return broken(step);
  if (found == world_.children.end() ||
      (found->second.contains("input") && !satisfies(found->second["input"], *input)))
    return broken(step, "CHILD_REFUSED");
  SagaPlayer& player = begin(world_, found->second, *input, root_ + "-" + place.path + name, this);
  const std::size_t mark = world_.deeds.size();
  if (Outcome failure = player.run()) return failure;
  if (player.pivot_passed_) pivot_passed_ = true;
  // What is waived is not undone, and what stands is left over if the saga fails.
  if (step.value("compensation", Json("auto")) == "none") world_.deeds.resize(mark);
  finish(step, place, nullptr);
  place.frame->steps[name]["output"] = player.output;
  return std::nullopt;
}

Outcome SagaPlayer::sleep(const Json& step, const PlayedPlace& place) {
  const Json& how = step["sleep"];
  if (how.contains("for")) {
    const auto length = duration(how["for"], *place.frame);
    if (!length) return broken(step);
    world_.now += *length;
  } else {
    const auto text = render(how["until"], *place.frame);
    const auto until = text && text->is_string() ? parse_rfc3339(text->get<std::string>())
                                                 : std::optional<TimePoint>();
    if (!until) return broken(step);
    world_.now = std::max(world_.now, *until);
  }
  if (Outcome stop = stopped()) return stop;
  return finish(step, place, nullptr);
}

/// Somebody sends the signal sooner or later, and again in another form when it is refused.
Outcome SagaPlayer::wait(const Json& step, const PlayedPlace& place) {
  const Json& how = step["wait"];
  const std::string name = how["signal"].is_array() ? how["signal"][0] : how["signal"];
  const auto timeout = duration(how["timeout"], *place.frame);
  if (!timeout) return broken(step);
  Dice dice = world_.participants.dice_at("signal " + name);
  const Duration delay{dice.pick({0, 0, 5'000, 5'000, 50'000, 600'000, 10'800'000, 144'000'000})};
  std::optional<Json> payload;
  if (delay <= *timeout) payload = signal_for(how, name, *place.frame);
  world_.now += payload ? delay : *timeout;
  if (Outcome stop = stopped()) return stop;
  if (!payload && how.value("onTimeout", "fail") == "fail")
    return PlayedFailure{"WAIT_TIMEOUT", "timeout", step["name"], nullptr, false};
  if (!payload) payload = render(how.value("default", Json()), *place.frame);
  if (!payload) return broken(step);
  finish(step, place, nullptr);
  place.frame->steps[step["name"]]["output"] = {
      {"signal", name}, {"payload", *payload}, {"by", "alice"}, {"at", to_rfc3339(world_.now)}};
  return std::nullopt;
}

/// The first form of the signal that the wait takes.
std::optional<Json> SagaPlayer::signal_for(const Json& how, const std::string& name,
                                           const PlayedFrame& frame) const {
  Dice dice = world_.participants.dice_at("payload " + name);
  const std::size_t first = dice.below(10);
  const bool approved = dice.chance(70);
  for (std::size_t i = 0; i < 10; ++i) {
    const Json payload{{"n", (first + i) % 10}, {"approved", approved}};
    if (how.contains("schema") && !satisfies(how["schema"], payload)) continue;
    const Json signal{{"payload", payload}};
    if (!how.contains("accept") || holds(how["accept"], frame, {nullptr, nullptr, &signal}) == true)
      return payload;
  }
  return std::nullopt;
}

}  // namespace backstitch::test

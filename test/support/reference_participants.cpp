#include "reference_participants.hpp"

#include <algorithm>
#include <cctype>

namespace backstitch::test {
namespace {

constexpr Duration quick{50};

std::uint64_t hash_of(const std::string& text, std::uint64_t seed) {
  std::uint64_t hash = 0xCBF29CE484222325ULL ^ seed * 0x9E3779B97F4A7C15ULL;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001B3ULL;
  return hash;
}

bool only_reads(const std::string& method) {
  return method == "GET" || method == "HEAD";
}

PlayedAnswer answered(int status, Json body) {
  return {PlayedAnswer::Loss::none, status, std::move(body), quick};
}

}  // namespace

std::string ReferenceParticipants::folded(std::string key) {
  for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return key;
}

Dice ReferenceParticipants::dice_at(const std::string& place) const {
  return Dice(hash_of(place, seed_));
}

/// Of four worlds one is calm, so that most of its sagas complete, and one is a storm.
ReferenceParticipants::Weather ReferenceParticipants::weather_at(const PlayedCall& call) const {
  Dice dice = dice_at(call.column + " " + call.step);
  constexpr std::size_t troubles[]{4, 14, 35, 70};
  const std::size_t trouble = troubles[seed_ % 4];
  Weather weather;
  const bool action = call.column == "action";
  if (dice.chance(trouble)) weather.bad_attempts = dice.pick<std::size_t>({1, 1, 2, 3, 3, 5, 7});
  if (action && dice.chance(trouble)) {
    std::vector<int> statuses{422};
    for (int i = 0; i < 3; ++i)
      statuses.insert(statuses.end(), call.refusals.begin(), call.refusals.end());
    weather.refusal = dice.pick(statuses);
  }
  if (call.always_accepts) weather.refusal = 0;
  weather.slow = dice.chance(trouble);
  weather.empty_body = action && call.body_may_be_empty && dice.chance(trouble / 2);
  weather.router = !action && call.column != "poll" && dice.chance(2 * trouble);
  return weather;
}

PlayedAnswer ReferenceParticipants::answer(const PlayedCall& call) {
  const Weather weather = weather_at(call);
  if (weather.router && call.attempt == 1) return page_of_router(call);
  if (call.attempt <= weather.bad_attempts) return bad_attempt(call);
  PlayedAnswer given = call.column == "action"  ? act(call, weather)
                       : call.column == "probe" ? probed(call)
                       : call.column == "poll"  ? answered(200, body_for(call))
                                                : undone(call);
  if (weather.slow) given.took = call.attempt_timeout * 9 / 10;
  return given;
}

/// The request gets lost, or is refused for now, or the answer to it is lost or unclear.
PlayedAnswer ReferenceParticipants::bad_attempt(const PlayedCall& call) {
  Dice dice = dice_at(call.column + " " + call.step + " " + std::to_string(call.attempt));
  const std::size_t what = dice.below(6);
  const bool arrives = what >= 4;
  if (arrives && call.column == "action") act(call, weather_at(call));
  if (arrives && call.column == "compensation") undone(call);
  if (what == 0) return {PlayedAnswer::Loss::before, 0, nullptr, quick};
  if (what == 1) return answered(429, nullptr);
  if (what == 2 || what == 4) return answered(503, nullptr);
  return {PlayedAnswer::Loss::after, 0, nullptr, call.attempt_timeout};
}

PlayedAnswer ReferenceParticipants::page_of_router(const PlayedCall& call) const {
  Dice dice = dice_at("router " + call.step);
  const bool login = call.column == "probe" && dice.chance(50);
  return answered(login ? 200 : 404, "<html>");
}

/// Promise 1: the same key is one effect and one answer. Promise 2: a closed key is refused.
PlayedAnswer ReferenceParticipants::act(const PlayedCall& call, const Weather& weather) {
  if (only_reads(call.method)) {
    if (weather.refusal != 0) return answered(weather.refusal, {{"why", "taken"}});
    return answered(200, body_for(call));
  }
  PlayedEffect& effect = effects_[folded(call.key)];
  if (effect.closed) return answered(409, {{"why", "closed"}});
  if (weather.refusal != 0 && effect.applied == 0) {
    if (!effect.refusal) effect.refusal = answered(weather.refusal, {{"why", "taken"}});
    return *effect.refusal;
  }
  if (effect.step.empty()) effect.step = call.step;
  if (effect.applied == 0 || !call.has_idempotency) ++effect.applied;
  effect.stands = true;
  if (weather.empty_body) return answered(204, nullptr);
  const bool later = call.can_answer_later && dice_at("later " + call.step).chance(50);
  Json body = body_for(call);
  if (later) body["state"] = "PENDING";
  return answered(later ? 202 : 200, std::move(body));
}

/// Promise 5: the "no" of a sealed probe closes the key. A probe that is no GET is one more action.
PlayedAnswer ReferenceParticipants::probed(const PlayedCall& call) {
  if (!only_reads(call.method)) {
    PlayedEffect& extra = effects_[folded(call.key + "-probe")];
    extra.step = call.step;
    extra.applied = 1;
    extra.stands = true;
  }
  PlayedEffect& effect = effects_[folded(call.key)];
  if (effect.stands) return answered(200, body_for(call));
  effect.closed = effect.closed || call.seals;
  return answered(404, {{"error", "NOT_SEEN"}});
}

/// Promises 2 and 3: it succeeds whether there is something to undo or not, and closes the key.
PlayedAnswer ReferenceParticipants::undone(const PlayedCall& call) {
  if (only_reads(call.method)) return answered(200, body_for(call));
  PlayedEffect& effect = effects_[folded(call.key)];
  effect.stands = false;
  effect.closed = true;
  return answered(200, {{"state", "UNDONE"}});
}

/// Every member that a definition of the tests reads.
Json ReferenceParticipants::body_for(const PlayedCall& call) const {
  Dice dice = dice_at("body " + call.step);
  const auto n = static_cast<int>(dice.below(10));
  return {{"n", n},
          {"id", "id-" + std::to_string(n)},
          {"state", "DONE"},
          {"priceCents", n},
          {"discountCents", 0},
          {"hit", false},
          {"ticketNo", "t"},
          {"trackingNo", "t"},
          {"receiptNo", "r"},
          {"entryId", "e"},
          {"bookedAt", "2026-01-01"},
          {"ref", "r"},
          {"reserved", true},
          {"risk", n > 5 ? "high" : "low"}};
}

}  // namespace backstitch::test

/// Commands that come again under the same idempotency key, as after an answer that was lost.
/// Remembered are digests, for as long as the saga lives; a refused command is not remembered, so
/// its key may be used for the next try.
#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>
#include <backstitch/base/match.hpp>

#include "decider.hpp"

namespace backstitch::engine {
namespace {

/// What is asked for, whoever asks and why: null for what no key is sent with.
Json asked_for(const StimulusBody& body) {
  return std::visit(
      Match{[](const Cancel&) { return Json{"cancel"}; },
            [](const Retry&) { return Json{"retry"}; },
            [](const Suspend& s) {
              return Json{"suspend", s.step};
            },
            [](const Skip& s) {
              return Json{"skip", s.step};
            },
            [](const Resolve& r) {
              return Json{"resolve", r.step, to_text(r.as), r.output.value_or(nullptr),
                          r.captured.value_or(nullptr)};
            },
            [](const Signal& s) {
              return Json{"signal", s.name, s.payload};
            },
            [](const Start&) { return Json(); }, [](const CallEnded&) { return Json(); },
            [](const Tick&) { return Json(); }, [](const TakenOver&) { return Json(); },
            [](const Callback&) { return Json(); }, [](const ChildChanged&) { return Json(); },
            [](const UndoneByParent&) { return Json(); },
            [](const ContentRefused&) { return Json(); }, [](const Quarantine&) { return Json(); }},
      body);
}

}  // namespace

bool Decider::is_repeated() {
  if (stimulus_.idempotency_key.empty()) return false;
  const Json asked = asked_for(stimulus_.body);
  if (asked.is_null()) return false;
  CommandNote note{short_digest(stimulus_.idempotency_key), short_digest(json_text(asked))};
  const auto known = state().commands.find(note.key);
  if (known == state().commands.end()) {
    command_ = std::move(note);
    return false;
  }
  out_.repeated = known->second == note.request;
  if (!out_.repeated) {
    refuse("idempotency-key-reused",
           "The idempotency key was used for another command of this saga; use a new key.");
  }
  return true;
}

}  // namespace backstitch::engine

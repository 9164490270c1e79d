#pragma once
/// Participants that keep the contract of docs/participant-contract.md, behind a network that does
/// not: requests and answers are lost, calls are slow, a router or a login page answers instead.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>
#include <backstitch/base/time.hpp>

#include "dice.hpp"

namespace backstitch::test {

/// One request as a participant sees it.
struct PlayedCall {
  std::string column;             ///< action, poll, probe, compensation
  std::string step;               ///< the name, with the iteration: `hold[1]`
  std::string key;                ///< of the action that is done, asked about or undone
  std::string method;             ///< `PUT`
  std::size_t attempt{};          ///< from 1, of this column
  std::vector<int> refusals{};    ///< statuses for which the definition has a failure rule
  bool always_accepts = false;    ///< a retryable step: its participant may not refuse for good
  bool has_idempotency = true;    ///< the service recognises a repeated request
  bool can_answer_later = false;  ///< the step has a `completion`
  /// An empty body may come instead. Only for steps that say what they take of an answer: one that
  /// takes it whole relies on what its participant promised.
  bool body_may_be_empty = false;
  bool seals = false;  ///< of a probe: a "no" closes the key
  Duration attempt_timeout{};
};

/// What came back; without a status nothing did.
struct PlayedAnswer {
  enum class Loss { none, before, after };  ///< before: the request was never sent
  Loss loss = Loss::none;
  int status = 200;
  Json body;
  Duration took{50};
};

/// What participants hold of one key.
struct PlayedEffect {
  std::string step;
  int applied = 0;                        ///< how often; more than once is wrong
  bool stands = false;                    ///< applied and not undone
  bool closed = false;                    ///< undone or sealed: a later request is refused
  std::optional<PlayedAnswer> refusal{};  ///< given again to every repetition
};

/// Everything follows from the seed and the place of the call, never from the order of calls: two
/// definitions that differ in one step meet the same world everywhere else.
class ReferenceParticipants {
 public:
  explicit ReferenceParticipants(std::uint64_t seed) : seed_(seed) {}

  PlayedAnswer answer(const PlayedCall& call);

  /// Chance for one place: the same whenever it is asked for.
  Dice dice_at(const std::string& place) const;

  /// By key, without regard to case, as the columns of many databases compare.
  const std::map<std::string, PlayedEffect>& effects() const { return effects_; }
  static std::string folded(std::string key);

 private:
  /// What the network and the participant do to the first attempts at one place.
  struct Weather {
    std::size_t bad_attempts = 0;
    int refusal = 0;  ///< a status; 0: the participant agrees
    bool slow = false;
    bool router = false;      ///< a page of somebody else comes back first
    bool empty_body = false;  ///< 204
  };
  Weather weather_at(const PlayedCall& call) const;
  PlayedAnswer bad_attempt(const PlayedCall& call);
  PlayedAnswer page_of_router(const PlayedCall& call) const;
  PlayedAnswer act(const PlayedCall& call, const Weather& weather);
  PlayedAnswer probed(const PlayedCall& call);
  PlayedAnswer undone(const PlayedCall& call);
  Json body_for(const PlayedCall& call) const;

  std::uint64_t seed_;
  std::map<std::string, PlayedEffect> effects_;
};

}  // namespace backstitch::test

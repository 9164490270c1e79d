#pragma once
#include <map>
#include <optional>
#include <string>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/effect.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

#include "../../support/dice.hpp"

namespace backstitch::test {

/// What a forward call may come to.
enum class Latitude {
  any,      ///< done, refused, or never known
  settled,  ///< done or refused
  done
};

/// Participants that keep what the participant contract asks of them, and otherwise do what chance
/// says: they refuse, answer late or never, or lose the answer on its way. What one call of one
/// step comes to is fixed by the seed, whatever happens beside it.
class RandomParticipants {
 public:
  RandomParticipants(const dsl::Definition& definition, std::uint64_t seed);

  /// One attempt is made, and this becomes of it.
  engine::CallResult answer(const engine::CallParticipant& call, Latitude latitude);
  /// One attempt was in flight when the node that made it was lost.
  /// @param left  it had left the node's own queue, so that it may have arrived
  void lose(const engine::CallParticipant& call, bool left);

  /// The first step whose effect is there and that was to be undone; empty: none. A waived undo, or
  /// one whose condition may not hold, is not asked for.
  std::string still_standing() const;
  std::uint64_t seed() const { return seed_; }
  bool has_effect(const std::string& path) const;
  /// What the usual answer of the step's participant would say.
  Json output(const std::string& path) const;
  /// A person does the step's work, or undoes it.
  void do_by_hand(const std::string& path) { effects_[path].there = true; }
  void undo_by_hand(const std::string& path) { effects_[path] = {false, true}; }

 private:
  struct Effect {
    bool there = false;
    bool undone = false;       ///< and any later call with that key is refused
    bool lost = false;         ///< a call was under way when its node was lost
    std::uint32_t asked = 0;   ///< polls so far
    std::uint32_t strays = 0;  ///< answers of intermediaries so far
  };

  engine::CallResult forward(const engine::CallParticipant& call, Dice dice, Latitude latitude);
  engine::CallResult probe(const engine::CallParticipant& call, Dice dice);
  engine::CallResult undo(const engine::CallParticipant& call, Dice dice);
  static bool is_stuck(const dsl::Compensation& undo, std::uint32_t attempt, std::size_t meant);
  engine::CallResult poll(const engine::CallParticipant& call, Dice dice);
  /// What a proxy, a router or a login page answers in place of the participant.
  std::optional<engine::CallResult> stray(const engine::CallParticipant& call);
  engine::CallResult not_seen() const;
  Json definition_of(const std::string& path) const;
  bool reads(const std::string& path) const;
  const dsl::Step& step(const std::string& path) const;

  const dsl::Definition& definition_;
  std::uint64_t seed_;
  bool has_try_;
  std::map<std::string, Effect> effects_;
};

/// The step of that path in the definition.
const dsl::Step& step_of(const dsl::Definition& definition, const std::string& path);

}  // namespace backstitch::test

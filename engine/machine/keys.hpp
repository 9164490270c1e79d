#pragma once
/// Idempotency keys and what else is derived from the place of a step.
///
/// A key has the characters `A-Z a-z 0-9 - _` only, so it survives every URL, header, file name and
/// router: `<root of the participant>-<path>-<phase>`. Participants compare keys and never parse
/// them, and from the keys that one is sent it cannot foresee those of another.
#include <optional>
#include <string>
#include <string_view>

#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/state.hpp>

#include "locate.hpp"

namespace backstitch::engine {

inline constexpr std::size_t key_chars_max = 128;

/// 128 bits in hex: two texts do not meet by chance, and no one gains from making them meet.
std::string short_digest(std::string_view text);

/// The root of a new saga: what all its keys are derived from, 128 bits in hex. The same start
/// gives the same root, also if the log of the earlier one is lost; whoever does not know the
/// secret cannot foresee it. A sub-saga's is made of its parent's, whatever keys it has; else a
/// business key goes before a caller's key; a start without any is known by its id alone.
std::string root_of_start(const Program& program, const Start& start,
                          const std::optional<std::string>& business_key);
/// What may be told of a root to participants, all of them alike: `saga.root`.
std::string public_root(std::string_view root);

/// The key of a step's action (`forward`) or compensation. Equal arguments give equal keys; two
/// steps, iterations or directions of one saga never share one, not even without regard to case.
/// @pre phase is forward or compensate
/// @param participant that the call goes to, see participant_of
std::string key_of(const Program& program, const SagaState& state, const Located& at, Phase phase,
                   std::string_view participant);
/// What keys for a participant begin with: only who knows the secret can tell.
std::string root_of(const Program& program, const SagaState& state, std::string_view participant);
/// What the URL of a step's callback ends with: the saga, and a part that only who knows the secret
/// can tell. A step that is sent again because the store has lost it is sent the same.
std::string callback_token(const Program& program, const SagaState& state, const Located& at);
/// The way to a step as keys have it: the names, and of iterations a digest of their keys.
std::string key_path(const SagaState& state, const Located& at);
/// The name of a participant among all of them: of a service as the definition calls it, the
/// registered name, or `<definition>/<name>` if it is the definition's own.
std::string participant_of(const dsl::Definition& definition, const std::string& service);

/// The id of the saga that a step starts: in the shard of its parent, so that one node runs both.
/// A digest of the parent, the path and the random number spreads ids that one decision makes.
SagaId child_id(const SagaState& parent, const StepPath& path, TimePoint now, std::uint64_t random);

}  // namespace backstitch::engine

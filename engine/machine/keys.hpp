#pragma once
/// Idempotency keys and what else is derived from the place of a step.
///
/// A key has the characters `A-Z a-z 0-9 - _` only, so it survives every URL, header, file name and
/// router: `<root>-<path>-<phase>`. Participants compare keys and never parse them.
#include <string>
#include <string_view>

#include <backstitch/engine/machine/state.hpp>

#include "locate.hpp"

namespace backstitch::engine {

inline constexpr std::size_t key_chars_max = 128;

/// 128 bits in hex: two texts do not meet by chance, and no one gains from making them meet.
std::string short_digest(std::string_view text);

/// The key of a step's action (`forward`) or compensation. Equal arguments give equal keys; two
/// steps, iterations or directions of one saga never share one, not even without regard to case.
/// @pre phase is forward or compensate
std::string key_of(const SagaState& state, const Located& at, Phase phase);

/// The id of the saga that a step starts: in the shard of its parent, so that one node runs both.
/// A digest of the parent, the path and the random number spreads ids that one decision makes.
SagaId child_id(const SagaState& parent, const StepPath& path, TimePoint now, std::uint64_t random);

}  // namespace backstitch::engine

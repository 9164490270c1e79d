#pragma once
#include <cstdint>
#include <string>

#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/strong_type.hpp>
#include <backstitch/base/time.hpp>

namespace backstitch::engine {

/// Position in a saga's log: 1, 2, … without gaps. 0: nothing stored yet.
using Sequence = StrongType<struct SequenceTag, std::int64_t>;
/// Raised whenever a shard changes hands; what every append is fenced with.
using Epoch = StrongType<struct EpochTag, std::int64_t>;

/// Where a step stands in the tree as it ran: `reserve/flight/holdSeats[7]/holdSeat` (block,
/// branch, block with its iteration, step). A step of the main line is just its name; handlers are
/// `onFailure/name` and, for the n-th suspension, `onSuspended[n]/name`.
using StepPath = std::string;

}  // namespace backstitch::engine

#pragma once
/// How long a saga can take at most, from its timeouts, attempts and waits. Read off the
/// definition: nothing is run.
#include <functional>
#include <optional>
#include <string>

#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine::explore {

/// Unset: unlimited, or it depends on what is not known here (an expression, an unknown child).
struct WorstCase {
  std::optional<Duration> forward;   ///< from the start to COMPLETED, or to where it turns back
  std::optional<Duration> backward;  ///< from there to FAILED, handlers included
};

/// The definition a sub-saga runs; nullptr: not known.
using FindChild = std::function<std::shared_ptr<const dsl::Definition>(
    const std::string& name, std::optional<std::int64_t> version)>;

/// An upper bound without luck: every attempt takes its whole timeout, every wait its whole base.
/// A participant's own `Retry-After` can make it longer where no time is set for all attempts.
WorstCase worst_case(const Program& program, const FindChild& child = {});

/// `1h15m`, or `unlimited`.
std::string to_text(const std::optional<Duration>& bound);

}  // namespace backstitch::engine::explore

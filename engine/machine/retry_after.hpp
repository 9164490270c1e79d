#pragma once
#include <optional>
#include <string_view>

#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::engine {

/// A time as HTTP writes it (RFC 9110, 5.6.7), in any of its three forms. Unset: not a valid date.
std::optional<TimePoint> parse_http_date(std::string_view text);

/// How long the participant asks to wait (RFC 9110, 10.2.3): seconds, or a date less the answer's
/// own `Date`. The longest of several. Negative, fractional and unreadable values count as none,
/// numbers that are too large as retry_after_max.
std::optional<Duration> retry_after_of(const Response& response);

/// Longer than any budget; a wait is cut to the budget, see next_attempt in backoff.hpp.
inline constexpr Duration retry_after_max{std::int64_t{1'000} * 24 * 3'600'000};

}  // namespace backstitch::engine

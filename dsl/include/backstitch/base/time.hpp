#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace backstitch {

/// UTC milliseconds. Every time that is stored, sent or compared.
using TimePoint = std::chrono::sys_time<std::chrono::milliseconds>;
using Duration = std::chrono::milliseconds;

inline constexpr std::int64_t duration_days_max = 3650;  ///< of a duration that is written out

/// `250ms`, `10s`, `1h30m`, `7d`: one or more of number and unit (`ms s m h d`), units in falling
/// order, each at most once, total at most
/// duration_days_max.
/// @return nothing if the text is not a duration
std::optional<Duration> parse_duration(std::string_view text);

/// The shortest text that parse_duration reads back: `1h30m`, `0s`.
std::string to_text(Duration duration);

/// RFC 3339, UTC, milliseconds: `2026-03-01T12:00:00.000Z`.
std::string to_rfc3339(TimePoint time);

/// RFC 3339 with any offset and any number of fraction digits (cut to milliseconds); leap second
/// 60 is read as 59. @return nothing if the text is not such a time or lies outside years 1-9999
std::optional<TimePoint> parse_rfc3339(std::string_view text);

}  // namespace backstitch

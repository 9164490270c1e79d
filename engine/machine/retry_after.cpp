#include "retry_after.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string>
#include <vector>

namespace backstitch::engine {
namespace {

constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// The words of a date, its separators removed: `06 Nov 1994 08 49 37`.
std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::string_view separators = " ,-:";
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const auto begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) break;
    const auto end = std::min(text.find_first_of(separators, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
  return words;
}

/// Unset: not a number of at most four digits.
std::optional<int> small_number(std::string_view word) {
  int value = 0;
  if (!is_number(word) || word.size() > 4) return std::nullopt;
  std::from_chars(word.data(), word.data() + word.size(), value);
  return value;
}

std::optional<TimePoint> time_of(std::string_view day, std::string_view month,
                                 std::string_view year, const std::string_view* clock) {
  const auto d = small_number(day);
  auto y = small_number(year);
  const auto hour = small_number(clock[0]);
  const auto minute = small_number(clock[1]);
  const auto second = small_number(clock[2]);
  const auto found = std::find(months.begin(), months.end(), month);
  if (!d || !y || !hour || !minute || !second || found == months.end()) return std::nullopt;
  // The obsolete form has two digits; both centuries that may be meant are far from each other.
  if (year.size() == 2) *y += *y < 70 ? 2'000 : 1'900;
  const std::chrono::year_month_day date{
      std::chrono::year{*y}, std::chrono::month{static_cast<unsigned>(found - months.begin()) + 1},
      std::chrono::day{static_cast<unsigned>(*d)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const auto days = std::chrono::sys_days{date}.time_since_epoch();
  return TimePoint{std::chrono::duration_cast<Duration>(days) + std::chrono::hours{*hour} +
                   std::chrono::minutes{*minute} + std::chrono::seconds{*second}};
}

/// One value: whole seconds, or a date.
std::optional<Duration> wait_of(std::string_view value, const std::optional<TimePoint>& date) {
  if (is_number(value)) {
    std::int64_t seconds = 0;
    const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    const bool fits = error == std::errc{} && seconds <= retry_after_max.count() / 1'000;
    return fits ? Duration{seconds * 1'000} : retry_after_max;
  }
  const auto until = parse_http_date(value);
  if (!until || !date || *until < *date) return std::nullopt;
  return std::min(*until - *date, retry_after_max);
}

}  // namespace

std::optional<TimePoint> parse_http_date(std::string_view text) {
  const auto words = words_of(text);
  // Sun, 06 Nov 1994 08:49:37 GMT - or, obsolete, Sunday, 06-Nov-94 08:49:37 GMT
  if (words.size() == 8 && words[7] == "GMT")
    return time_of(words[1], words[2], words[3], &words[4]);
  // Sun Nov  6 08:49:37 1994
  if (words.size() == 7) return time_of(words[2], words[1], words[6], &words[3]);
  return std::nullopt;
}

std::optional<Duration> retry_after_of(const Response& response) {
  std::optional<TimePoint> date;
  for (const auto& [name, value] : response.headers) {
    if (name == "date" && !date) date = parse_http_date(trimmed(value));
  }
  std::optional<Duration> longest;
  const auto take = [&](std::string_view value) {
    const auto wait = wait_of(trimmed(value), date);
    if (wait && (!longest || *wait > *longest)) longest = wait;
  };
  for (const auto& [name, value] : response.headers) {
    if (name != "retry-after") continue;
    take(value);
    // An intermediary may have joined several into one.
    std::string_view rest = value;
    for (auto comma = rest.find(','); comma != std::string_view::npos; comma = rest.find(',')) {
      take(rest.substr(0, comma));
      rest.remove_prefix(comma + 1);
    }
    take(rest);
  }
  return longest;
}

}  // namespace backstitch::engine

#include <openssl/evp.h>

#include <array>
#include <cstdio>

#include <backstitch/base/digest.hpp>
#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>

#include "functions.hpp"

namespace backstitch::dsl {
namespace {

TimePoint time_of(const Arguments& a, std::size_t i) {
  if (const auto time = parse_rfc3339(a.text(i))) return *time;
  a.fail("takes an RFC 3339 time as argument " + std::to_string(i + 1) + ", not " + shown(a[i]));
}

/// dateAdd(time, '1h30m') or dateAdd(time, '-1d').
Json date_add(const Arguments& a) {
  const TimePoint time = time_of(a, 0);
  std::string_view text = a.text(1);
  const bool back = text.starts_with('-');
  if (back) text.remove_prefix(1);
  const auto duration = parse_duration(text);
  if (!duration) {
    a.fail("takes a duration like 1h30m or -7d, of at most " + std::to_string(duration_days_max) +
           " days, with the units d, h, m, s, ms; not " + shown(a[1]));
  }
  const TimePoint moved = back ? time - *duration : time + *duration;
  const std::string result = to_rfc3339(moved);
  if (!parse_rfc3339(result)) a.fail("leaves the years 1 to 9999");
  return result;
}

struct Letter {
  std::string_view pattern;
  int width;
};
constexpr std::array<Letter, 7> letters{
    {{"yyyy", 4}, {"MM", 2}, {"dd", 2}, {"HH", 2}, {"mm", 2}, {"ss", 2}, {"SSS", 3}}};

/// dateFormat(time, 'yyyy-MM-dd HH:mm:ss.SSS'), UTC; other letters are a mistake, the rest stays as
/// it is.
Json date_format(const Arguments& a) {
  const TimePoint time = time_of(a, 0);
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  const std::array<int, 7> values{static_cast<int>(date.year()),
                                  static_cast<int>(static_cast<unsigned>(date.month())),
                                  static_cast<int>(static_cast<unsigned>(date.day())),
                                  static_cast<int>(clock.hours().count()),
                                  static_cast<int>(clock.minutes().count()),
                                  static_cast<int>(clock.seconds().count()),
                                  static_cast<int>(clock.subseconds().count())};
  std::string_view pattern = a.text(1);
  std::string out;
  while (!pattern.empty()) {
    std::size_t i = 0;
    while (i < letters.size() && !pattern.starts_with(letters[i].pattern)) ++i;
    if (i < letters.size()) {
      std::array<char, 16> digits{};
      std::snprintf(digits.data(), digits.size(), "%0*d", letters[i].width, values[i]);
      out += digits.data();
      pattern.remove_prefix(letters[i].pattern.size());
      continue;
    }
    const char c = pattern.front();
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      if (c != 'T' && c != 'Z')
        a.fail("knows yyyy MM dd HH mm ss SSS, not `" + std::string(1, c) + "`");
    }
    out += c;
    pattern.remove_prefix(1);
  }
  return out;
}

Json base64(const Arguments& a) {
  const std::string& text = a.text(0);
  a.evaluation.check_size(a.node, text.size() / 3 * 4 + 6);
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

/// A UUID of version 8 (RFC 9562) made of SHA-256(saga.root, name): the same name gives the same
/// identifier in one saga, also if its start is repeated after its log was lost, and another one
/// elsewhere.
Json uuid(const Arguments& a) {
  const std::string& name = a.text(0);
  const Json* saga = a.evaluation.scope().find("saga");
  if (saga == nullptr || !saga->contains("root") || !(*saga)["root"].is_string())
    a.fail("needs a saga");
  const auto digest = sha256((*saga)["root"].get_ref<const std::string&>() + '\n' + name);
  std::array<std::uint8_t, 16> bytes{};
  std::copy_n(digest.begin(), bytes.size(), bytes.begin());
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0FU) | 0x80U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3FU) | 0x80U);
  return SagaId(bytes).text();
}

}  // namespace

std::vector<Function> time_and_hash_functions() {
  return {
      {{"base64", 1, 1, "string", {"string"}}, base64},
      {{"dateAdd", 2, 2, "string", {"string"}}, date_add},
      {{"dateDiff", 2, 2, "integer", {"string"}},
       [](const Arguments& a) -> Json { return (time_of(a, 0) - time_of(a, 1)).count(); }},
      {{"dateFormat", 2, 2, "string", {"string"}}, date_format},
      {{"sha256", 1, 1, "string", {"string"}},
       [](const Arguments& a) -> Json { return sha256_hex(a.text(0)); }},
      {{"uuid", 1, 1, "string", {"string"}}, uuid},
  };
}

}  // namespace backstitch::dsl

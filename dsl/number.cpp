#include <backstitch/dsl/number.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <nlohmann/json.hpp>

namespace backstitch::dsl {
namespace {

constexpr double two_to_63 = 9223372036854775808.0;
constexpr std::int64_t integer_digits_max = 19;
constexpr std::int64_t exponent_max = 1'000'000'000;

/// An exact value: digits times ten to the exponent. Zero has no digits; no others begin or end
/// with 0.
struct Decimal {
  bool negative = false;
  std::string digits;
  std::int64_t exponent = 0;
  bool operator==(const Decimal&) const = default;

  bool is_integral() const { return exponent >= 0; }
  /// How many digits stand before the point.
  std::int64_t magnitude() const { return static_cast<std::int64_t>(digits.size()) + exponent; }
};

/// What no document can need is cut off at a bound far outside of every double.
std::int64_t exponent_of(std::string_view text) {
  if (text.empty()) return 0;
  if (text.front() == '+') text.remove_prefix(1);
  std::int64_t exponent = 0;
  const auto error = std::from_chars(text.data(), text.data() + text.size(), exponent).ec;
  const std::int64_t most = text.front() == '-' ? -exponent_max : exponent_max;
  return error == std::errc{} ? std::clamp(exponent, -exponent_max, exponent_max) : most;
}

Decimal decimal_of(std::string_view text) {
  Decimal out;
  if (text.front() == '-') {
    out.negative = true;
    text.remove_prefix(1);
  }
  const auto mark = std::min(text.find_first_of("eE"), text.size());
  const std::string_view mantissa = text.substr(0, mark);
  if (mark < text.size()) out.exponent = exponent_of(text.substr(mark + 1));
  const auto point = std::min(mantissa.find('.'), mantissa.size());
  out.digits = mantissa.substr(0, point);
  if (point < mantissa.size()) {
    out.digits += mantissa.substr(point + 1);
    out.exponent -= static_cast<std::int64_t>(mantissa.size() - point - 1);
  }
  const auto last = out.digits.find_last_not_of('0');
  if (last == std::string::npos) return {};
  out.exponent += static_cast<std::int64_t>(out.digits.size() - last - 1);
  out.digits.erase(last + 1);
  out.digits.erase(0, out.digits.find_first_not_of('0'));
  return out;
}

std::optional<std::int64_t> integer_of(const Decimal& exact) {
  if (!exact.is_integral() || exact.magnitude() > integer_digits_max) return std::nullopt;
  std::string text = exact.negative ? "-" : "";
  text += exact.digits;
  text.append(static_cast<std::size_t>(exact.exponent), '0');
  std::int64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{})
    return std::nullopt;
  return value;
}

/// Nothing: larger than every double.
std::optional<double> double_of(std::string_view text, const Decimal& exact) {
  double value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc{})
    return value;
  return exact.magnitude() > 0 ? std::nullopt : std::optional(0.0);
}

/// Other notations of std::to_chars fill up large values with the digits of the exact one.
Decimal shortest(double value) {
  char text[32];
  const auto end =
      std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  return decimal_of({text, static_cast<std::size_t>(end - text)});
}

}  // namespace

Json number(double value) {
  if (value >= -two_to_63 && value < two_to_63 && value == std::trunc(value))
    return static_cast<std::int64_t>(value);
  return value;
}

std::optional<Json> number_of(std::string_view text) {
  const Decimal exact = decimal_of(text);
  if (exact.digits.empty()) return 0;
  if (const auto integer = integer_of(exact)) return *integer;
  const auto nearest = double_of(text, exact);
  if (!nearest || (exact.is_integral() && shortest(*nearest) != exact)) return std::nullopt;
  return number(*nearest);
}

Json stored_number(std::string_view text) {
  const Decimal exact = decimal_of(text);
  if (exact.digits.empty()) return 0;
  if (const auto integer = integer_of(exact)) return *integer;
  const double most = std::numeric_limits<double>::max();
  return number(double_of(text, exact).value_or(exact.negative ? -most : most));
}

}  // namespace backstitch::dsl

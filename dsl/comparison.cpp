#include "comparison.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <nlohmann/json.hpp>

namespace backstitch::dsl {
namespace {

/// -1, 0 or 1. Converting the integer to a double would make different numbers equal above 2^53.
int compared(std::int64_t integer, double real) {
  constexpr double two_to_63 = 9223372036854775808.0;
  if (real >= two_to_63) return -1;
  if (real < -two_to_63) return 1;
  const double whole = std::trunc(real);
  const auto truncated = static_cast<std::int64_t>(whole);
  if (integer != truncated) return integer < truncated ? -1 : 1;
  if (real == whole) return 0;
  return real > whole ? -1 : 1;
}

template <class T>
int order(const T& a, const T& b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

int compared(const Json& left, const Json& right) {
  if (left.is_number_float() && right.is_number_float())
    return order(left.get<double>(), right.get<double>());
  if (left.is_number_float()) return -compared(right.get<std::int64_t>(), left.get<double>());
  if (right.is_number_float()) return compared(left.get<std::int64_t>(), right.get<double>());
  return order(left.get<std::int64_t>(), right.get<std::int64_t>());
}

}  // namespace

bool equal(const Json& left, const Json& right) {
  if (left.is_number() && right.is_number()) return compared(left, right) == 0;
  if (left.type() != right.type()) return false;
  if (left.is_array()) {
    return left.size() == right.size() &&
           std::equal(left.begin(), left.end(), right.begin(), equal);
  }
  if (!left.is_object()) return left == right;
  if (left.size() != right.size()) return false;
  // Both are sorted by name.
  for (auto a = left.begin(), b = right.begin(); a != left.end(); ++a, ++b) {
    if (a.key() != b.key() || !equal(a.value(), b.value())) return false;
  }
  return true;
}

int order_of(const Json& left, const Json& right) {
  if (left.is_number() && right.is_number()) return compared(left, right);
  if (left.type() != right.type()) return order(left.type(), right.type());
  if (!left.is_structured()) return order(left, right);
  const bool named = left.is_object();
  for (auto a = left.begin(), b = right.begin(); a != left.end() && b != right.end(); ++a, ++b) {
    const int names = named ? order(a.key(), b.key()) : 0;
    const int found = names != 0 ? names : order_of(*a, *b);
    if (found != 0) return found;
  }
  return order(left.size(), right.size());
}

bool holds(const Json& array, const Json& value) {
  return std::any_of(array.begin(), array.end(),
                     [&](const Json& item) { return equal(item, value); });
}

bool less(const Json& left, const Json& right) {
  if (left.is_number()) return compared(left, right) < 0;
  return left.get_ref<const std::string&>() < right.get_ref<const std::string&>();
}

}  // namespace backstitch::dsl

#include "nearest.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace backstitch::dsl {
namespace {

constexpr std::size_t hint_distance_max = 2;
constexpr std::size_t compared_chars_max = 64;

/// Insertions, deletions and changes of a character that lead from `a` to `b`, as far as they are
/// at most hint_distance_max; else more than that.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  constexpr std::size_t too_far = hint_distance_max + 1;
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > hint_distance_max) return too_far;
  std::array<std::size_t, compared_chars_max + 1> row{};
  for (std::size_t j = 0; j <= a.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= b.size(); ++i) {
    std::size_t diagonal = row[0];
    std::size_t least = row[0] = i;
    for (std::size_t j = 1; j <= a.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (b[i - 1] == a[j - 1] ? 0 : 1)});
      diagonal = above;
      least = std::min(least, row[j]);
    }
    if (least > hint_distance_max) return too_far;
  }
  return row[a.size()];
}

}  // namespace

std::string nearest(std::string_view text, const std::vector<std::string>& names) {
  if (text.size() > compared_chars_max || names.size() > names_max) return {};
  const std::string* best = nullptr;
  std::size_t least = hint_distance_max + 1;
  for (const auto& name : names) {
    if (name.size() > compared_chars_max) continue;
    const std::size_t distance = edit_distance(text, name);
    if (distance < least && distance < name.size()) {
      least = distance;
      best = &name;
    }
  }
  return best == nullptr ? std::string{} : *best;
}

std::string did_you_mean(std::string_view text, const std::vector<std::string>& names,
                         std::string otherwise) {
  const std::string near = nearest(text, names);
  return near.empty() ? std::move(otherwise) : "did you mean `" + near + "`?";
}

}  // namespace backstitch::dsl

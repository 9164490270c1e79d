#include <backstitch/dsl/nearest.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace backstitch::dsl {
namespace {

constexpr std::size_t hint_distance_max = 2;
/// Two changes make any short word out of any other: `race` is not a misspelt `name`.
constexpr std::size_t short_word_chars_max = 5;
constexpr std::size_t compared_chars_max = 64;

/// Insertions, deletions and changes of a character, and swaps of two neighbours, that lead from
/// `a` to `b`, as far as they are at most hint_distance_max; else more than that.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  constexpr std::size_t too_far = hint_distance_max + 1;
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > hint_distance_max) return too_far;
  using Row = std::array<std::size_t, compared_chars_max + 1>;
  Row before{};  // two rows up
  Row above{};
  Row row{};
  for (std::size_t j = 0; j <= a.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= b.size(); ++i) {
    before = above;
    above = row;
    std::size_t least = row[0] = i;
    for (std::size_t j = 1; j <= a.size(); ++j) {
      const bool same = b[i - 1] == a[j - 1];
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && b[i - 1] == a[j - 2] && b[i - 2] == a[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
      least = std::min(least, row[j]);
    }
    if (least > hint_distance_max) return too_far;
  }
  return row[a.size()];
}

std::size_t distance_max(std::string_view text) {
  return text.size() <= short_word_chars_max ? 1 : hint_distance_max;
}

}  // namespace

std::string nearest(std::string_view text, const std::vector<std::string>& names) {
  if (text.size() > compared_chars_max || names.size() > names_max) return {};
  const std::string* best = nullptr;
  std::size_t least = distance_max(text) + 1;
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

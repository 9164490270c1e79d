#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace backstitch::dsl {

inline constexpr std::size_t names_max = 1'000;

/// The name nearest to `text`, if it is near enough to be meant; else empty. Each is compared, so
/// among more than names_max nothing is near.
std::string nearest(std::string_view text, const std::vector<std::string>& names);

/// The names of a map, as far as it makes sense to look for a near one among them.
template <class Map>
std::vector<std::string> names_of(const Map& map) {
  std::vector<std::string> names;
  if (map.size() > names_max) return names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

/// "did you mean `name`?", or `otherwise` where nothing is near.
std::string did_you_mean(std::string_view text, const std::vector<std::string>& names,
                         std::string otherwise = {});

}  // namespace backstitch::dsl

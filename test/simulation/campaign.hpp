#pragma once
#include <cstddef>
#include <cstdint>
#include <ostream>

namespace backstitch::simulation {

/// Many seeds, spread over processes: what brings one down is found by its seed.
struct Campaign {
  std::uint64_t seeds = 10'000;
  std::uint64_t from = 1;
  std::size_t workers = 2;
};

/// From so many seeds on every rare path has to be reached.
inline constexpr std::uint64_t seeds_for_all_paths = 1'000;

/// Plays all seeds and reports. @return whether nothing was violated and no rare path was missed
bool run(const Campaign& campaign, std::ostream& out);

}  // namespace backstitch::simulation

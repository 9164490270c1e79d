#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "corpus.hpp"
#include "rare.hpp"

namespace backstitch::simulation {

struct Outcome {
  std::vector<std::string> violations;
  std::vector<std::string> trace;  ///< empty unless it was asked for
  Coverage coverage;
  std::size_t sagas = 0;
  std::size_t appends = 0;
  std::int64_t virtual_millis = 0;
};

/// Plays one seed from beginning to end and checks what is left behind. Everything, the number of
/// nodes and what befalls them included, follows from the seed.
Outcome simulate(std::uint64_t seed, Corpus& corpus, bool traced);

}  // namespace backstitch::simulation

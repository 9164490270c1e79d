#pragma once
#include <string>
#include <vector>

#include "evidence.hpp"
#include "rare.hpp"

namespace backstitch::simulation {

/// Holds the promises against what was left behind. Knows the language and the log by their
/// documents; shares no code with the engine. @return what is broken, each with its promise
std::vector<std::string> check(const Evidence& evidence);

/// Which rare paths the logs show.
void cover(const Evidence& evidence, Coverage& coverage);

}  // namespace backstitch::simulation

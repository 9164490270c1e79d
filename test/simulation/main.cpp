/// `simulate [--seeds N] [--from S] [--seed S] [--trace] [--workers N]`; exits 1 on a violation.
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>

#include "campaign.hpp"
#include "simulation.hpp"

namespace {

using namespace backstitch::simulation;

struct Arguments {
  Campaign campaign;
  std::optional<std::uint64_t> seed;
  bool trace = false;
};

std::optional<Arguments> arguments(int count, char** values) {
  Arguments out;
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    if (name == "--trace") {
      out.trace = true;
      continue;
    }
    if (i + 1 >= count) return std::nullopt;
    char* end = nullptr;
    const std::uint64_t number = std::strtoull(values[++i], &end, 10);
    if (*end != '\0') return std::nullopt;
    if (name == "--seeds")
      out.campaign.seeds = number;
    else if (name == "--from")
      out.campaign.from = number;
    else if (name == "--seed")
      out.seed = number;
    else if (name == "--workers" && number > 0)
      out.campaign.workers = number;
    else
      return std::nullopt;
  }
  return out;
}

int play_one(std::uint64_t seed, bool trace) {
  Corpus corpus;
  const Outcome outcome = simulate(seed, corpus, trace);
  for (const auto& line : outcome.trace) std::cout << line << '\n';
  for (const auto& violation : outcome.violations)
    std::cout << "seed " << seed << ": " << violation << '\n';
  std::cout << "seed " << seed << ": " << outcome.sagas << " sagas, " << outcome.appends
            << " appends, " << outcome.violations.size() << " violations\n";
  return outcome.violations.empty() ? 0 : 1;
}

}  // namespace

int main(int count, char** values) {
  const auto asked = arguments(count, values);
  if (!asked) {
    std::cerr << "usage: simulate [--seeds N] [--from S] [--workers N] | --seed S [--trace]\n";
    return 2;
  }
  if (asked->seed) return play_one(*asked->seed, asked->trace);
  return run(asked->campaign, std::cout) ? 0 : 1;
}

#pragma once
#include <cstddef>
#include <cstdint>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::test {

/// Which words of the language may be used.
struct Vocabulary {
  bool blocks = true;  ///< parallel, switch, forEach, try; else the main line is all there is
  bool pauses = true;  ///< wait, sleep
  bool on_suspended = true;
  /// What a careful author does not write: waived and conditional compensations, rules that a
  /// router's page satisfies, expressions that fail on purpose.
  bool mistakes = true;
};
inline constexpr Vocabulary plain_steps{false, false, false};
inline constexpr Vocabulary without_mistakes{true, true, true, false};

struct RandomDefinition {
  Json document;
  Json input;  ///< one that the definition's schema admits
};

inline constexpr std::size_t random_leaves_max = 12;

/// A definition that passes the checker, made of `leaves` steps at the most (handlers are extra).
/// Equal arguments give equal definitions; a smaller number of leaves gives a smaller one, which is
/// how a failure found with one is made smaller.
///
/// What is read at run time is there, if participants answer with `{"n": <number>}` and signals
/// have such a payload: the only expression that fails on purpose is `${1 / 0 …}` in a value.
RandomDefinition random_definition(std::uint64_t seed, std::size_t leaves = random_leaves_max,
                                   const Vocabulary& vocabulary = {});

}  // namespace backstitch::test

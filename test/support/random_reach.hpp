#pragma once
/// What a random expression may read where it stands. Private to the random definitions.
#include <string>
#include <vector>

#include "dice.hpp"

namespace backstitch::test {

/// What the output of a step looks like.
enum class Shape {
  number,  ///< {n: number}
  signal,  ///< {payload: {n: number}, …}
  list     ///< [{n: number}, …]
};

struct Readable {
  std::string step;
  Shape shape = Shape::number;
  bool operator==(const Readable&) const = default;
};

/// The steps that certainly succeeded at a place, and those that may have.
struct Reach {
  std::vector<Readable> must;
  std::vector<Readable> may;
};
Reach united(const Reach& a, const Reach& b);
/// After one of several ways: certain is what is certain on each of them.
Reach either(const std::vector<Reach>& ways);

/// Where a step stands.
struct Place {
  std::size_t depth = 0;
  bool after_pivot = false;
  bool forward = false;  ///< nothing may fail: forward recovery, or a handler
  bool handler = false;
  bool failure = false;              ///< `failure` may be read
  std::vector<std::string> numbers;  ///< of the loops around: `item1.n`, `i1`
  Reach reach;
};

/// An expression that gives an integer, without `${ }`; it always reads something.
std::string random_number(Dice& dice, const Place& at);
/// One that gives true or false.
std::string random_condition(Dice& dice, const Place& at);

}  // namespace backstitch::test

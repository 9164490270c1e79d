#pragma once
/// What an expression can rely on where it stands. Private to dsl/check.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "types.hpp"
#include "walk.hpp"

namespace backstitch::dsl {

/// Which steps have succeeded at a place: certainly, maybe, or never before it. One vector for the
/// whole walk: what a list added can be taken back, so that the walk is linear.
class Reach {
 public:
  enum class Level : std::uint8_t { never, maybe, certain };
  struct Added {
    std::size_t step;
    Level level;
  };

  explicit Reach(std::size_t steps) : levels_(steps, Level::never) {}

  Level of(std::size_t step) const { return levels_[step]; }
  void add(Added added) {
    if (levels_[added.step] != Level::never) return;
    levels_[added.step] = added.level;
    trail_.push_back(added.step);
  }
  void add(const std::vector<Added>& all) {
    for (const Added& one : all) add(one);
  }
  std::size_t mark() const { return trail_.size(); }
  /// Removes what was added since the mark.
  std::vector<Added> take_back(std::size_t mark) {
    std::vector<Added> added;
    for (std::size_t i = mark; i < trail_.size(); ++i) {
      added.push_back({trail_[i], levels_[trail_[i]]});
      levels_[trail_[i]] = Level::never;
    }
    trail_.resize(mark);
    return added;
  }
  /// What was added since the mark is no longer certain.
  void weaken(std::size_t mark) {
    for (std::size_t i = mark; i < trail_.size(); ++i) levels_[trail_[i]] = Level::maybe;
  }

 private:
  std::vector<Level> levels_;
  std::vector<std::size_t> trail_;
};

struct Variable {
  std::string name;
  Type type;
};

/// The steps by number, in the order of the text, and what is known of each.
struct Surroundings {
  explicit Surroundings(const Definition& definition);

  static constexpr std::size_t nowhere = SIZE_MAX;
  std::size_t number_of(const std::string& step) const;
  const Variable* variable(std::string_view name) const;

  std::vector<std::string> names;
  std::vector<const Step*> declared;     ///< by number
  std::set<const Step*> without_output;  ///< of those that were walked
  std::unordered_map<std::string, std::size_t> numbers;
  std::vector<Type> steps;    ///< of those that were walked
  std::vector<bool> is_read;  ///< by some expression
  std::vector<bool> is_raw;   ///< the output is what a participant answered, whole
  Reach reach;
  std::vector<Variable> variables;  ///< of the loops around
  bool unnamed_variable = false;    ///< a loop whose variable could not be read is around
};

}  // namespace backstitch::dsl

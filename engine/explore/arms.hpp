#pragma once
/// Takes both arms of conditions of which the made-up data reaches only one.
///
/// A condition that was only ever true, or only ever false, is made *free*: the explorer then takes
/// the other arm as well, as an assumption. What was decided is kept along the way, so that the
/// same condition over the same values goes one way in one story (symbolic execution with an opaque
/// predicate: King, "Symbolic Execution and Program Testing", CACM 19(7), 1976).
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <backstitch/dsl/expression.hpp>

namespace backstitch::engine::explore {

/// What was decided of free conditions on the way to a position.
struct Decided {
  std::vector<std::pair<std::uint32_t, bool>> arms;  ///< by question, in ascending order
  bool assumed = false;  ///< an arm was taken that the data of this way does not reach
  bool operator==(const Decided&) const = default;
};

/// Conditions of which one arm has to be assumed.
using FreeConditions = std::unordered_set<const dsl::Node*>;

/// Which arms of conditions the data reaches. By itself it leaves conditions as they are.
class Coverage : public dsl::ConditionOracle {
 public:
  bool decide(const dsl::Node& condition, bool holds, const std::function<Json()>&) override {
    seen_[&condition] |= holds ? on_true : on_false;
    return holds;
  }
  /// Conditions that were only ever true, or only ever false.
  FreeConditions one_sided() const;
  /// `input.a > input.b was never true`, of those among `free`.
  std::vector<std::string> assumptions(const FreeConditions& free) const;

 private:
  static constexpr std::uint8_t on_false = 1, on_true = 2;
  std::unordered_map<const dsl::Node*, std::uint8_t> seen_;
};

/// Questions whose answer is turned round in one move, in ascending order.
using Flips = std::vector<std::uint32_t>;

class Arms : public dsl::ConditionOracle {
 public:
  /// @param decided  of the position at hand
  Arms(const FreeConditions& free, Coverage& coverage, Decided& decided)
      : free_(free), coverage_(coverage), decided_(decided) {}

  bool decide(const dsl::Node& condition, bool holds, const std::function<Json()>& read) override;

  /// A move begins. @param script  a number that script_of() gave; 0: nothing is assumed
  void play(std::uint16_t script);
  /// @return its number; unset: there are too many
  std::optional<std::uint16_t> script_of(const Flips& flips);
  const Flips& flips_of(std::uint16_t script) const { return scripts_[script]; }
  /// The questions that the move came to first, in the order in which it did.
  const Flips& met() const { return met_; }
  /// `assuming that input.a > input.b`
  std::string told(std::uint32_t question) const;

 private:
  /// A condition without its negation: `a <= b` is asked as `a > b`.
  struct Asked {
    std::string text;
    bool negated = false;
  };
  struct Question {
    std::string text;
    bool holds = false;  ///< by the data
  };
  const Asked& asked(const dsl::Node& condition);

  const FreeConditions& free_;
  Coverage& coverage_;
  Decided& decided_;
  Flips flips_;
  Flips met_;
  std::vector<Flips> scripts_{{}};
  std::map<Flips, std::uint16_t> script_numbers_{{{}, 0}};
  std::unordered_map<const dsl::Node*, Asked> asked_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::vector<Question> questions_;
};

}  // namespace backstitch::engine::explore

#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger.hpp"

namespace backstitch::examples {

/// One broken promise, with the entries that show it.
struct Violation {
  std::string promise;  ///< of the design: I3, I4, I5 or I9
  std::string code;     ///< stable, e.g. `two-effects-for-one-key`
  std::string saga;
  std::string message;
  std::vector<std::int64_t> entries;  ///< their `seq`
};

/// What a saga's definition allows beyond a plain sequence of steps.
struct CheckRules {
  bool mirror_order = true;  ///< false: branches that ran at once are also undone at once
  /// Services called within a save-point: their effects may be undone while the others stand, and
  /// the saga may still succeed.
  std::span<const std::string_view> save_point;
};

/// Judges a ledger by itself. Meant for a moment when no saga is running: a saga that is half way
/// through its undos breaks "all or none" and cannot be told from one that stopped there.
/// Pure; callable from any thread.
std::vector<Violation> check(const std::vector<Entry>& entries, const CheckRules& rules);

}  // namespace backstitch::examples

#pragma once
#include <cstdint>
#include <string>
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

/// Judges a ledger by itself. Meant for a moment when no saga is running: a saga that is half way
/// through its undos breaks "all or none" and cannot be told from one that stopped there.
/// Pure; callable from any thread.
std::vector<Violation> check(const std::vector<Entry>& entries);

}  // namespace backstitch::examples

#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include <backstitch/engine/ports/observer.hpp>

#include "failure.hpp"

namespace backstitch::postgres {

/// Counts the database's failures, and writes them to the log: the only place where what the server
/// says is shown. Of one kind at most a line a second, which says how many were left out; what is
/// tried again and usually succeeds is no warning. Threads: any.
class FailureLog {
 public:
  /// @param observer nullptr: nothing is written
  explicit FailureLog(engine::Observer* observer) : observer_(observer) {}

  /// @param lane of the connection, e.g. `lane 0`; see SessionOptions
  /// @param statement that failed, or `connect`
  void note(std::string_view lane, std::string_view statement, const Failure& failure);

  /// Failures so far by the class of their SQLSTATE, its first two characters; `none` if a
  /// connection broke or could not be opened and no server said why, `refused` if we refused it.
  std::map<std::string, std::uint64_t> counts() const;

 private:
  struct Line {
    std::chrono::steady_clock::time_point next{};
    std::size_t left_out = 0;
  };

  engine::Observer* const observer_;
  mutable std::mutex mutex_;
  std::map<std::string, Line> lines_;  ///< by lane, statement and SQLSTATE, of which there are few
  std::map<std::string, std::uint64_t> counts_;
};

}  // namespace backstitch::postgres

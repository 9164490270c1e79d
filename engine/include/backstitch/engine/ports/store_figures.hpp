#pragma once
/// What a store says about itself for people and monitoring.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace backstitch::engine {

/// How often a value was at most each bound, above the bound before; the last count is of what
/// exceeds every bound.
struct Histogram {
  std::vector<double> bounds;
  std::vector<std::uint64_t> counts;  ///< one more than bounds
  double sum = 0;
};

/// How many there are, and for how long the oldest has been there.
struct Backlog {
  std::uint64_t count = 0;
  std::chrono::seconds oldest{0};
};

/// Of the whole database, read every now and then. Counts end at DatabaseFigures::count_max.
struct DatabaseFigures {
  static constexpr std::uint64_t count_max = 20'000;

  /// By status, of those that have not ended or need a person: the others may be any number.
  std::map<std::string, std::uint64_t> sagas;
  Backlog suspended;  ///< since its last event
  /// RUNNING or COMPENSATING and not asleep: since its last event, or since it should have woken.
  std::chrono::seconds longest_without_progress{0};
  Backlog inbox_starts;
  Backlog inbox_commands;
  std::uint64_t inbox_set_aside = 0;
  Backlog retention_overdue;  ///< sagas whose time to be kept is over
};

/// Totals are since the start of the process.
struct StoreFigures {
  std::optional<Histogram> append_seconds;      ///< of a batch, from its send to its outcome
  std::optional<Histogram> append_batch;        ///< appends of a batch
  std::map<std::string, std::uint64_t> errors;  ///< by class of SQLSTATE, `none` or `refused`
  std::uint64_t reconnects = 0;
  std::uint64_t read_backs = 0;  ///< batches whose answer was lost, and that were looked up
  std::size_t reads_waiting = 0;
  std::size_t renewals_waiting = 0;
  std::optional<bool> is_identity_known;    ///< of the server that the store works on
  std::uint64_t lineage_changes = 0;        ///< how often it turned out to be set back or promoted
  std::optional<DatabaseFigures> database;  ///< nothing: they cannot be read now
};

}  // namespace backstitch::engine

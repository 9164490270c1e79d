#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "faults.hpp"
#include "http.hpp"
#include "ledger.hpp"
#include "routes.hpp"

namespace backstitch::examples {

/// What a service has seen since the program started.
struct Counters {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bench{0};      ///< of those, to the benchmark's endpoints
  std::atomic<std::uint64_t> disturbed{0};  ///< of those, by a fault
};

class Service;

/// The five services of the order saga and what they share: one ledger and one set of faults.
/// Threads: any. One lock makes the work of each request a single step.
class Participants {
 public:
  Participants();
  ~Participants();
  Participants(const Participants&) = delete;
  Participants& operator=(const Participants&) = delete;

  /// Continues from a ledger file: keys, answers and authorisations are as they were.
  /// Returns what is wrong with the file, if anything. Call it before serving.
  std::optional<std::string> open_ledger(const std::string& file);

  /// Both with @pre index < service_names.size()
  Handler& handler(std::size_t index);
  const Counters& counters(std::size_t index) const;

  Faults& faults() { return faults_; }

  /// A copy, so that it can be judged or printed while requests go on.
  std::vector<Entry> entries() const;

  /// Forgets everything that was done, keys included. Faults and counters stay.
  void clear();

 private:
  friend class Service;
  mutable std::mutex mutex_;  ///< for the ledger and every service's keys
  Ledger ledger_;
  Faults faults_;
  std::array<std::unique_ptr<Service>, service_names.size()> services_;
};

}  // namespace backstitch::examples

#pragma once
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "callbacks.hpp"
#include "faults.hpp"
#include "http.hpp"
#include "ledger.hpp"
#include "routes.hpp"

namespace backstitch::examples {

struct Counters;
class Service;

/// The services of one example and what they share: one ledger and one set of faults.
/// Threads: any. One lock makes the work of each request a single step.
class Participants {
 public:
  /// Actions that are decided later are decided `decision_delay` after they were accepted.
  Participants(const Business& business, std::chrono::milliseconds decision_delay);
  ~Participants();
  Participants(const Participants&) = delete;
  Participants& operator=(const Participants&) = delete;

  /// Continues from a ledger file: keys, answers, things and what is not yet decided or told are
  /// as they were. Returns what is wrong with the file, if anything. Call it before serving.
  std::optional<std::string> open_ledger(const std::string& file);

  const Business& business() const { return business_; }

  /// Both with @pre index < business().services.size()
  Handler& handler(std::size_t index);
  const Counters& counters(std::size_t index) const;

  Faults& faults() { return faults_; }

  /// A copy, so that it can be judged or printed while requests go on.
  std::vector<Entry> entries() const;

  /// Forgets everything that was done, keys included. Faults and counters stay.
  void clear();

 private:
  friend class Service;
  const Business& business_;
  const std::chrono::milliseconds decision_delay_;
  mutable std::mutex mutex_;  ///< for the ledger and every service's keys
  Ledger ledger_;
  Faults faults_;
  std::vector<std::unique_ptr<Service>> services_;
  Later later_;  ///< last: its tasks use the others
};

}  // namespace backstitch::examples

#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http.hpp"
#include "routes.hpp"

namespace backstitch::examples {

/// How a request is disturbed.
enum class FaultMode {
  refuse,        ///< answer `status` without doing the work
  delay,         ///< only wait, then do the work
  drop_before,   ///< close the connection without doing the work
  drop_after,    ///< do the work, close the connection without an answer
  error_after,   ///< do the work, answer an error
  error_before,  ///< answer an error without doing the work
  garbage,       ///< do the work, answer something that is not JSON
  hang           ///< do the work, never answer
};

/// One rule. An empty text matches everything.
struct FaultRule {
  std::string service;
  std::string path;   ///< the request's path begins with this
  std::string match;  ///< the request's path contains this
  std::string phase;  ///< `forward`, `compensate`, `probe` or `callback`
  std::string saga;
  std::string step;
  FaultMode mode = FaultMode::refuse;
  unsigned status = 0;  ///< 0: the mode's or the service's own
  std::string body;     ///< empty: the same
  std::chrono::milliseconds delay{0};
  std::uint64_t times = 1;  ///< 0: always
  bool remember = true;     ///< `refuse`: a final status is stored under the key
};

/// The switches for faults.
/// Threads: any.
class Faults {
 public:
  /// Whether any rule is live. One relaxed load: this is all that an undisturbed request pays.
  bool any() const { return live_.load(std::memory_order_relaxed) != 0; }

  /// The first live rule that matches, counted as applied; null if none.
  std::shared_ptr<const FaultRule> find(std::string_view service, const Request& request);

  /// Adds a rule and returns its number.
  std::uint64_t add(FaultRule rule);
  void clear();
  nlohmann::json list() const;

 private:
  struct Live {
    std::uint64_t id;
    std::shared_ptr<const FaultRule> rule;
    std::uint64_t applied = 0;
    bool is_spent() const { return rule->times != 0 && applied >= rule->times; }
  };

  mutable std::mutex mutex_;
  std::vector<Live> rules_;
  std::uint64_t last_id_ = 0;
  std::atomic<std::size_t> live_{0};
};

/// A rule as given by `POST /faults`, or what is wrong with it.
struct ParsedFault {
  FaultRule rule;
  std::string wrong;  ///< empty: nothing
};
ParsedFault parse_fault(std::string_view text, std::span<const ServiceInfo> services);

}  // namespace backstitch::examples

#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/state.hpp>

namespace backstitch::engine {

/// What a retry policy is put to; each use has its row of defaults in docs/language.md.
enum class RetryUse { forward, pivot_transient, pivot_unknown, retryable, compensation };

/// A policy with nothing left open.
struct RetryPolicy {
  std::optional<std::uint32_t> attempts_max;  ///< unset: unlimited
  /// Of these, those of unknown outcome; unset: as many as all. An effect that may have happened is
  /// not asked for much longer, while a call known not done can wait until its service is back.
  std::optional<std::uint32_t> unknowns_max;
  Duration delay{500};
  double factor = 2;
  Duration delay_max{30'000};
  dsl::Jitter jitter = dsl::Jitter::full;
  std::optional<Duration> elapsed_max;
  bool on_transient = true;
  bool on_unknown = true;
  std::vector<std::string> except;
  Duration delay_min{0};
};

/// A duration field's value. @return EXPRESSION_FAILED
Result<Duration> duration_of(const dsl::DurationField& field, const dsl::Scope& scope);

/// The defaults of `use`, overridden by each of `specs` in turn: the last one wins.
Result<RetryPolicy> resolve(RetryUse use, const std::vector<const dsl::RetrySpec*>& specs,
                            const dsl::Scope& scope);

/// How long to wait before the attempt after `attempt` (counted from one):
/// b = min(delay_max, delay * factor^(attempt-1)); `full` uniform in [0, b], `equal` b/2 plus
/// uniform in [0, b/2]. See M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
/// 2015.
Duration delay_after(const RetryPolicy& policy, std::uint32_t attempt, std::uint64_t random);

/// The waits between all attempts of a policy with `attempts_max`, none of them shortened by
/// jitter.
Duration longest_waits(const RetryPolicy& policy);

/// When the next attempt is due, and whether it is the last because the wait was cut.
struct NextAttempt {
  TimePoint at;
  bool is_last = false;
};
/// After `delay`, or after what the participant asked for if that is longer. Such a wait is cut to
/// the end of the budget: the first attempt plus maxElapsed; without maxElapsed to 24 hours.
NextAttempt next_attempt(const RetryPolicy& policy, const std::optional<TimePoint>& first_at,
                         TimePoint now, Duration delay, const std::optional<Duration>& asked_for);

}  // namespace backstitch::engine

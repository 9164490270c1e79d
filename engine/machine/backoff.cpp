#include "backoff.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace backstitch::engine {
namespace {

using namespace std::chrono_literals;

RetryPolicy defaults_of(RetryUse use) {
  RetryPolicy policy;
  switch (use) {
    case RetryUse::forward:
    case RetryUse::pivot_transient:
      policy.attempts_max = dsl::default_attempts_max;
      policy.unknowns_max = 4;
      policy.delay = dsl::default_delay;
      policy.delay_max = dsl::default_delay_max;
      policy.jitter = dsl::Jitter::equal;
      return policy;
    case RetryUse::pivot_unknown:
    case RetryUse::retryable:
    case RetryUse::compensation:
      policy.delay = 1s;
      policy.delay_max = 5min;
      policy.elapsed_max = use == RetryUse::compensation ? 24h : 72h;
      if (use == RetryUse::compensation) policy.delay_min = 200ms;
      return policy;
  }
  return policy;
}

Result<Done> override_with(RetryPolicy& policy, const dsl::RetrySpec& spec,
                           const dsl::Scope& scope) {
  if (spec.attempts_max) policy.attempts_max = spec.attempts_max;
  if (spec.unlimited) policy.attempts_max.reset();
  if (spec.attempts_max || spec.unlimited) policy.unknowns_max.reset();
  if (spec.factor) policy.factor = *spec.factor;
  if (spec.jitter) policy.jitter = *spec.jitter;
  for (const auto& [field, target] :
       {std::pair{&spec.delay, &policy.delay}, std::pair{&spec.delay_max, &policy.delay_max}}) {
    if (!*field) continue;
    const auto value = duration_of(**field, scope);
    if (!value) return value.error();
    *target = *value;
  }
  if (spec.elapsed_max) {
    const auto value = duration_of(*spec.elapsed_max, scope);
    if (!value) return value.error();
    policy.elapsed_max = *value;
  }
  if (spec.on) {
    const auto lists = [&](dsl::OutcomeClass outcome) {
      return std::count(spec.on->begin(), spec.on->end(), outcome) > 0;
    };
    policy.on_transient = lists(dsl::OutcomeClass::transient);
    policy.on_unknown = lists(dsl::OutcomeClass::unknown);
  }
  if (!spec.except.empty()) policy.except = spec.except;
  return Done{};
}

}  // namespace

Result<Duration> duration_of(const dsl::DurationField& field, const dsl::Scope& scope) {
  if (const auto* known = std::get_if<Duration>(&field)) return *known;
  const auto& expression = std::get<dsl::Expression>(field);
  dsl::Budget budget;
  const auto value = expression.evaluate_value(scope, budget);
  if (!value) return value.error();
  if (value->is_string()) {
    if (const auto duration = parse_duration(value->get_ref<const std::string&>()))
      return *duration;
  }
  return Error{
      ErrorCode::invalid, "EXPRESSION_FAILED",
      "`" + expression.source() + "` gives " + value->dump() + ", which is no duration like 10s"};
}

Result<RetryPolicy> resolve(RetryUse use, const std::vector<const dsl::RetrySpec*>& specs,
                            const dsl::Scope& scope) {
  RetryPolicy policy = defaults_of(use);
  bool is_cap_stated = false;
  for (const auto* spec : specs) {
    if (spec == nullptr) continue;
    if (auto done = override_with(policy, *spec, scope); !done) return std::move(done).error();
    is_cap_stated = is_cap_stated || spec->delay_max.has_value();
  }
  // The default cap is none for who asks for longer waits.
  if (!is_cap_stated) policy.delay_max = std::max(policy.delay_max, policy.delay);
  return policy;
}

Duration delay_after(const RetryPolicy& policy, std::uint32_t attempt, std::uint64_t random) {
  const double exponent = std::max(0.0, static_cast<double>(attempt) - 1.0);
  const double most = static_cast<double>(policy.delay_max.count());
  const double base =
      std::min(most, static_cast<double>(policy.delay.count()) * std::pow(policy.factor, exponent));
  // 53 random bits give every double in [0, 1) its chance.
  const double share = static_cast<double>(random >> 11) * 0x1.0p-53;
  double wait = base;
  switch (policy.jitter) {
    case dsl::Jitter::none:
      break;
    case dsl::Jitter::equal:
      wait = base / 2 + share * base / 2;
      break;
    case dsl::Jitter::full:
      wait = share * base;
      break;
  }
  return std::max(Duration{static_cast<std::int64_t>(wait)}, policy.delay_min);
}

Duration longest_waits(const RetryPolicy& policy) {
  RetryPolicy unlucky = policy;
  unlucky.jitter = dsl::Jitter::none;
  Duration sum{0};
  for (std::uint32_t n = 1; n < policy.attempts_max.value_or(1); ++n) {
    const Duration wait = delay_after(unlucky, n, 0);
    // From here on every wait is the same.
    if (wait >= policy.delay_max || policy.factor <= 1)
      return sum + wait * (*policy.attempts_max - n);
    sum += wait;
  }
  return sum;
}

NextAttempt next_attempt(const RetryPolicy& policy, const std::optional<TimePoint>& first_at,
                         TimePoint now, Duration delay, const std::optional<Duration>& asked_for) {
  constexpr Duration wait_max = 24h;
  const TimePoint next = now + std::max(delay, asked_for.value_or(Duration{0}));
  if (!asked_for) return {next};
  const TimePoint end =
      policy.elapsed_max && first_at ? *first_at + *policy.elapsed_max : now + wait_max;
  // The attempt at the end of the budget has been made.
  if (next <= end || now >= end) return {next};
  return {end, true};
}

}  // namespace backstitch::engine

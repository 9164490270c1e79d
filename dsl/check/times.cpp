/// Timeouts and retry schedules that contradict each other.
#include <algorithm>
#include <cmath>

#include "walk.hpp"

namespace backstitch::dsl {
namespace {

constexpr Duration long_wait{24 * 3'600'000};
constexpr Duration slow_attempt{60'000};

std::optional<Duration> known(const std::optional<DurationField>& field) {
  if (!field) return std::nullopt;
  const auto* duration = std::get_if<Duration>(&*field);
  return duration == nullptr ? std::nullopt : std::optional(*duration);
}

/// The waits between all attempts of a policy, at the most; nothing if that is not known.
std::optional<Duration> waits_of(const RetrySpec& spec) {
  const auto delay = known(spec.delay);
  if (!spec.attempts_max || !delay) return std::nullopt;
  const double most = static_cast<double>(known(spec.delay_max).value_or(Duration{30'000}).count());
  double wait = static_cast<double>(delay->count());
  double total = 0;
  for (std::uint32_t i = 1; i < *spec.attempts_max; ++i) {
    total += std::min(wait, most);
    wait *= spec.factor.value_or(2.0);
  }
  return Duration{static_cast<std::int64_t>(total)};
}

class Times {
 public:
  explicit Times(const Check& check) : check_(check) {
    if (const auto* timeout = std::get_if<Duration>(&check.definition.timeout))
      saga_timeout_ = *timeout;
  }

  void run() { walk(check_.definition.steps, false); }

 private:
  void walk(const Steps& steps, bool after_pivot) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      one(steps[i], after_pivot);
      holding_resources(steps, i, after_pivot);
      for (const auto* list : inner_lists(steps[i])) walk(*list, after_pivot);
      after_pivot = after_pivot || contains_pivot({steps[i]}, check_);
    }
  }

  void one(const Step& step, bool after_pivot) {
    const auto timeout = known(step.timeout);
    if (const auto* action = std::get_if<Action>(&step.body))
      attempts(step, *action, timeout, after_pivot);
    if (!after_pivot && timeout && saga_timeout_ && *timeout > *saga_timeout_)
      over_saga(step.pointer + "/timeout", *timeout);
    if (const auto* wait = std::get_if<Wait>(&step.body)) {
      const auto patience = known(wait->timeout);
      if (!after_pivot && patience && saga_timeout_ && *patience > *saga_timeout_) {
        over_saga(step.pointer + "/wait/timeout", *patience);
      }
    }
  }

  void over_saga(const std::string& pointer, Duration timeout) {
    check_.error("E218", pointer,
                 backstitch::to_text(timeout) + " is longer than the saga's timeout of " +
                     backstitch::to_text(*saga_timeout_),
                 "the saga would end first; raise its \"timeout\"");
  }

  void attempts(const Step& step, const Action& action, std::optional<Duration> timeout,
                bool after_pivot) {
    const auto attempt = known(action.attempt_timeout);
    if (attempt && timeout && *attempt > *timeout) {
      check_.error("E218", step.pointer + "/attemptTimeout",
                   "one attempt may take " + backstitch::to_text(*attempt) +
                       ", the whole step only " + backstitch::to_text(*timeout));
    }
    const auto waits = waits_of(action.retry);
    if (waits && timeout && *waits > *timeout) {
      check_.warning("W233", step.pointer + "/retry",
                     "the waits between the attempts add up to " + backstitch::to_text(*waits) +
                         ", the step's timeout is " + backstitch::to_text(*timeout),
                     "fewer attempts, or a longer timeout");
    }
    const bool limited = action.retry.attempts_max || action.retry.elapsed_max;
    if (after_pivot && step.kind == StepKind::retryable && limited) {
      check_.warning(
          "W232", step.pointer + "/retry",
          "`" + step.name +
              "` is retried within limits after the pivot: when they end, the saga is suspended");
    }
  }

  /// An effect that holds something while the saga waits for days.
  void holding_resources(const Steps& steps, std::size_t i, bool after_pivot) {
    if (after_pivot || i + 1 >= steps.size()) return;
    const auto* action = std::get_if<Action>(&steps[i].body);
    const auto attempt = action != nullptr ? known(action->attempt_timeout) : std::nullopt;
    const bool slow = (attempt && *attempt >= slow_attempt) ||
                      (action != nullptr && action->completion.has_value());
    if (!is_effectful(steps[i]) || !slow) return;
    std::optional<Duration> pause;
    if (const auto* wait = std::get_if<Wait>(&steps[i + 1].body)) pause = known(wait->timeout);
    if (const auto* sleep = std::get_if<Sleep>(&steps[i + 1].body)) pause = known(sleep->duration);
    if (pause && *pause >= long_wait) {
      check_.warning("W234", steps[i].pointer,
                     "`" + steps[i].name + "` takes effect right before a wait of " +
                         backstitch::to_text(*pause) + " and holds it that long",
                     "move it behind the wait");
    }
  }

  const Check& check_;
  std::optional<Duration> saga_timeout_;
};

}  // namespace

void check_times(const Check& check) {
  Times(check).run();
}

}  // namespace backstitch::dsl

/// Timeouts and retry schedules that contradict each other.
#include <algorithm>
#include <set>

#include "walk.hpp"

namespace backstitch::dsl {
namespace {

constexpr Duration long_wait{24 * 3'600'000};
constexpr Duration slow_attempt{60'000};
/// No schedule is longer.
constexpr double waits_max = static_cast<double>(duration_days_max) * 24 * 3'600'000;

bool says_something(const RetrySpec& spec) {
  return spec.attempts_max || spec.delay || spec.factor || spec.delay_max;
}

/// The waits between all attempts of a policy, at the most; nothing if that is not known.
std::optional<Duration> waits_of(const RetrySpec& spec) {
  const auto written = [](const std::optional<DurationField>& field, Duration otherwise) {
    return field ? known(field) : std::optional(otherwise);
  };
  const auto delay = written(spec.delay, default_delay);
  const auto most =
      written(spec.delay_max, std::max(default_delay_max, delay.value_or(default_delay_max)));
  if (!says_something(spec) || spec.unlimited || !delay || !most) return std::nullopt;
  double wait = static_cast<double>(delay->count());
  double total = 0;
  for (std::uint32_t i = 1; i < spec.attempts_max.value_or(default_attempts_max); ++i) {
    total += std::min(wait, static_cast<double>(most->count()));
    wait = std::min(wait * spec.factor.value_or(2.0), waits_max);
  }
  return Duration{static_cast<std::int64_t>(std::min(total, waits_max))};
}

/// What a step says stands before what its service says, and that before the defaults; each field
/// for itself, as it is when the saga runs.
RetrySpec merged(const std::vector<const RetrySpec*>& specs) {
  RetrySpec out;
  for (const auto* spec : specs) {
    if (spec == nullptr) continue;
    if (spec->attempts_max || spec->unlimited) {
      out.attempts_max = spec->attempts_max;
      out.unlimited = spec->unlimited;
    }
    if (spec->elapsed_max) out.elapsed_max = spec->elapsed_max;
    if (spec->delay) out.delay = spec->delay;
    if (spec->delay_max) out.delay_max = spec->delay_max;
    if (spec->factor) out.factor = spec->factor;
    if (spec->attempts_max || spec->elapsed_max) out.pointer = spec->pointer;
  }
  return out;
}

class Times {
 public:
  explicit Times(const Check& check)
      : check_(check),
        only_forward_(check.definition.recovery == Recovery::forward),
        saga_timeout_(known(check.definition.timeout)) {}

  void run() {
    const Definition& definition = check_.definition;
    attempt_in_step(known(definition.default_attempt_timeout),
                    known(definition.default_step_timeout), "/defaults/attemptTimeout");
    walk(definition.steps, false, nullptr);
  }

 private:
  /// @param effect the latest effectful step before the list
  /// @return the latest effectful step at its end
  const Step* walk(const Steps& steps, bool after_pivot, const Step* effect) {
    for (const auto& step : steps) {
      const bool at_pivot = is_pivot(step, check_);
      if (is_call(step)) call(step, after_pivot, after_pivot || at_pivot);
      if (!after_pivot) pause(step, effect);
      const auto lists = inner_lists(step);
      if (is_effectful(step)) effect = &step;
      // What a child holds on to is not known here.
      if (std::holds_alternative<SubSaga>(step.body)) effect = nullptr;
      for (const auto* list : lists) {
        const bool one_runs = std::holds_alternative<Switch>(step.body);
        walk(*list, after_pivot, one_runs ? effect : nullptr);
      }
      if (!lists.empty()) effect = nullptr;
      after_pivot = after_pivot || contains_pivot(step, check_);
    }
    return effect;
  }

  void call(const Step& step, bool after_pivot, bool pivot_reached) {
    const auto own = known(step.timeout);
    const auto fallback = known(check_.definition.default_step_timeout);
    if (ends_at_deadline(pivot_reached)) {
      if (own) within_saga(*own, step.pointer + "/timeout");
      if (!step.timeout && fallback) within_saga(*fallback, "/defaults/stepTimeout");
    }
    const auto* action = std::get_if<Action>(&step.body);
    if (action == nullptr) return;
    if (action->completion && ends_at_deadline(pivot_reached)) {
      if (const auto answer = known(action->completion->timeout))
        within_saga(*answer, step.pointer + "/completion/timeout");
    }
    const auto timeout = step.timeout ? own : fallback;
    attempt_in_step(known(action->attempt_timeout), timeout, step.pointer + "/attemptTimeout");
    const Service* service = check_.service(action->request.service);
    if (!action->attempt_timeout) inherited_attempt(step, service, timeout);
    const RetrySpec retry =
        merged({&check_.definition.default_retry, service == nullptr ? nullptr : &service->retry,
                &action->retry});
    schedule(step, retry, timeout, pivot_reached);
    limits(step, retry, after_pivot);
  }

  void attempt_in_step(std::optional<Duration> attempt, std::optional<Duration> step,
                       const std::string& pointer) {
    if (!attempt || !step || *attempt <= *step) return;
    check_.error("E218", pointer,
                 "one attempt may take " + backstitch::to_text(*attempt) +
                     ", the whole step only " + backstitch::to_text(*step),
                 "raise the \"timeout\" of the step, or lower the \"attemptTimeout\" to " +
                     backstitch::to_text(*step));
  }

  /// Where the attempt timeout comes from elsewhere, whoever set it need not know of this step.
  void inherited_attempt(const Step& step, const Service* service,
                         std::optional<Duration> timeout) {
    const auto& fallback = check_.definition.default_attempt_timeout;
    const bool of_service = service != nullptr && service->attempt_timeout;
    const auto attempt = of_service ? service->attempt_timeout
                         : fallback ? known(fallback)
                                    : std::optional(attempt_timeout_default);
    // Two defaults that contradict each other are an error of their own.
    const bool both_are_defaults = !step.timeout && !of_service && fallback;
    if (!attempt || !timeout || *attempt <= *timeout || both_are_defaults) return;
    const std::string limit = backstitch::to_text(*timeout);
    check_.warning(
        "W237", step.timeout ? step.pointer + "/timeout" : "/defaults/stepTimeout",
        "the step's timeout of " + limit + " is shorter than the attempt timeout of " +
            backstitch::to_text(*attempt) + " that it inherits from " +
            (of_service ? "its service" : "the defaults") +
            ": its attempts are cut to what is left of the timeout",
        "write \"attemptTimeout\": \"" + limit + "\" into the step, or raise its timeout");
  }

  /// Only then the saga's timeout ends the step; later, and where all goes forward, it is a notice.
  bool ends_at_deadline(bool pivot_reached) const { return !pivot_reached && !only_forward_; }

  void within_saga(Duration timeout, const std::string& pointer) {
    if (!saga_timeout_ || timeout <= *saga_timeout_) return;
    check_.error("E218", pointer,
                 backstitch::to_text(timeout) + " is longer than the saga's timeout of " +
                     backstitch::to_text(*saga_timeout_),
                 "raise the \"timeout\" of the saga, which would end first");
  }

  void schedule(const Step& step, const RetrySpec& retry, std::optional<Duration> timeout,
                bool pivot_reached) {
    const bool is_of_step = timeout.has_value();
    if (!timeout && ends_at_deadline(pivot_reached)) timeout = saga_timeout_;
    const auto waits = waits_of(retry);
    // What a step inherits was written for others, too: its own timeout may well be shorter.
    const bool is_own = says_something(std::get<Action>(step.body).retry);
    if (!is_own || !waits || !timeout || *waits <= *timeout) return;
    check_.warning("W233", step.pointer + "/retry",
                   "the waits between the attempts add up to " + backstitch::to_text(*waits) +
                       ", the " + (is_of_step ? "step" : "saga") + "'s timeout is " +
                       backstitch::to_text(*timeout),
                   "fewer attempts, or a longer timeout");
  }

  void limits(const Step& step, const RetrySpec& retry, bool after_pivot) {
    const bool is_limited = retry.attempts_max || retry.elapsed_max;
    const bool suspends = step.kind == StepKind::retryable || step.kind == StepKind::readonly;
    if (!(after_pivot || only_forward_) || !suspends || !is_limited) return;
    const RetrySpec& own = std::get<Action>(step.body).retry;
    const bool is_own = own.attempts_max || own.elapsed_max;
    // What several steps inherit is told once.
    if (!is_own && !told_.insert(retry.pointer).second) return;
    check_.warning("W232", is_own ? step.pointer + "/retry" : retry.pointer,
                   "`" + step.name +
                       "` is retried within limits after the pivot: when they end, the saga is "
                       "suspended",
                   "leave `maxAttempts` and `maxElapsed` out, or write \"unlimited\"");
  }

  void pause(const Step& step, const Step* effect) {
    std::optional<Duration> pause;
    std::string at;
    if (const auto* wait = std::get_if<Wait>(&step.body)) {
      pause = known(wait->timeout);
      at = step.pointer + "/wait/timeout";
    } else if (const auto* sleep = std::get_if<Sleep>(&step.body)) {
      pause = known(sleep->duration);
      at = step.pointer + (sleep->until ? "/sleep/until" : "/sleep/for");
    } else {
      return;
    }
    if (!only_forward_ && pause) within_saga(*pause, at);
    if (!only_forward_ && !pause) under_default_timeout(step, at);
    if (!pause || *pause < long_wait || effect == nullptr || !is_slow(*effect)) return;
    check_.warning("W234", effect->pointer,
                   "`" + effect->name + "` takes effect right before a wait of " +
                       backstitch::to_text(*pause) + " and holds it that long",
                   "move it after the wait");
  }

  /// Nobody has thought of how long the saga may take.
  void under_default_timeout(const Step& step, const std::string& at) {
    const auto* sleep = std::get_if<Sleep>(&step.body);
    const bool is_written_out = sleep != nullptr && sleep->until && sleep->until->is_constant();
    const bool is_default = !check_.definition.document.contains("timeout");
    const bool is_read = sleep == nullptr || sleep->until || sleep->duration;
    if (!is_default || !is_read || !saga_timeout_) return;
    check_.warning("W238", at,
                   "`" + step.name + "` pauses " +
                       (is_written_out ? "until a fixed time" : "for a time that is computed") +
                       ", and the saga's timeout is the default of " +
                       backstitch::to_text(*saga_timeout_) + ": when it passes, the saga goes back",
                   "write the \"timeout\" of the saga, long enough for the pause");
  }

  static bool is_slow(const Step& step) {
    const auto& action = std::get<Action>(step.body);
    const auto attempt = known(action.attempt_timeout);
    const auto whole = known(step.timeout);
    return action.completion || (attempt && *attempt >= slow_attempt) ||
           (whole && *whole >= slow_attempt);
  }

  const Check& check_;
  bool only_forward_;
  std::optional<Duration> saga_timeout_;
  std::set<std::string> told_;
};

}  // namespace

void check_times(const Check& check) {
  Times(check).run();
}

}  // namespace backstitch::dsl

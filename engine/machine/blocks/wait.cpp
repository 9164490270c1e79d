/// wait and sleep: signals from outside, and time.
#include <algorithm>

#include <backstitch/base/match.hpp>

#include "../decider.hpp"
#include "../limits.hpp"

namespace backstitch::engine {
namespace {

bool listens_to(const dsl::Wait& wait, const std::string& name) {
  return std::find(wait.signals.begin(), wait.signals.end(), name) != wait.signals.end();
}

bool is_allowed(const dsl::Wait& wait, const std::vector<std::string>& roles) {
  return wait.allow.empty() || std::any_of(roles.begin(), roles.end(), [&](const auto& role) {
           return role == "*" ||
                  std::find(wait.allow.begin(), wait.allow.end(), role) != wait.allow.end();
         });
}

/// Every wait for a signal of that name.
void collect(const dsl::Steps& steps, const std::string& name,
             std::vector<const dsl::Wait*>& waits) {
  for (const auto& step : steps) {
    std::visit(Match{[&](const dsl::Wait& wait) {
                       if (listens_to(wait, name)) waits.push_back(&wait);
                     },
                     [&](const dsl::Parallel& block) {
                       for (const auto& branch : block.branches) collect(branch.steps, name, waits);
                     },
                     [&](const dsl::Switch& block) {
                       for (const auto& one : block.cases) collect(one.steps, name, waits);
                       collect(block.otherwise->steps, name, waits);
                     },
                     [&](const dsl::ForEach& block) { collect(block.steps, name, waits); },
                     [&](const dsl::Try& block) {
                       collect(block.steps, name, waits);
                       for (const auto& one : block.catches) collect(one.steps, name, waits);
                     },
                     [](const dsl::Action&) {}, [](const dsl::SubSaga&) {},
                     [](const dsl::Sleep&) {}, [](const dsl::Value&) {}, [](const dsl::Fail&) {}},
               step.body);
  }
}

Json output_of(const Json& signal, const Json& payload, const Json& by, TimePoint at) {
  return {{"signal", signal}, {"payload", payload}, {"by", by}, {"at", to_rfc3339(at)}};
}

}  // namespace

Progress Decider::begin_sleep(const Located& at, const dsl::Sleep& sleep) {
  TimePoint until = now();
  {
    const SagaScope scope = scope_of(at, Phase::forward);
    if (sleep.duration) {
      const auto duration = duration_of(*sleep.duration, scope);
      if (!duration) return fail_expression(at, duration.error());
      until += *duration;
    } else {
      dsl::Budget budget;
      const auto text = sleep.until->render_text(scope, budget);
      if (!text) return fail_expression(at, text.error());
      const auto time = parse_rfc3339(*text);
      if (!time) {
        return fail_expression(
            at, {ErrorCode::invalid, "EXPRESSION_FAILED",
                 "`until` gives `" + *text + "`, which is no time like 2026-03-01T12:00:00Z"});
      }
      until = *time;
    }
  }
  if (until <= now()) return finish_step(at, nullptr);
  emit(StepWaiting{at.path, until, std::nullopt, std::nullopt});
  return Progress::waiting;
}

Progress Decider::begin_wait(const Located& at, const dsl::Wait& wait) {
  if (take_signal(at, wait)) return Progress::done;
  const auto timeout = duration_of(wait.timeout, scope_of(at, Phase::forward));
  if (!timeout) return fail_expression(at, timeout.error());
  emit(StepWaiting{at.path, now() + *timeout, std::nullopt, std::nullopt});
  return Progress::waiting;
}

/// The first signal in time that this wait accepts, if there is one.
bool Decider::take_signal(const Located& at, const dsl::Wait& wait) {
  for (const auto& queued : state().signals) {
    if (!listens_to(wait, queued.name) || refuses_signal(&at, wait, queued)) continue;
    const QueuedSignal signal = queued;
    emit(SignalConsumed{at.path, signal.sequence});
    emit(StepSucceeded{at.path, output_of(signal.name, signal.payload, signal.by, signal.at),
                       nullptr});
    return true;
  }
  return false;
}

/// `at` is null while the wait has not begun: what it would read may not be there yet.
std::optional<Error> Decider::refuses_signal(const Located* at, const dsl::Wait& wait,
                                             const QueuedSignal& signal) const {
  if (!is_allowed(wait, signal.roles)) {
    return Error{ErrorCode::forbidden, "signal-forbidden",
                 "The signal `" + signal.name + "` may only be sent by one of the wait's roles."};
  }
  if (wait.schema) {
    auto errors = wait.schema->validate(signal.payload);
    if (!errors.empty()) {
      return Error{ErrorCode::invalid, "signal-refused",
                   "The payload of `" + signal.name + "` does not match the wait's schema.",
                   std::move(errors)};
    }
  }
  if (!wait.accept || at == nullptr) return std::nullopt;
  SagaScope scope = scope_of(*at, Phase::forward);
  scope.set_signal(signal.payload);
  dsl::Budget budget;
  const auto accepted = wait.accept->evaluate_condition(scope, budget);
  if (!accepted) return accepted.error();
  if (*accepted) return std::nullopt;
  return Error{
      ErrorCode::invalid, "signal-refused",
      "`" + wait.accept->source() + "` does not accept this payload of `" + signal.name + "`."};
}

void Decider::wait_ended(const Located& at) {
  const auto* wait = std::get_if<dsl::Wait>(&at.step->body);
  if (wait == nullptr) return emit(StepSucceeded{at.path, nullptr, nullptr});
  if (wait->on_timeout == dsl::OnTimeout::fail) {
    return known_not_done(
        at, failure("WAIT_TIMEOUT", "timeout", "no signal came that the step waits for", at.path));
  }
  Json payload;
  if (wait->default_value) {
    const SagaScope scope = scope_of(at, Phase::forward);
    dsl::Budget budget;
    auto rendered = wait->default_value->render(scope, budget);
    if (!rendered) {
      fail_expression(at, rendered.error());
      return;
    }
    payload = std::move(*rendered);
  }
  emit(StepSucceeded{at.path, output_of(nullptr, payload, nullptr, now()), nullptr});
}

void Decider::signal(const Signal& signal) {
  if (is_terminal(state().status)) {
    return refuse("saga-ended",
                  std::string("The saga has ended: ") + to_text(state().status) + ".");
  }
  if (state().failure)
    return refuse("signal-too-late", "The saga is being undone; it waits for no signal any more.");
  std::vector<const dsl::Wait*> waits;
  collect(definition().steps, signal.name, waits);
  if (waits.empty()) {
    return refuse("signal-unknown", "No step of the saga waits for a signal `" + signal.name + "`.",
                  ErrorCode::not_found);
  }
  if (json_size(signal.payload) > signal_bytes_max)
    return refuse("signal-too-large", "A signal's payload has at most 64 KiB.", ErrorCode::invalid);
  const QueuedSignal arrived{0, signal.name, signal.payload, signal.by, signal.roles, now()};
  // Whoever waits now decides; if nobody does yet, one that may wait later has to be able to.
  std::optional<Error> refused;
  bool wanted = false;
  bool asked = false;
  for (const auto& path : state().open) {
    const auto at = locate(definition(), path);
    const auto* wait = at ? std::get_if<dsl::Wait>(&at->step->body) : nullptr;
    if (wait == nullptr || !listens_to(*wait, signal.name)) continue;
    asked = true;
    auto error = refuses_signal(&*at, *wait, arrived);
    wanted = wanted || !error;
    if (!refused) refused = std::move(error);
  }
  for (const auto* wait : waits) {
    if (asked) break;
    auto error = refuses_signal(nullptr, *wait, arrived);
    wanted = wanted || !error;
    if (!refused) refused = std::move(error);
  }
  if (!wanted) {
    out_.refused = std::move(refused);
    return;
  }
  if (state().signals.size() >= signals_queued_max) {
    return refuse("signals-overflow", "Too many signals wait for this saga already.",
                  ErrorCode::overloaded);
  }
  emit(SignalReceived{signal.name, signal.payload, signal.by, signal.roles});
  const auto open = state().open;
  for (const auto& path : open) {
    const auto at = locate(definition(), path);
    const auto* wait = at ? std::get_if<dsl::Wait>(&at->step->body) : nullptr;
    if (wait != nullptr && listens_to(*wait, signal.name) && take_signal(*at, *wait)) break;
  }
  advance();
}

}  // namespace backstitch::engine

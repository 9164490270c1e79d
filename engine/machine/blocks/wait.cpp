/// wait and sleep: signals from outside, and time.
#include <algorithm>

#include "../decider.hpp"
#include "../limits.hpp"
#include "listeners.hpp"

namespace backstitch::engine {
namespace {

/// A schema looks at every part of a value a few times.
constexpr std::uint32_t schema_cost = 4;

bool is_allowed(const dsl::Wait& wait, const std::vector<std::string>& roles) {
  return wait.allow.empty() || std::any_of(roles.begin(), roles.end(), [&](const auto& role) {
           return role == "*" ||
                  std::find(wait.allow.begin(), wait.allow.end(), role) != wait.allow.end();
         });
}

Error too_much_to_judge() {
  return {ErrorCode::invalid, "LIMIT_EXCEEDED",
          "it takes more than " + std::to_string(dsl::event_steps_max) +
              " evaluation steps to judge the signals that are there"};
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
  emit(StepWaiting{at.path, until, std::nullopt});
  return Progress::waiting;
}

Progress Decider::begin_wait(const Located& at, const dsl::Wait& wait) {
  if (take_signal(at, wait)) return Progress::done;
  drop_refused(at, wait);
  if (meter_.left == 0) return fail_expression(at, too_much_to_judge());
  const auto timeout = duration_of(wait.timeout, scope_of(at, Phase::forward));
  if (!timeout) return fail_expression(at, timeout.error());
  emit(StepWaiting{at.path, now() + *timeout, std::nullopt});
  return Progress::waiting;
}

/// The first signal in time that this wait accepts, if there is one.
bool Decider::take_signal(const Located& at, const dsl::Wait& wait) {
  for (const auto& queued : state().signals) {
    // What could not be judged is neither taken nor refused.
    if (meter_.left == 0) return false;
    if (!listens_to(wait, queued.name) || refuses_signal(&at, wait, queued)) continue;
    const QueuedSignal signal = queued;
    emit(SignalConsumed{at.path, signal.sequence});
    emit(StepSucceeded{at.path, output_of(signal.name, signal.payload, signal.by, signal.at),
                       nullptr});
    return true;
  }
  return false;
}

/// What this wait refuses is of no use any more, unless one that may still begin could take it.
void Decider::drop_refused(const Located& at, const dsl::Wait& wait) {
  std::vector<SignalDropped> dropped;
  for (const auto& signal : state().signals) {
    if (!listens_to(wait, signal.name)) continue;
    const auto refused = refuses_signal(&at, wait, signal);
    if (!refused) continue;
    const auto all = listeners(definition(), state(), signal.name);
    const bool wanted = std::any_of(all.begin(), all.end(), [&](const Listener& one) {
      return one.may_begin && one.path != at.path && !refuses_signal(nullptr, *one.wait, signal);
    });
    if (!wanted) dropped.push_back({at.path, signal.sequence, refused->reason});
    if (meter_.left == 0) return;
  }
  for (auto& one : dropped) emit(std::move(one));
}

/// `at` is null while the wait has not begun: what it would read may not be there yet.
std::optional<Error> Decider::refuses_signal(const Located* at, const dsl::Wait& wait,
                                             const QueuedSignal& signal) const {
  if (!is_allowed(wait, signal.roles)) {
    return Error{ErrorCode::forbidden, "signal-forbidden",
                 "The signal `" + signal.name + "` may only be sent by one of the wait's roles."};
  }
  if (wait.schema) {
    meter_.spend(schema_cost * dsl::steps_to_read(signal.payload));
    auto errors = wait.schema->validate(signal.payload);
    if (!errors.empty()) {
      return Error{ErrorCode::invalid, "signal-refused",
                   "The payload of `" + signal.name + "` does not match the wait's schema.",
                   std::move(errors)};
    }
  }
  if (!wait.accept || (at == nullptr && !is_judged_early(*wait.accept))) return std::nullopt;
  SagaScope scope =
      at == nullptr ? SagaScope(program_, state(), &meter_) : scope_of(*at, Phase::forward);
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

/// Whoever waits now decides. If nobody does, one that may still begin has to be able to take it.
std::optional<Error> Decider::refused_by_all(const std::vector<Listener>& waits,
                                             const QueuedSignal& signal) const {
  std::optional<Error> refused;
  for (const auto& path : state().open) {
    const auto at = locate(definition(), path);
    const auto* wait = at ? std::get_if<dsl::Wait>(&at->step->body) : nullptr;
    if (wait == nullptr || !listens_to(*wait, signal.name)) continue;
    auto error = refuses_signal(&*at, *wait, signal);
    if (!error) return std::nullopt;
    if (!refused) refused = std::move(error);
  }
  if (refused) return refused;
  for (const auto& one : waits) {
    if (!one.may_begin) continue;
    auto error = refuses_signal(nullptr, *one.wait, signal);
    if (!error) return std::nullopt;
    if (!refused) refused = std::move(error);
  }
  if (refused) return refused;
  return Error{ErrorCode::conflict, "signal-too-late",
               "Every wait of the saga for `" + signal.name + "` is over."};
}

bool Decider::has_room_for(const QueuedSignal& signal) const {
  const auto& kept = state().signals;
  const auto of_name = std::count_if(kept.begin(), kept.end(),
                                     [&](const auto& one) { return one.name == signal.name; });
  return static_cast<std::size_t>(of_name) < signals_of_name_max && kept.size() < signals_max &&
         state().bytes + json_size(signal.payload) <= state_bytes_max;
}

void Decider::signal(const Signal& signal) {
  if (is_terminal(state().status)) {
    return refuse("saga-ended",
                  std::string("The saga has ended: ") + to_text(state().status) + ".");
  }
  if (state().failure)
    return refuse("signal-too-late", "The saga is being undone; it waits for no signal any more.");
  const auto waits = listeners(definition(), state(), signal.name);
  if (waits.empty()) {
    return refuse("signal-unknown", "No step of the saga waits for a signal `" + signal.name + "`.",
                  ErrorCode::not_found);
  }
  if (json_size(signal.payload) > signal_bytes_max)
    return refuse("signal-too-large", "A signal's payload has at most 64 KiB.", ErrorCode::invalid);
  const QueuedSignal arrived{0, signal.name, signal.payload, signal.by, signal.roles, now()};
  if (auto refused = refused_by_all(waits, arrived)) {
    out_.refused = std::move(refused);
    return;
  }
  if (!has_room_for(arrived)) {
    return refuse("signals-overflow", "Too many signals wait for this saga already.",
                  ErrorCode::overloaded);
  }
  emit(SignalReceived{signal.name, signal.payload, signal.by, signal.roles});
  const auto open = state().open;
  meter_.left = dsl::event_steps_max;
  for (const auto& path : open) {
    const auto at = locate(definition(), path);
    const auto* wait = at ? std::get_if<dsl::Wait>(&at->step->body) : nullptr;
    if (wait == nullptr || !listens_to(*wait, signal.name)) continue;
    if (take_signal(*at, *wait)) break;
    if (meter_.left > 0) continue;
    fail_expression(*at, too_much_to_judge());
    break;
  }
  advance();
}

}  // namespace backstitch::engine

#include <backstitch/engine/explore/worst_case.hpp>

#include <algorithm>

#include <backstitch/base/match.hpp>

#include "../machine/backoff.hpp"

namespace backstitch::engine::explore {
namespace {

constexpr int children_deep_max = 8;

/// A time or no end. Sums and maxima of it.
class Bound {
 public:
  Bound(Duration time) : time_(time) {}                 // NOLINT(*-explicit-*)
  Bound(std::optional<Duration> time) : time_(time) {}  // NOLINT(*-explicit-*)
  static Bound none() { return std::optional<Duration>{}; }

  std::optional<Duration> time() const { return time_; }
  Bound operator+(const Bound& other) const {
    return time_ && other.time_ ? Bound(*time_ + *other.time_) : none();
  }
  Bound& operator+=(const Bound& other) { return *this = *this + other; }
  Bound operator*(std::int64_t times) const { return time_ ? Bound(*time_ * times) : none(); }

 private:
  std::optional<Duration> time_;
};

Bound later(const Bound& a, const Bound& b) {
  return a.time() && b.time() ? Bound(std::max(*a.time(), *b.time())) : Bound::none();
}
Bound sooner(const Bound& a, const Bound& b) {
  if (!a.time()) return b;
  return b.time() ? Bound(std::min(*a.time(), *b.time())) : a;
}

/// Nothing is known when nothing has happened yet.
class EmptyScope : public dsl::Scope {
 public:
  const Json* find(std::string_view) const override { return nullptr; }
  const Json* step(std::string_view) const override { return nullptr; }
  const Json* step_output(std::string_view) const override { return nullptr; }
};

Bound known(const dsl::DurationField& field) {
  const auto* time = std::get_if<Duration>(&field);
  return time != nullptr ? Bound(*time) : Bound::none();
}

/// All attempts of a policy, each as long as `attempt`.
Bound attempts_of(const RetryPolicy& policy, const Bound& attempt) {
  Bound by_count = Bound::none();
  if (policy.attempts_max) {
    by_count = attempt * *policy.attempts_max;
    by_count += Bound(longest_waits(policy));
  }
  return sooner(by_count,
                policy.elapsed_max ? Bound(*policy.elapsed_max) + attempt : Bound::none());
}

class Measure {
 public:
  Measure(const Program& program, const FindChild& child, int depth)
      : program_(program), definition_(*program.definition), child_(child), depth_(depth) {}

  WorstCase all() {
    const bool back = definition_.recovery == dsl::Recovery::backward;
    after_pivot_ = !back;
    Bound before{Duration{0}};
    Bound after{Duration{0}};
    for (const auto& step : definition_.steps) {
      const bool passed = after_pivot_;
      const Bound time = forward(step);
      // A pivot on its way is waited for, whatever the saga's timeout says.
      (passed || after_pivot_ ? after : before) += time;
    }
    if (back) before = sooner(before, known(definition_.timeout) + longest_call_);
    Bound backward = undo(definition_.steps);
    after_pivot_ = true;
    for (const auto& step : definition_.on_failure) backward += forward(step);
    return {(before + after).time(), back ? backward.time() : std::optional(Duration{0})};
  }

 private:
  Bound forward(const dsl::Steps& steps) {
    Bound sum{Duration{0}};
    for (const auto& step : steps) sum += forward(step);
    return sum;
  }

  Bound forward(const dsl::Step& step) {
    return std::visit(
        Match{[&](const dsl::Action& body) { return action(step, body); },
              [&](const dsl::SubSaga& body) { return sub_saga(step, body); },
              [&](const dsl::Parallel& body) {
                std::vector<Bound> branches;
                for (const auto& one : body.branches) branches.push_back(forward(one.steps));
                return beside(branches, body.concurrency_max);
              },
              [&](const dsl::Switch& body) {
                Bound longest = forward(body.otherwise->steps);
                const bool passed = after_pivot_;
                for (const auto& one : body.cases) longest = later(longest, forward(one.steps));
                after_pivot_ = after_pivot_ || passed;
                return longest;
              },
              [&](const dsl::ForEach& body) { return forward(body.steps) * rounds(body); },
              [&](const dsl::Try& body) {
                Bound longest{Duration{0}};
                for (const auto& one : body.catches) longest = later(longest, forward(one.steps));
                return forward(body.steps) + undo(body.steps) + longest;
              },
              [&](const dsl::Wait& body) { return known(body.timeout); },
              [&](const dsl::Sleep& body) {
                return body.duration ? known(*body.duration) : Bound::none();
              },
              [](const dsl::Value&) { return Bound(Duration{0}); },
              [](const dsl::Fail&) { return Bound(Duration{0}); }},
        step.body);
  }

  Bound action(const dsl::Step& step, const dsl::Action& action) {
    const bool pivot = step.kind == dsl::StepKind::pivot;
    const auto* service = program_.service(action.request.service);
    Bound attempt = attempt_timeout(action.attempt_timeout, service);
    longest_call_ = later(longest_call_, attempt);
    const std::vector<const dsl::RetrySpec*> specs{
        &definition_.default_retry, service != nullptr ? &service->retry : nullptr, &action.retry};
    Bound completion{Duration{0}};
    if (action.completion) completion = known(action.completion->timeout);
    // What must be done is sent again when no answer follows; anything else is undone.
    if (pivot || after_pivot_) attempt += completion;
    Bound time = attempts(pivot          ? RetryUse::pivot_transient
                          : after_pivot_ ? RetryUse::retryable
                                         : RetryUse::forward,
                          specs, attempt);
    if (pivot) time = later(time, attempts(RetryUse::pivot_unknown, specs, attempt));
    if (!pivot && !after_pivot_) time += completion;
    Bound probe{Duration{0}};
    if (action.probe) {
      const Bound ask = attempt_timeout(action.probe->attempt_timeout, service);
      probe = attempts(pivot          ? RetryUse::pivot_unknown
                       : after_pivot_ ? RetryUse::retryable
                                      : RetryUse::forward,
                       {&action.probe->retry}, ask);
      longest_call_ = later(longest_call_, probe);
    }
    if (const auto& limit = step.timeout ? step.timeout : definition_.default_step_timeout)
      time = sooner(time, known(*limit));
    if (pivot) after_pivot_ = true;
    return time + probe;
  }

  Bound sub_saga(const dsl::Step& step, const dsl::SubSaga& saga) {
    if (step.kind == dsl::StepKind::pivot) after_pivot_ = true;
    const WorstCase child = of_child(saga);
    const Bound whole = Bound(child.forward) + Bound(child.backward);
    longest_call_ = later(longest_call_, child.backward);
    if (!step.timeout) return whole;
    return sooner(whole, known(*step.timeout) + Bound(child.backward));
  }

  WorstCase of_child(const dsl::SubSaga& saga) const {
    if (!child_ || depth_ >= children_deep_max) return {};
    const auto definition = child_(saga.name, saga.version);
    if (!definition) return {};
    const Program program{definition, program_.services, program_.callback_base};
    return Measure(program, child_, depth_ + 1).all();
  }

  Bound undo(const dsl::Steps& steps) {
    Bound sum{Duration{0}};
    for (const auto& step : steps) sum += undo(step);
    return sum;
  }

  Bound undo(const dsl::Step& step) {
    return std::visit(
        Match{[&](const dsl::Action& body) { return undo_call(step, body.request.service); },
              [&](const dsl::SubSaga& body) {
                if (!std::holds_alternative<dsl::AutoCompensation>(step.undo) &&
                    (!std::holds_alternative<dsl::NoCompensation>(step.undo) ||
                     step.kind != dsl::StepKind::compensatable))
                  return undo_call(step, "");
                return Bound(of_child(body).backward);
              },
              [&](const dsl::Parallel& body) {
                std::vector<Bound> branches;
                for (const auto& one : body.branches) branches.push_back(undo(one.steps));
                const bool serial = body.compensation_order == dsl::CompensationOrder::serial;
                return beside(branches, serial ? std::optional(1U) : std::nullopt);
              },
              [&](const dsl::Switch& body) {
                Bound longest = undo(body.otherwise->steps);
                for (const auto& one : body.cases) longest = later(longest, undo(one.steps));
                return longest;
              },
              [&](const dsl::ForEach& body) {
                const bool serial = body.compensation_order == dsl::CompensationOrder::serial;
                return undo(body.steps) * (serial ? body.items_max : rounds(body));
              },
              [&](const dsl::Try& body) {
                Bound longest = undo(body.steps);
                for (const auto& one : body.catches) longest = later(longest, undo(one.steps));
                return longest;
              },
              [](const auto&) { return Bound(Duration{0}); }},
        step.body);
  }

  Bound undo_call(const dsl::Step& step, const std::string& own) {
    const auto* undo = std::get_if<dsl::Compensation>(&step.undo);
    if (undo == nullptr) return Duration{0};
    const auto* service =
        program_.service(undo->request.service.empty() ? own : undo->request.service);
    const auto* called = program_.service(own);
    const Bound quiet = called != nullptr ? called->quiet_period : Duration{0};
    return quiet + attempts(RetryUse::compensation, {&undo->retry},
                            attempt_timeout(undo->attempt_timeout, service));
  }

  static Bound attempts(RetryUse use, const std::vector<const dsl::RetrySpec*>& specs,
                        const Bound& attempt) {
    const auto policy = resolve(use, specs, EmptyScope());
    return policy ? attempts_of(*policy, attempt) : Bound::none();
  }

  Bound attempt_timeout(const std::optional<dsl::DurationField>& own,
                        const dsl::Service* service) const {
    if (own) return known(*own);
    if (service != nullptr && service->attempt_timeout) return *service->attempt_timeout;
    if (definition_.default_attempt_timeout) return known(*definition_.default_attempt_timeout);
    return dsl::attempt_timeout_default;
  }

  /// Graham's bound for work on `at_once` hands: what the others do is shared, the longest comes
  /// last.
  static Bound beside(const std::vector<Bound>& parts, std::optional<std::uint32_t> at_once) {
    Bound longest{Duration{0}};
    Bound sum{Duration{0}};
    for (const auto& part : parts) {
      longest = later(longest, part);
      sum += part;
    }
    if (!at_once || *at_once >= parts.size() || !sum.time()) return longest;
    return Bound((*sum.time() - *longest.time()) / std::max(1U, *at_once) + *longest.time());
  }

  static std::int64_t rounds(const dsl::ForEach& block) {
    const std::uint32_t at_once = std::max(1U, block.concurrency_max);
    return (block.items_max + at_once - 1) / at_once;
  }

  const Program& program_;
  const dsl::Definition& definition_;
  const FindChild& child_;
  int depth_;
  bool after_pivot_ = false;
  Bound longest_call_{Duration{0}};
};

}  // namespace

WorstCase worst_case(const Program& program, const FindChild& child) {
  return Measure(program, child, 0).all();
}

std::string to_text(const std::optional<Duration>& bound) {
  return bound ? backstitch::to_text(*bound) : "unlimited";
}

}  // namespace backstitch::engine::explore

/// What answers mean: rules that cannot match, that say too little, and where answers come from.
#include <algorithm>
#include <bitset>

#include "walk.hpp"

namespace backstitch::dsl {
namespace {

constexpr int status_least = 100;
constexpr int status_most = 599;
constexpr std::size_t transports = 6;

/// What the rules so far have taken.
struct Taken {
  std::bitset<status_most + 1> status;
  std::bitset<transports> transport;
};

bool speaks_of_409(const std::vector<OutcomeRule>& rules) {
  return std::any_of(rules.begin(), rules.end(), [](const OutcomeRule& rule) {
    return (rule.status.empty() && !rule.transport) ||
           std::any_of(rule.status.begin(), rule.status.end(),
                       [](const auto& r) { return r.first <= 409 && 409 <= r.last; });
  });
}

class Outcomes {
 public:
  explicit Outcomes(const Check& check) : check_(check) {}

  void run() {
    for (const auto& [name, service] : check_.definition.services) rules(service.outcomes, true);
    for_each_step(check_.definition, [&](const Step& step) {
      for (const auto& use : requests_of(step)) {
        const std::string_view role = use.role;
        // A probe that is told to wait asks again.
        const bool waits = role == "probe" || role == "poll" ||
                           (role == "action" && std::get<Action>(step.body).completion);
        rules(*use.outcomes, waits);
      }
      if (const auto* action = std::get_if<Action>(&step.body)) of_action(step, *action);
    });
  }

 private:
  void of_action(const Step& step, const Action& action) {
    if (action.completion && !action.completion->callback && !action.completion->poll) {
      check_.error("E221", step.pointer + "/completion",
                   "`completion` has neither a callback nor a poll",
                   "add \"callback\": true, or a poll");
    }
    const Service* service = check_.service(action.request.service);
    if (service == nullptr) return;
    if (!action.completion) pending_at(step, *service);
    const bool creates = action.request.path && (action.request.method == Method::post ||
                                                 action.request.method == Method::put);
    if (service->idempotency == Idempotency::key || !creates || !is_effectful(step)) return;
    if (!speaks_of_409(action.outcomes) && !speaks_of_409(service->outcomes)) {
      check_.warning(
          "W304", step.pointer,
          "`" + step.name + "` says nothing about 409 on a service that does not replay answers",
          "add a rule for it: after an unknown attempt 409 may be the echo of our own first call");
    }
  }

  /// A rule of the service that says `pending` to a step that waits for nothing.
  void pending_at(const Step& step, const Service& service) {
    for (const auto& rule : service.outcomes) {
      if (rule.is != OutcomeClass::pending) continue;
      const bool is_written_here = rule.pointer.starts_with("/services/");
      check_.error("E221", is_written_here ? rule.pointer + "/is" : step.pointer,
                   "the service says `pending`, and `" + step.name + "` has no `completion`",
                   "add \"completion\" to the step");
    }
  }

  void rules(const std::vector<OutcomeRule>& rules, bool pending_allowed) {
    Taken taken;
    for (const auto& rule : rules) {
      if (rule.is == OutcomeClass::pending && !pending_allowed) {
        check_.error("E221", rule.pointer + "/is", "`pending` on a step without `completion`",
                     "add \"completion\"");
      }
      if (rule.is == OutcomeClass::failure && rule.code.empty()) {
        check_.warning("W303", rule.pointer, "a failure without a code",
                       "add \"code\", so that catches and people can tell it apart");
      }
      if (std::any_of(rule.status.begin(), rule.status.end(),
                      [](const auto& r) { return r.first > r.last; })) {
        check_.error("E305", rule.pointer + "/status", "the range of statuses is empty",
                     "the lower status comes first");
        continue;
      }
      // How much a rule takes that was not read is not known.
      if (!check_.unread.below(rule.pointer)) sieve(rule, taken);
    }
  }

  void sieve(const OutcomeRule& rule, Taken& taken) {
    Taken own;
    if (rule.transport) {
      own.transport.set(static_cast<std::size_t>(*rule.transport));
    } else if (rule.status.empty()) {
      for (int status = status_least; status <= status_most; ++status)
        own.status.set(static_cast<std::size_t>(status));
    }
    for (const auto& range : rule.status) {
      // Where the transport fails there is no answer with a status.
      for (int status = range.first; status <= range.last && !rule.transport; ++status)
        own.status.set(static_cast<std::size_t>(status));
    }
    if ((own.status & ~taken.status).none() && (own.transport & ~taken.transport).none()) {
      check_.error("E305", rule.pointer, "earlier rules match everything that this one does",
                   "put it before them, or remove it");
    }
    if (rule.when && !rule.transport) return;
    taken.status |= own.status;
    taken.transport |= own.transport;
  }

  const Check& check_;
};

}  // namespace

void check_outcomes(const Check& check) {
  Outcomes(check).run();
}

}  // namespace backstitch::dsl

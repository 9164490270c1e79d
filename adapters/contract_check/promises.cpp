#include <algorithm>

#include "trial.hpp"

// The promises in words, and how findings are kept.

namespace backstitch::contract_check {
namespace {

struct Words {
  const char* spelling;
  const char* title;
  const char* advice;
};

Words words_of(Promise promise) {
  switch (promise) {
    case Promise::repeat:
      return {"repeat", "the action again: the same answer",
              "keep the answer under Idempotency-Key and give it again instead of working again"};
    case Promise::cut_off:
      return {"cut-off", "the connection cut, the action again",
              "commit the work and its answer together, whether or not the answer can be sent; a "
              "repetition that overtakes the work waits for it or is told 429 or 503"};
    case Promise::undo:
      return {"undo", "its undo succeeds",
              "find what was done by the key in Saga-Compensates, take it back, answer 2xx"};
    case Promise::undo_again:
      return {"undo-again", "the undo again succeeds",
              "answer 2xx to an undo that was done before"};
    case Promise::action_after:
      return {"action-after-undo", "the action after its undo does nothing",
              "answer 409, or what the first call was answered; do not work again"};
    case Promise::undo_of_nothing:
      return {"undo-of-nothing", "an undo of nothing succeeds",
              "answer 2xx to an undo of a key that never came: there is nothing to undo"};
    case Promise::late_action:
      return {"late-action", "an action after that is refused",
              "remember the key of every undo, and answer 409 or 410 to an action with it"};
    case Promise::probe:
      return {"probe", "a probe finds what was done",
              "answer the probe of a key that was done as the action was answered"};
    case Promise::seal:
      return {"seal", "a probe that finds nothing seals the key",
              "when a probe finds nothing, remember its key and refuse a later action with 409; or "
              "take \"sealed\" out of the definition"};
    case Promise::in_time:
      return {"in-time", "answers come in time",
              "answer sooner, answer 202 and call back, or raise attemptTimeout"};
  }
  return {"", "", ""};
}

}  // namespace

const char* to_text(Promise promise) {
  return words_of(promise).spelling;
}

const char* title_of(Promise promise) {
  return words_of(promise).title;
}

const char* to_text(Standing standing) {
  switch (standing) {
    case Standing::holds:
      return "holds";
    case Standing::broken:
      return "broken";
    case Standing::not_checkable:
      return "not-checkable";
  }
  return "";
}

bool Report::kept() const {
  const auto any = [&](Standing standing) {
    return std::any_of(findings.begin(), findings.end(),
                       [&](const Finding& finding) { return finding.standing == standing; });
  };
  return any(Standing::holds) && !any(Standing::broken);
}

void Findings::holds(const std::string& step, Promise promise, std::string seen) {
  report.findings.push_back({step, promise, Standing::holds, {}, std::move(seen), {}});
}

void Findings::broken(const std::string& step, Promise promise, std::string expected,
                      std::string came) {
  report.findings.push_back({step, promise, Standing::broken, std::move(expected), std::move(came),
                             words_of(promise).advice});
}

void Findings::not_checkable(const std::string& step, Promise promise, std::string why) {
  report.findings.push_back({step, promise, Standing::not_checkable, {}, std::move(why), {}});
}

bool Findings::knows(const std::string& step, Promise promise) const {
  return std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& finding) {
    return finding.step == step && finding.promise == promise;
  });
}

Json to_json(const Report& report) {
  Json services = Json::object();
  for (const auto& [name, url] : report.services) services[name] = url;
  Json findings = Json::array();
  for (const auto& finding : report.findings) {
    Json one{{"step", finding.step},
             {"promise", to_text(finding.promise)},
             {"result", to_text(finding.standing)}};
    if (!finding.expected.empty()) one["expected"] = finding.expected;
    if (!finding.came.empty())
      one[finding.standing == Standing::not_checkable ? "why" : "came"] = finding.came;
    if (!finding.advice.empty()) one["advice"] = finding.advice;
    findings.push_back(std::move(one));
  }
  return {{"definition", report.definition}, {"kept", report.kept()},
          {"services", std::move(services)}, {"calls", report.calls},
          {"findings", std::move(findings)}, {"left", report.left}};
}

}  // namespace backstitch::contract_check
